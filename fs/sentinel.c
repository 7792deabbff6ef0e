/* SPDX-License-Identifier: MIT */
#include "sentinel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

/* Not found by who kills processes named segfs. */
#define NAME "shm-sentinel"

/* As Linux 5.9 and glibc 2.34 have it. */
static void close_all_but(int a, int b)
{
	unsigned low = (unsigned)MIN(a, b), high = (unsigned)MAX(a, b);

	if (low > 0)
		close_range(0, low - 1, 0);
	if (high - low > 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, UINT_MAX, 0);
}

/* Of a connection that has ended, the write changes nothing. */
static _Noreturn void wait_for_end(int supervisor, int abort_fd)
{
	struct pollfd pollfd = {.fd = supervisor, .events = POLLIN};

	prctl(PR_SET_NAME, NAME);
	close_all_but(supervisor, abort_fd);
	confine();
	while (poll(&pollfd, 1, -1) < 0 && errno == EINTR)
		;
	_exit(write(abort_fd, "1", 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int sentinel_start(int control)
{
	SEGFS_CLOSE int supervisor = -1, abort_fd = -1;
	pid_t pid;

	if (control < 0)
		return 0;
	abort_fd = openat(control, "abort", O_WRONLY | O_CLOEXEC);
	supervisor = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (abort_fd < 0 || supervisor < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) { /* its child is nobody's here */
		pid = fork();
		if (pid == 0)
			wait_for_end(supervisor, abort_fd);
		_exit(pid < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	return waitpid(pid, NULL, 0) < 0 ? -errno : 0;
}
