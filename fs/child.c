/* SPDX-License-Identifier: MIT */
#include "child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "options.h"
#include "pins.h"
#include "util.h"
#include "watch.h"
#include "worker.h"

#ifndef PIDFD_THREAD /* Linux 6.9 */
#define PIDFD_THREAD O_EXCL
#endif

int64_t child_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* As the supervisor was called, with the paths that it has found. */
int child_program_init(struct child_program *program, const struct options *options, int argc, char **argv)
{
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	int n = 0;

	if (!words)
		return -ENOMEM;
	words[n++] = argv[0];
	words[n++] = (char *)(uintptr_t) "--worker";
	for (int i = 1; i < argc - 2; i++)
		words[n++] = argv[i];
	words[n++] = options->store;
	words[n] = options->mountpoint;
	*program = (struct child_program){.fd = -1, .argv = words};
	return 0;
}

void child_program_clear(struct child_program *program)
{
	close_fd(&program->fd);
	free_pointer(&program->argv);
}

/* A copy of a pin would outlive the supervisor's, and the file be kept for as long as this process lives. */
static _Noreturn void be_worker(const struct options *options, const struct link *link,
				const struct child_program *program, struct pins *pins)
{
	pins_clear(pins);
	if (program->fd < 0)
		exit(worker_run(options, link));
	if (link_bequeath(link) == 0)
		execveat(program->fd, "", program->argv, environ, AT_EMPTY_PATH);
	_exit(EXIT_FAILURE);
}

int child_start(struct child *child, const struct options *options, const struct link *link,
		const struct child_program *program, struct pins *pins)
{
	struct link of_child = *link;
	int sockets[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(sockets[0]);
		of_child.socket = sockets[1];
		be_worker(options, &of_child, program, pins);
	}
	close(sockets[1]);
	if (pid < 0) {
		int r = -errno;

		close(sockets[0]);
		return r;
	}
	*child = (struct child){.pid = pid, .socket = sockets[0], .canary = -1, .start_ns = child_now_ns()};
	return 0;
}

int child_watch(struct child *child, pid_t canary)
{
	child->canary = (int)syscall(SYS_pidfd_open, canary, PIDFD_THREAD);
	return child->canary < 0 ? -errno : 0;
}

/* One of its threads, as proc_pid_stat(5) has it: R, S, T, Z and so on. X if it is no more. *ret_counts: it
 * is none of those that may wait for the mount itself. */
static char state_of(const struct child *child, const char *tid, bool *ret_counts)
{
	char path[300], line[128], *end, state = 'X';
	FILE *file;

	*ret_counts = true;
	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", child->pid, tid);
	file = fopen(path, "re");
	if (!file)
		return state;
	if (fgets(line, sizeof(line), file) && (end = strrchr(line, ')'))) {
		state = end[2];
		*ret_counts = !strstr(line, "(" WATCH_THREAD ")") && !strstr(line, "(" ATTACH_THREAD ")");
	}
	fclose(file);
	return state;
}

/* Has it ended, or is it one that does not count? */
static bool is_thread_spent(const struct child *child, const char *tid)
{
	bool counts;
	char state = state_of(child, tid, &counts);

	return state == 'Z' || state == 'X' || !counts;
}

static bool main_thread_is(const struct child *child, char state)
{
	char tid[16];
	bool counts;

	snprintf(tid, sizeof(tid), "%d", child->pid);
	return state_of(child, tid, &counts) == state;
}

bool child_is_stopped(const struct child *child)
{
	return main_thread_is(child, 'T');
}

bool child_is_starved(const struct child *child)
{
	return main_thread_is(child, 'R');
}

static void close_directory(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

bool child_is_spent(const struct child *child)
{
	SEGFS_CLEANUP(close_directory) DIR *threads = NULL;
	const struct dirent *entry;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", child->pid);
	threads = opendir(path);
	if (!threads)
		return true;
	while ((entry = readdir(threads)))
		if (*entry->d_name != '.' && !is_thread_spent(child, entry->d_name))
			return false;
	return true;
}

void child_clear(struct child *child)
{
	close_fd(&child->socket);
	close_fd(&child->canary);
	*child = (struct child)CHILD_NONE;
}
