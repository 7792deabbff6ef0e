/* SPDX-License-Identifier: MIT */

/*
 * segfs(8): from the command line to a mount that answers, and to its end. Read first: bring_up().
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "confine.h"
#include "control.h"
#include "devices.h"
#include "fresh.h"
#include "fs.h"
#include "huge.h"
#include "log.h"
#include "mount.h"
#include "ops.h"
#include "shield.h"
#include "util.h"

/* Exit statuses, as of mount(8). */
enum { EXIT_USAGE = 1, EXIT_MOUNT = 32 };

static int open_store(struct fs *fs)
{
	const char *path = fs->options.store;
	int r = segfs_store_open(path, &fs->store);

	if (r == -EMEDIUMTYPE)
		log_error("store %s is not on tmpfs; take /dev/shm, or mount -t tmpfs tmpfs DIRECTORY", path);
	else if (r == -EPERM || r == -EACCES)
		log_error("mounting needs root with CAP_SYS_ADMIN: sudo segfs %s %s", path,
			  fs->options.mountpoint);
	else if (r == -ENOTDIR)
		log_error("store %s: not a directory; take /dev/shm, or a directory in it", path);
	else if (r < 0)
		log_error("store %s: %s", path, strerror(-r));
	return r;
}

static int init_nodes(struct fs *fs)
{
	struct segfs_handle handle;
	struct told told;
	struct stat st;
	int r;

	pthread_mutex_init(&fs->rights_lock, NULL);
	if (fstat(fs->store.root_fd, &st) < 0)
		return -errno;
	r = segfs_store_handle(fs->store.root_fd, &handle);
	if (r < 0)
		return r;
	view_table_init(&fs->views);
	told = fresh_look(fs->store.root_fd, &st);
	return node_table_init(&fs->nodes, st.st_ino, &handle, &told);
}

/* The session takes the descriptor over. */
static int open_session(struct fs *fs, int fuse_fd)
{
	char name[] = "segfs", debug[] = "-d", *argv[] = {name, debug, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(fs->options.debug ? 2 : 1, argv);
	int r;

	fs->session = fuse_session_new(&args, &ops, sizeof(ops), fs);
	fuse_opt_free_args(&args);
	r = fs->session ? transport_attach(&fs->transport, fs->session, fuse_fd) : -ENOMEM;
	if (r < 0)
		close(fuse_fd);
	return r;
}

/* The kernel's first request, INIT, says what it can do. Nothing else is asked before it is answered. */
static int shake_hands(struct fs *fs)
{
	struct fuse_buf buf = {};
	int r;

	do
		r = fuse_session_receive_buf(fs->session, &buf);
	while (r == -EINTR || r == -EAGAIN);
	if (r > 0)
		fuse_session_process_buf(fs->session, &buf);
	free(buf.mem);
	return r < 0 ? r : 0;
}

static int check_passthrough(struct fs *fs)
{
	struct utsname name;
	int r;

	uname(&name);
	if (!transport_has_passthrough(&fs->transport)) {
		log_error("this kernel (%s) has no FUSE passthrough; Linux 6.9 or newer with "
			  "CONFIG_FUSE_PASSTHROUGH is needed",
			  name.release);
		return -EOPNOTSUPP;
	}
	passthrough_init(&fs->passthrough, fs->transport.fd);
	r = passthrough_probe(&fs->passthrough, &fs->store);
	if (r == -EPERM)
		log_error("FUSE passthrough needs CAP_SYS_ADMIN on the host, not only in a container");
	else if (r < 0)
		log_error("FUSE passthrough to %s: %s", fs->options.store, strerror(-r));
	return r;
}

static int start_threads(struct fs *fs)
{
	int r;

	r = sweep_start(fs);
	if (r == 0)
		r = watch_start(fs);
	if (r == 0)
		r = slow_lane_start(fs);
	if (r == 0)
		r = reaper_start(fs);
	if (r == 0)
		r = promoter_start(fs);
	if (r == 0)
		r = events_start(fs);
	if (r == 0)
		r = workers_start(fs, fs->options.threads);
	if (r < 0)
		log_error("starting threads: %s", strerror(-r));
	return r;
}

/* Before there are threads: they all are born into it. */
static int give_up_rights(void)
{
	int r = confine();

	if (r < 0)
		log_error("giving up what is not needed: %s", strerror(-r));
	return r;
}

/* Ready means that the mount answers. */
static int ask_mount(struct fs *fs)
{
	struct stat st;

	if (stat(fs->options.mountpoint, &st) < 0) {
		int r = -errno;

		log_error("%s does not answer: %s", fs->options.mountpoint, strerror(-r));
		return r;
	}
	return 0;
}

/* From a store to a mount that answers. On failure the caller ends what has been started. */
static int start(struct fs *fs)
{
	SEGFS_CLOSE int mount_fd = -1;
	int r, fuse_fd;

	r = mount_create(&fs->options, &fs->store, &fuse_fd, &mount_fd);
	if (r == 0)
		devices_init(fs, mount_device(mount_fd));
	if (r == 0)
		r = open_session(fs, fuse_fd);
	if (r == 0)
		r = shake_hands(fs);
	if (r == 0)
		r = check_passthrough(fs);
	if (r == 0)
		r = give_up_rights();
	if (r == 0)
		r = start_threads(fs);
	if (r == 0)
		r = mount_attach(&fs->options, mount_fd);
	if (r == 0)
		r = ask_mount(fs);
	return r;
}

/* Ends whatever has been started, in reverse. */
static void tear_down(struct fs *fs)
{
	if (fs->dev[0])
		mount_detach(&fs->options, fs->dev[0]);
	workers_stop(fs);
	promoter_stop(fs);
	reaper_stop(fs);
	watch_stop(fs);
	slow_lane_stop(fs);
	sweep_stop(fs);
	events_stop(fs);
	if (fs->session)
		fuse_session_destroy(fs->session);
	node_table_destroy(&fs->nodes);
	view_table_destroy(&fs->views);
	control_destroy(fs);
	segfs_store_close(&fs->store);
}

/* Everything from the store up. 0, or -errno after a line in the log, with nothing left behind. */
static int bring_up(struct fs *fs)
{
	int r;

	r = open_store(fs);
	if (r < 0)
		return r;
	control_init(fs);
	shield_init();
	r = init_nodes(fs);
	if (r == 0)
		r = start(fs);
	if (r < 0)
		tear_down(fs);
	return r;
}

/* "requests: LOOKUP 12, GETATTR 3": how many of each kind have come. */
static void log_counts(const struct transport *transport)
{
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	for (unsigned i = 1; i < TRANSPORT_OPCODES; i++)
		if (transport->counts[i])
			fprintf(out, "%s%s %" PRIu64, ftell(out) ? ", " : "",
				transport_opcode_name(i) ?: "other", transport->counts[i]);
	if (close_text(out, &text) == 0)
		log_info("requests: %s", text);
}

/* Until a signal or the end of the mount. */
static void wait_for_end(struct fs *fs, int signals)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = signals, .events = POLLIN},
			{.fd = fs->workers.ended, .events = POLLIN},
		};
		struct signalfd_siginfo info;

		if (poll(fds, COUNT_OF(fds), -1) < 0)
			continue;
		if (fds[1].revents)
			return;
		if (read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGUSR1)
			return;
		log_counts(&fs->transport);
	}
}

