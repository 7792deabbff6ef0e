/* SPDX-License-Identifier: MIT */

/*
 * metadata PLACE {N MOUNT_FILE TMPFS_FILE NULL_FILE}...: what it costs to ask for one file, beside the same
 * on a tmpfs, beside a FUSE daemon that does nothing, and beside the least that any daemon could take, a byte
 * to another process and one back. N, how many files there are beside this one, goes into the lines.
 *
 * PLACE is where this process and the one that sends bytes back run: `anywhere` the scheduler puts them,
 * `one` processor for both, or `two`. The daemons are put there by who starts this.
 *
 * All are asked in turns, so that how the cost grows with N can be told from how the machine drifts.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "pin.h"
#include "rounds.h"

/* N, by the mount, on tmpfs, by the daemon that does nothing. */
enum { FILE_ARGS = 4 };

static const char *const *paths;
static int there[2], back[2];

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

static double on_null(int times)
{
	return time_of(paths[3], times);
}

static double by_pipe(int times)
{
	double begin = now_ns();
	char byte = 0;

	for (int i = 0; i < times; i++) {
		check((int)write(there[1], &byte, 1));
		check((int)read(back[0], &byte, 1));
	}
	return now_ns() - begin;
}

static void answer(void)
{
	char byte;

	close(there[1]);
	while (read(there[0], &byte, 1) == 1)
		check((int)write(back[1], &byte, 1));
	_exit(0);
}

static void start_answering(int processor)
{
	pid_t pid;

	check(pipe2(there, O_CLOEXEC));
	check(pipe2(back, O_CLOEXEC));
	pid = fork();
	check(pid);
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (processor >= 0)
		pin((unsigned)processor);
	answer();
}

static const struct side sides[] = {
	{"segfs", on_mount},
	{"tmpfs", on_tmpfs},
	{"a FUSE daemon that does nothing", on_null},
	{"pipe, there and back", by_pipe},
};

static const struct place {
	const char *name, *suffix;
	int ours, others; /* processors, -1 any */
} places[] = {
	{"anywhere", "", -1, -1},
	{"one", ", all on one processor", 0, 0},
	{"two", ", on two processors", 0, 1},
};

static const struct place *place_of(const char *name)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!strcmp(name, places[i].name))
			return &places[i];
	errx(2, "no place: %s", name);
}

static void measure(const struct place *place, const char *const *files, int n)
{
	double end_ns = in_seconds(15);
	int rounds = rounds_of(31), times = times_of(500);
	char name[64];

	snprintf(name, sizeof(name), "%s%s", works[work].name, place->suffix);
	for (int i = 0; goes_on(i, rounds, end_ns); i++)
		for (int k = 0; k < n; k++) {
			paths = files + FILE_ARGS * (i % 2 ? k : n - 1 - k);
			take_turns(name, paths[0], sides, sizeof(sides) / sizeof(sides[0]), i, times);
		}
}

int main(int argc, char **argv)
{
	const struct place *place;

	if (argc < 2 + FILE_ARGS || (argc - 2) % FILE_ARGS != 0)
		errx(2, "usage: metadata anywhere|one|two {N MOUNT_FILE TMPFS_FILE NULL_FILE}...");
	place = place_of(argv[1]);
	start_answering(place->others);
	if (place->ours >= 0)
		pin((unsigned)place->ours);
	for (work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		measure(place, (const char *const *)argv + 2, (argc - 2) / FILE_ARGS);
	return 0;
}
