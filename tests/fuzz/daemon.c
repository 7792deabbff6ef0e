/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <err.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "control.h"
#include "devices.h"
#include "fresh.h"
#include "ops.h"
#include "shield.h"
#include "target.h"

#define ROOT	    "/mnt" /* where the new root is made, in a mount namespace of this process */
#define SOCKET_SIZE (8 << 20)

/* What is not to be touched. */
static const char *const outside[] = {"/", "/outside", "/outside/secret"};
static struct stat untouched[COUNT_OF(outside)];

static void write_file(const char *path, const char *text, mode_t mode, uid_t owner)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	MUST(fchown(fd, owner, owner) == 0 && fchmod(fd, mode) == 0);
	close(fd);
}

/* As it is, to read from: a sanitizer that reports has a program for it there. */
static void keep(const char *path)
{
	char inside[64];

	snprintf(inside, sizeof(inside), ROOT "%s", path);
	if (access(path, F_OK) < 0)
		return;
	MUST(mkdir(inside, 0755) == 0 && mount(path, inside, NULL, MS_BIND | MS_REC, NULL) == 0);
	mount(NULL, inside, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
}

/* The working directory stays where it is, outside: relative names of corpora still work. */
static void make_root(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
	    mount("tmpfs", ROOT, "tmpfs", MS_STRICTATIME, "mode=755") < 0) {
		printf("SKIP: a mount namespace needs root\n");
		exit(77);
	}
	keep("/usr");
	keep("/lib");
	keep("/lib64");
	MUST(mkdir(ROOT "/proc", 0755) == 0 &&
	     mount("/proc", ROOT "/proc", NULL, MS_BIND | MS_REC, NULL) == 0);
	MUST(mkdir(ROOT "/store", 0755) == 0 && mkdir(ROOT "/outside", 0755) == 0);
	/* All else is let go of, lest somebody's file systems stay mounted here when he has unmounted them.
	 */
	MUST(mkdir(ROOT "/old", 0755) == 0 && syscall(SYS_pivot_root, ROOT, ROOT "/old") == 0);
	MUST(umount2("/old", MNT_DETACH) == 0 && rmdir("/old") == 0);
	write_file("/outside/secret", "outside", 0600, 0);
	MUST(unshare(CLONE_FS) == 0);
	umask(0);
	for (size_t i = 0; i < COUNT_OF(outside); i++)
		MUST(stat(outside[i], &untouched[i]) == 0);
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static void check_outside(void)
{
	for (size_t i = 0; i < COUNT_OF(outside); i++) {
		const struct stat *before = &untouched[i];
		struct stat st;

		MUST(stat(outside[i], &st) == 0);
		MUST(st.st_mode == before->st_mode && st.st_uid == before->st_uid &&
		     st.st_nlink == before->st_nlink && st.st_size == before->st_size);
		MUST(same_time(st.st_ctim, before->st_ctim) && same_time(st.st_mtim, before->st_mtim));
		MUST(S_ISDIR(st.st_mode) || same_time(st.st_atim, before->st_atim));
	}
}

/* What each input begins with. */
static void make_store(void)
{
	static const char npy[] =
		"\x93NUMPY\x01\x00F\x00{'descr': '<u1', 'fortran_order': False, 'shape': (2, 3), }"
		"           \nabcdef";
	int fd;

	MUST(mount("tmpfs", STORE, "tmpfs", MS_NODEV | MS_NOSUID, "mode=1777,size=16m") == 0);
	write_file(STORE "/file", "0123456789abcdef", 0644, 1000);
	write_file(STORE "/secret", "secret", 0600, 0);
	MUST(setxattr(STORE "/file", "user.shm.dtype", "<f8", 3, 0) == 0);
	MUST(setxattr(STORE "/file", "user.shm.shape", "2", 1, 0) == 0);
	MUST(mkdir(STORE "/dir", 0777) == 0);
	write_file(STORE "/dir/inner", "", 0666, 1001);
	MUST(symlink("/outside/secret", STORE "/link") == 0 && symlink("../outside", STORE "/out") == 0);
	MUST(link(STORE "/file", STORE "/hard") == 0);
	write_file(STORE "/array", "", 0666, 1000);
	fd = open(STORE "/array", O_WRONLY);
	MUST(fd >= 0 && write(fd, npy, sizeof(npy) - 1) == sizeof(npy) - 1);
	close(fd);
}

/* What a supervisor would keep. */
static void start_ledger(struct fs *fs)
{
	int fd;

	MUST(ledger_create(&fd) == 0 && ledger_map(&fs->ledger, fd) == 0);
	close(fd);
	ledger_take_over(&fs->ledger);
	opened_init(&fs->opened, 1);
}

static void start_fs(struct fs *fs, int fuse_fd)
{
	char name[] = "segfs", *argv[] = {name, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct segfs_handle handle;
	struct told told;
	struct stat st;

	fresh_init(fs);
	start_ledger(fs);
	MUST(segfs_store_open(STORE, &fs->store) == 0);
	fs->control_above = control_open_above(STORE);
	MUST(fstat(fs->store.root_fd, &st) == 0);
	MUST(segfs_store_handle(fs->store.root_fd, &handle) == 0);
	MUST(view_table_init(&fs->views, &fs->ledger) == 0);
	told = fresh_look(fs->store.root_fd, &st);
	MUST(node_table_init(&fs->nodes, st.st_ino, &handle, &told, &fs->ledger) == 0);
	MUST(devices_init(fs, makedev(0, 4095)) == 0);
	fs->session = fuse_session_new(&args, &ops, sizeof(ops), fs);
	MUST(fs->session && transport_attach(&fs->transport, fs->session, fuse_fd, fs->ledger.page) == 0);
	fs->transport.replay = false; /* INIT comes as other requests do */
	fuse_opt_free_args(&args);
	passthrough_init(&fs->passthrough, fuse_fd, &fs->ledger.page->last_backing_id);
	MUST(sweep_start(fs) == 0 && watch_start(fs) == 0 && slow_lane_start(fs) == 0 &&
	     reaper_start(fs) == 0);
	MUST(events_start(fs) == 0);
}

/* The one thing that a socket cannot do: register files to be passed through to. */
int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_ioctl(int fd, unsigned long request, ...);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	static int last;
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (_IOC_TYPE(request) != 229)
		return __real_ioctl(fd, request, argument);
	last = last == INT32_MAX ? 1 : last + 1;
	return last;
}

void daemon_start(struct daemon *daemon, bool reserve, bool portable_names)
{
	static bool is_prepared;
	const int size = SOCKET_SIZE;
	int ends[2];

	if (!is_prepared) {
		make_root();
		shield_init();
	}
	is_prepared = true;
	make_store();
	*daemon = (struct daemon){
		.fs =
			{
				.options = {.store = (char *)(uintptr_t)STORE,
					    .mountpoint = (char *)(uintptr_t)ROOT,
					    .reserve = reserve,
					    .portable_names = portable_names},
				.watch = {.inotify = -1, .wake = -1},
				.reaper = {.wake = -1, .timer = -1, .epoll = -1, .uses.fd = -1},
				.workers.ended = -1,
				.supervisor = -1,
				.control_above = -1,
			},
	};
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	for (int i = 0; i < 2; i++)
		MUST(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0);
	daemon->kernel = ends[0];
	start_fs(&daemon->fs, ends[1]);
}

void daemon_serve(struct daemon *daemon)
{
	MUST(fuse_session_receive_buf(daemon->fs.session, &daemon->buf) > 0);
	fuse_session_process_buf(daemon->fs.session, &daemon->buf);
}

void daemon_stop(struct daemon *daemon)
{
	struct fs *fs = &daemon->fs;

	reaper_stop(fs);
	watch_stop(fs);
	slow_lane_stop(fs);
	sweep_stop(fs);
	events_stop(fs);
	fuse_session_destroy(fs->session);
	node_table_destroy(&fs->nodes);
	view_table_destroy(&fs->views);
	opened_destroy(&fs->opened);
	ledger_unmap(&fs->ledger);
	close_fd(&fs->control_above);
	segfs_store_close(&fs->store);
	close(daemon->kernel);
	free(daemon->buf.mem);
	MUST(umount2(STORE, MNT_DETACH) == 0);
	check_outside();
}
