/* SPDX-License-Identifier: MIT */

/*
 * makers N DIRECTORY: N processes that each make a segment there, called by their number, and hold it open
 * until they are killed. Prints their pids, a line each, when all segments are there; waits for all of them
 * to end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void make(const char *directory, int number, int ready)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%d", directory, number);
	fd = open(path, O_CREAT | O_EXCL | O_RDWR, 0644);
	if (fd < 0 || ftruncate(fd, 4096) < 0 || write(ready, "x", 1) != 1) {
		perror(path);
		_exit(1);
	}
	pause();
	_exit(0);
}

int main(int argc, char **argv)
{
	int n = argc == 3 ? atoi(argv[1]) : 0, pipe_fds[2];
	char ready;

	if (n <= 0 || pipe(pipe_fds) < 0)
		return 2;
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid == 0)
			make(argv[2], i, pipe_fds[1]);
		printf("%d\n", pid);
	}
	close(pipe_fds[1]);
	for (int i = 0; i < n; i++)
		if (read(pipe_fds[0], &ready, 1) != 1)
			return 1;
	fflush(stdout);
	while (wait(NULL) > 0)
		;
	return 0;
}
