/* SPDX-License-Identifier: MIT */

/*
 * metadata {N MOUNT_FILE TMPFS_FILE}...: what it costs to ask for one file, beside the same on a tmpfs and
 * beside the least that any daemon could take, a byte to another process and one back. N, how many files
 * there are beside this one, goes into the lines.
 *
 * All are asked in turns, so that how the cost grows with N can be told from how the machine drifts.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "pin.h"
#include "rounds.h"

struct echo {
	int there[2], back[2];
};

static const char *const *paths; /* N, by the mount, on tmpfs */
static struct echo near, far;

static void check(int r)
{
	if (r < 0)
		err(1, "metadata");
}

static void do_stat(const char *path)
{
	struct stat st;

	check(stat(path, &st));
}

static void do_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	check(fd);
	close(fd);
}

static void do_getxattr(const char *path)
{
	char value[32];

	check((int)getxattr(path, "user.shm.shape", value, sizeof(value)));
}

static void do_setxattr(const char *path)
{
	check(setxattr(path, "user.note", "x", 1, 0));
}

static const struct {
	const char *name;
	void (*run)(const char *path);
} works[] = {
	{"stat", do_stat},
	{"open and close", do_open},
	{"getxattr", do_getxattr},
	{"setxattr", do_setxattr},
};

static size_t work;

static double time_of(const char *path, int times)
{
	double begin = now_ns();

	for (int i = 0; i < times; i++)
		works[work].run(path);
	return now_ns() - begin;
}

static double on_mount(int times)
{
	return time_of(paths[1], times);
}

static double on_tmpfs(int times)
{
	return time_of(paths[2], times);
}

static void answer(const struct echo *echo)
{
	char byte;

	while (read(echo->there[0], &byte, 1) == 1)
		check((int)write(echo->back[1], &byte, 1));
	_exit(0);
}

/* A process that sends back each byte: on its own processor, or wherever the scheduler puts it. */
static void start_answering(struct echo *echo, bool pinned)
{
	pid_t pid;

	check(pipe2(echo->there, O_CLOEXEC));
	check(pipe2(echo->back, O_CLOEXEC));
	pid = fork();
	check(pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pinned)
			pin(1);
		close(echo->there[1]);
		answer(echo);
	}
}

static double by_pipe(const struct echo *echo, int times)
{
	double begin = now_ns();
	char byte = 0;

	for (int i = 0; i < times; i++) {
		check((int)write(echo->there[1], &byte, 1));
		check((int)read(echo->back[0], &byte, 1));
	}
	return now_ns() - begin;
}

static double by_near_pipe(int times)
{
	return by_pipe(&near, times);
}

static double by_far_pipe(int times)
{
	cpu_set_t all;
	double ns;

	check(sched_getaffinity(0, sizeof(all), &all));
	pin(0);
	ns = by_pipe(&far, times);
	check(sched_setaffinity(0, sizeof(all), &all));
	return ns;
}

static const struct side sides[] = {
	{"segfs", on_mount},
	{"tmpfs", on_tmpfs},
	{"pipe, there and back", by_near_pipe},
	{"pipe between two processors", by_far_pipe},
};

static void measure(const char *const *files, int n)
{
	double end_ns = in_seconds(15);
	int rounds = rounds_of(31), times = times_of(500);

	for (int i = 0; goes_on(i, rounds, end_ns); i++)
		for (int k = 0; k < n; k++) {
			paths = files + 3 * (i % 2 ? k : n - 1 - k);
			take_turns(works[work].name, paths[0], sides, sizeof(sides) / sizeof(sides[0]), i,
				   times);
		}
}

int main(int argc, char **argv)
{
	if (argc < 4 || argc % 3 != 1)
		errx(2, "usage: metadata {N MOUNT_FILE TMPFS_FILE}...");
	start_answering(&near, false);
	start_answering(&far, true);
	for (work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		measure((const char *const *)argv + 1, argc / 3);
	return 0;
}
