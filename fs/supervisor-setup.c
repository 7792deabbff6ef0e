/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "log.h"
#include "mount.h"
#include "options.h"
#include "sentinel.h"
#include "supervisor-internal.h"
#include "transport.h"
#include "util.h"

static int open_store(const struct options *options, struct segfs_store *ret_store)
{
	const char *path = options->store;
	int r = segfs_store_open(path, ret_store);

	if (r == -EMEDIUMTYPE)
		log_error("store %s is not on tmpfs; take /dev/shm, or mount -t tmpfs tmpfs DIRECTORY", path);
	else if (r == -EPERM || r == -EACCES)
		log_error("mounting needs root with CAP_SYS_ADMIN: sudo segfs %s %s", path,
			  options->mountpoint);
	else if (r == -ENOTDIR)
		log_error("store %s: not a directory; take /dev/shm, or a directory in it", path);
	else if (r < 0)
		log_error("store %s: %s", path, strerror(-r));
	return r;
}

static int open_ledger(struct supervisor *supervisor)
{
	int r = ledger_create(&supervisor->link.ledger);

	if (r == 0)
		r = ledger_map(&supervisor->ledger, supervisor->link.ledger);
	if (r < 0)
		log_error("memory for what outlives a worker: %s", strerror(-r));
	return r;
}

static int open_mount(struct supervisor *supervisor)
{
	struct link *link = &supervisor->link;
	int r = mount_create(supervisor->options, &supervisor->store, &link->fuse, &link->mount);

	if (r < 0)
		return r;
	link->store = supervisor->store.root_fd;
	supervisor->dev = mount_device(link->mount);
	supervisor->control = mount_open_control(supervisor->dev);
	r = transport_keep_init(link->fuse, supervisor->ledger.page);
	if (r < 0)
		log_error("/dev/fuse: %s", strerror(-r));
	return r;
}

static void start_sentinel(const struct supervisor *supervisor)
{
	int r = sentinel_start(supervisor->control);

	if (r < 0)
		log_warning("nobody watches over the supervisor: %s", strerror(-r));
}

/* Every worker inherits the mask, so that the signals wait for the one who reads them. */
static int open_signals(void)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
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

int supervisor_bring_up(struct supervisor *supervisor, int argc, char **argv)
{
	int r;

	supervisor->signals = open_signals();
	raise_limits();
	umask(0);
	r = open_store(supervisor->options, &supervisor->store);
	if (r == 0)
		supervisor->link.above = control_open_above(supervisor->options->store);
	if (r == 0)
		r = open_ledger(supervisor);
	if (r == 0)
		r = open_mount(supervisor);
	if (r == 0)
		start_sentinel(supervisor);
	if (r == 0)
		r = child_program_init(&supervisor->program, supervisor->options, argc, argv);
	return r;
}

static void kill_and_wait(pid_t pid)
{
	if (pid > 0 && kill(pid, SIGKILL) == 0)
		waitpid(pid, NULL, 0);
}

void supervisor_tear_down(struct supervisor *supervisor)
{
	if (supervisor->dev)
		mount_detach(supervisor->options, supervisor->dev);
	close_fd(&supervisor->link.fuse); /* ends the connection, and with it whatever waits for it */
	kill_and_wait(supervisor->next.pid);
	child_clear(&supervisor->next);
	child_clear(&supervisor->worker);
	pins_clear(&supervisor->pins);
	child_program_clear(&supervisor->program);
	close_fd(&supervisor->control);
	close_fd(&supervisor->signals);
	close_fd(&supervisor->link.mount);
	close_fd(&supervisor->link.above);
	close_fd(&supervisor->link.ledger);
	ledger_unmap(&supervisor->ledger);
	segfs_store_close(&supervisor->store);
	free(supervisor->binary);
}
