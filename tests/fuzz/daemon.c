/* SPDX-License-Identifier: MIT */
#include "daemon.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <segfs/ring.h>
#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "assembly.h"
#include "control.h"
#include "journal.h"
#include "link.h"
#include "recipe.h"
#include "shield.h"
#include "target.h"

#define ROOT	    "/mnt" /* where the new root is made, in a mount namespace of this process */
#define SOCKET_SIZE (8 << 20)

/* What the reaper may need: a moment to see what it has been told, and the pause before it removes. */
#define SEE_US	1000
#define REAP_US 30000

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

static int new_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	MUST(fd >= 0 && fchown(fd, 1000, 1000) == 0);
	return fd;
}

static void publish_frame(int fd)
{
	struct segfs_ring *ring;
	void *frame;

	MUST(segfs_ring_open(fd, &ring) == 0 && segfs_ring_attach(ring) == 0);
	MUST(segfs_ring_reserve(ring, 1, 0, 0, &frame) == 1);
	memset(frame, 1, segfs_ring_info(ring)->frame_size);
	MUST(segfs_ring_commit(ring, 1) == 0);
	segfs_ring_close(ring);
}

/* What is more than an array. */
static void make_kinds(void)
{
	static const char ring[] = "overwrite capacity 2 shape 2,2 dtype <u2";
	static const char table[] = "[('a', '<u4'), ('b', '|S4')]";
	static const char slots[] = "workers 2 dtype <f4";
	int fd = new_file(STORE "/ring");

	MUST(segfs_recipe_ring(fd, ring, sizeof(ring) - 1) == 0);
	publish_frame(fd);
	close(fd);
	fd = new_file(STORE "/table");
	MUST(segfs_recipe_table(fd, table, sizeof(table) - 1) == 0);
	close(fd);
	fd = new_file(STORE "/slots");
	MUST(segfs_recipe_slots(fd, slots, sizeof(slots) - 1) == 0);
	close(fd);
	close(new_file(STORE "/empty"));
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
	fd = new_file(STORE "/array");
	MUST(write(fd, npy, sizeof(npy) - 1) == sizeof(npy) - 1);
	close(fd);
	make_kinds();
}

/* The one thing that a socket cannot do: register files to be passed through to. The kernel keeps them open.
 */
#define MAX_BACKING 1024
static int backing[MAX_BACKING];
static int n_backing;

int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_ioctl(int fd, unsigned long request, ...);

static int backing_open(int fd)
{
	if (n_backing == MAX_BACKING)
		return -1;
	backing[n_backing] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return ++n_backing;
}

static int backing_close(uint32_t id)
{
	if (id == 0 || id > (uint32_t)n_backing || backing[id - 1] < 0)
		return -1;
	close_fd(&backing[id - 1]);
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (_IOC_TYPE(request) != 229)
		return __real_ioctl(fd, request, argument);
	errno = ENOENT;
	return _IOC_NR(request) == 1 ? backing_open(*(int *)argument) : backing_close(*(uint32_t *)argument);
}

/* Time that passes at once. Only lifetimes are measured by this clock, and how long a node has been doubted.
 */
static _Atomic int64_t skipped_s;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now);
int __real_clock_gettime(clockid_t clock, struct timespec *ret_now);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	int r = __real_clock_gettime(clock, ret_now);

	if (r == 0 && clock == CLOCK_BOOTTIME)
		ret_now->tv_sec += skipped_s;
	return r;
}

void daemon_skip(struct daemon *daemon, unsigned seconds)
{
	const struct reaper *reaper = &daemon->fs.reaper;

	eventfd_write(reaper->wake, 1);
	usleep(SEE_US);
	skipped_s += seconds;
	if (reaper->n_wards == 0)
		return;
	eventfd_write(reaper->wake, 1);
	usleep(REAP_US);
}

/* As worker.c does. */
static void start_worker(struct daemon *daemon)
{
	struct fs *fs = &daemon->fs;

	assembly_init(fs, &daemon->options);
	fs->supervisor = daemon->worker;
	fs->control_above = control_open_above(STORE);
	MUST(ledger_map(&fs->ledger, daemon->ledger) == 0);
	MUST(segfs_store_open(STORE, &fs->store) == 0);
	MUST(assembly_open(fs, makedev(0, 4095), daemon->fuse) == 0);
	journal_enter(&fs->ledger);
	daemon_serve(daemon); /* INIT, as the ledger has it */
	passthrough_init(&fs->passthrough, fs->transport.fd, &fs->ledger);
	MUST(assembly_start(fs) == 0);
}

static void stop_worker(struct fs *fs)
{
	assembly_end(fs);
	close_fd(&fs->control_above);
}

void daemon_start(struct daemon *daemon, const struct options *options)
{
	static bool is_prepared;
	const int size = SOCKET_SIZE;
	int ends[2], link_ends[2];

	if (!is_prepared) {
		make_root();
		shield_init();
	}
	is_prepared = true;
	skipped_s = 0;
	make_store();
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link_ends) == 0);
	for (int i = 0; i < 2; i++)
		MUST(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) == 0);
	*daemon = (struct daemon){
		.options = *options,
		.kernel = ends[0],
		.fuse = ends[1],
		.worker = link_ends[0],
		.supervisor = link_ends[1],
	};
	daemon->options.store = (char *)(uintptr_t)STORE;
	daemon->options.mountpoint = (char *)(uintptr_t)ROOT;
	MUST(ledger_create(&daemon->ledger) == 0);
}

void daemon_begin(struct daemon *daemon)
{
	struct ledger ledger;

	MUST(ledger_map(&ledger, daemon->ledger) == 0);
	MUST(transport_keep_init(daemon->fuse, ledger.page) == 0);
	ledger_unmap(&ledger);
	start_worker(daemon);
}

/* As supervisor.c does. */
static void keep_pins(struct daemon *daemon)
{
	struct pollfd poll_fd = {.fd = daemon->supervisor, .events = POLLIN};
	struct link_message message;
	int fd;

	while (poll(&poll_fd, 1, 0) == 1 && link_receive(daemon->supervisor, &message, &fd) == 1) {
		MUST(message.kind == LINK_PIN || message.kind == LINK_UNPIN);
		if (message.kind == LINK_PIN && fd >= 0)
			pins_add(&daemon->pins, message.value, fd);
		else
			pins_remove(&daemon->pins, message.value);
	}
}

void daemon_serve(struct daemon *daemon)
{
	int r = fuse_session_receive_buf(daemon->fs.session, &daemon->buf);

	MUST(r > 0);
	fuse_session_process_buf(daemon->fs.session, &daemon->buf);
	keep_pins(daemon);
}

void daemon_done(void)
{
	journal_end();
}

void daemon_replace(struct daemon *daemon)
{
	stop_worker(&daemon->fs);
	keep_pins(daemon);
	start_worker(daemon);
}

void daemon_stop(struct daemon *daemon)
{
	stop_worker(&daemon->fs);
	while (n_backing > 0)
		close_fd(&backing[--n_backing]);
	pins_clear(&daemon->pins);
	close(daemon->kernel);
	close(daemon->fuse);
	close(daemon->worker);
	close(daemon->supervisor);
	close(daemon->ledger);
	free(daemon->buf.mem);
	MUST(umount2(STORE, MNT_DETACH) == 0);
	check_outside();
}