/* Every thread inherits the mask, so that the signals wait for the one who reads them. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* A descriptor for each open directory, and a few besides: no reason to stay at the shell's limit. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int run(struct fs *fs, void (*ready)(void))
{
	SEGFS_CLOSE int signals = -1;
	int r;

	clock_gettime(CLOCK_REALTIME, &fs->started);
	raise_limits();
	umask(0);
	segfs_huge_allow(fs->options.huge != HUGE_NEVER);
	signals = open_signals();
	r = bring_up(fs);
	if (r < 0)
		return r;
	ready();
	log_info("%s mounted on %s", fs->options.store, fs->options.mountpoint);
	wait_for_end(fs, signals);
	tear_down(fs);
	log_info("%s unmounted from %s", fs->options.store, fs->options.mountpoint);
	return 0;
}

static int ready_pipe = -1;

/* In the background: no terminal, no directory held, the one who started us released. */
static void release_parent(void)
{
	int null = open("/dev/null", O_RDWR);

	log_to_syslog();
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (write(ready_pipe, "", 1) != 1)
		log_warning("nobody waited for the mount");
	close(ready_pipe);
}

static void stay(void)
{
}

/* The parent's exit status is the child's word, or its lack of one. */
static int wait_for_child(int from_child)
{
	char ready;

	return read(from_child, &ready, 1) == 1 ? EXIT_SUCCESS : EXIT_MOUNT;
}

static int run_in_background(struct fs *fs)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		log_error("going to the background: %s", strerror(errno));
		return EXIT_MOUNT;
	}
	if (pid > 0) {
		close(fds[1]);
		return wait_for_child(fds[0]);
	}
	close(fds[0]);
	ready_pipe = fds[1];
	setsid();
	if (chdir("/") < 0)
		log_warning("chdir /: %s", strerror(errno));
	return run(fs, release_parent) < 0 ? EXIT_MOUNT : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct fs fs = {
		.watch = {.inotify = -1, .wake = -1},
		.reaper = {.wake = -1, .timer = -1, .epoll = -1, .uses.fd = -1},
		.workers.ended = -1,
		.control_above = -1,
	};
	int status;

	switch (options_parse(argc, argv, &fs.options)) {
	case OPTIONS_DONE:
		return EXIT_SUCCESS;
	case OPTIONS_BAD:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	if (fs.options.foreground)
		status = run(&fs, stay) < 0 ? EXIT_MOUNT : EXIT_SUCCESS;
	else
		status = run_in_background(&fs);
	options_clear(&fs.options);
	return status;
}
