/* SPDX-License-Identifier: MIT */

/* From a connection that the supervisor holds to a mount that answers, and to its end. Read first: start().
 */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "assembly.h"
#include "background.h"
#include "confine.h"
#include "crash.h"
#include "fs.h"
#include "huge.h"
#include "link.h"
#include "log.h"
#include "mount.h"
#include "shield.h"
#include "util.h"

static bool is_first(const struct fs *fs)
{
	return !fs->ledger.page->attached;
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
	passthrough_init(&fs->passthrough, fs->transport.fd, &fs->ledger);
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

	r = assembly_start(fs);
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

/*
 * A thread that does nothing, and whose end is that of the process. (The end of the process itself is told
 * only when its last thread has ended, which the watching one may be kept from: watch.h.)
 */
static void *be_canary(void *data)
{
	int supervisor = (int)(intptr_t)data; /* no pointer: all else may have ended when this begins */

	link_send(supervisor, LINK_CANARY, (uint64_t)gettid(), -1);
	for (;;)
		poll(NULL, 0, -1);
	return NULL;
}

static int start_canary(const struct fs *fs)
{
	pthread_t thread;
	int r = -pthread_create(&thread, NULL, be_canary, (void *)(intptr_t)fs->supervisor);

	return r < 0 ? r : -pthread_detach(thread);
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

/* One that was killed between the two steps has attached it. */
static int attach(struct fs *fs, int mount_fd)
{
	int r = 0;

	if (!mount_is_attached(&fs->options, fs->dev[0]))
		r = mount_attach(&fs->options, mount_fd);
	if (r == 0)
		r = ask_mount(fs);
	if (r == 0)
		fs->ledger.page->attached = true;
	return r;
}

struct attachment {
	struct fs *fs;
	int mount_fd, result;
};

static void *run_attachment(void *data)
{
	struct attachment *attachment = data;

	pthread_setname_np(pthread_self(), ATTACH_THREAD);
	attachment->result = attach(attachment->fs, attachment->mount_fd);
	return NULL;
}

/* By a thread of its own: were this process killed meanwhile, it would wait for a successor's answer, and the
 * successor must not wait for it. Takes the descriptor over. */
static int attach_first(struct fs *fs, int mount_fd)
{
	SEGFS_CLOSE int fd = mount_fd;
	struct attachment attachment = {.fs = fs, .mount_fd = fd};
	pthread_t thread;
	int r;

	if (!is_first(fs))
		return 0;
	r = -pthread_create(&thread, NULL, run_attachment, &attachment);
	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	return attachment.result;
}

/* From the ledger to a mount that answers. On failure the caller ends what has been started. */
static int start(struct fs *fs, const struct link *link)
{
	int r;

	r = assembly_open(fs, mount_device(link->mount), link->fuse);
	if (r == 0)
		r = shake_hands(fs);
	if (r == 0)
		r = check_passthrough(fs);
	if (r == 0)
		r = give_up_rights();
	if (r == 0)
		r = start_canary(fs);
	if (r == 0)
		r = transport_resend(&fs->transport);
	if (r == 0)
		r = start_threads(fs);
	return r < 0 ? r : attach_first(fs, link->mount);
}

/* The next word of the supervisor; LINK_STOP also if it has ended. */
static enum link_kind hear(struct fs *fs)
{
	struct link_message message;
	int fd;

	if (link_receive(fs->supervisor, &message, &fd) <= 0)
		return LINK_STOP;
	close_fd(&fd);
	return (enum link_kind)message.kind;
}

/* Until the mount has gone, or the supervisor wants it to end. Where there is no room for a reply, as many
 * pins are on their way to it, the reply comes later: it must not be lost. */
static void wait_for_end(struct fs *fs)
{
	bool owes_reply = false;

	for (;;) {
		struct pollfd fds[] = {
			{.fd = fs->supervisor, .events = owes_reply ? POLLIN | POLLOUT : POLLIN},
			{.fd = fs->workers.ended, .events = POLLIN},
		};
		enum link_kind kind = LINK_PONG;

		if (poll(fds, COUNT_OF(fds), -1) < 0)
			continue;
		if (fds[1].revents)
			return;
		if (fds[0].revents & ~POLLOUT)
			kind = hear(fs);
		if (kind == LINK_STOP)
			return;
		owes_reply |= kind == LINK_PING;
		if (owes_reply)
			owes_reply = link_send(fs->supervisor, LINK_PONG, 0, -1) == -EAGAIN;
	}
}

static int serve(struct fs *fs, const struct link *link)
{
	int r;

	link_send(fs->supervisor, LINK_HELLO, 0, -1);
	while ((r = hear(fs)) != LINK_GO)
		if (r == LINK_STOP)
			return 0;
	r = start(fs, link);
	if (r < 0)
		return r;
	background_leave(&fs->options);
	link_send(fs->supervisor, LINK_READY, 0, -1);
	wait_for_end(fs);
	return 0;
}

/*
 * It ends with the supervisor. And it leaves no core: that would have to wait for each thread, among them one
 * that may be waiting in the kernel for a directory which only the next worker's answer sets free.
 */
static void bind_to(pid_t supervisor)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	if (getppid() != supervisor)
		raise(SIGKILL);
}

int worker_run(const struct options *options, const struct link *link)
{
	struct fs fs;
	int r;

	assembly_init(&fs, options);
	fs.supervisor = link->socket;
	fs.control_above = link->above;
	r = ledger_map(&fs.ledger, link->ledger);
	if (r < 0) {
		log_error("this binary is of another version than the daemon: umount and mount again");
		return EXIT_FAILURE;
	}
	bind_to(fs.ledger.page->supervisor);
	segfs_huge_allow(options->huge != HUGE_NEVER);
	crash_install();
	shield_init();
	r = segfs_store_adopt(link->store, &fs.store);
	if (r == 0)
		r = serve(&fs, link);
	assembly_end(&fs);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
