/* SPDX-License-Identifier: MIT */
#include "background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "options.h"

static int ready_pipe = -1;

void background_leave(const struct options *options)
{
	int null;

	if (options->foreground)
		return;
	null = open("/dev/null", O_RDWR);
	log_to_syslog();
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

void background_ready(void)
{
	if (ready_pipe < 0)
		return;
	if (write(ready_pipe, "", 1) != 1)
		log_warning("nobody waited for the mount");
	close(ready_pipe);
	ready_pipe = -1;
}

/* The parent's exit status is the child's word, or its lack of one. */
static int wait_for_child(int from_child, int failure)
{
	char ready;

	return read(from_child, &ready, 1) == 1 ? EXIT_SUCCESS : failure;
}

int background_enter(int failure)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0)
		return -errno;
	if (pid > 0) {
		close(fds[1]);
		_exit(wait_for_child(fds[0], failure));
	}
	close(fds[0]);
	ready_pipe = fds[1];
	setsid();
	if (chdir("/") < 0)
		log_warning("chdir /: %s", strerror(errno));
	return 0;
}
