/* SPDX-License-Identifier: MIT */

/*
 * metadata MOUNT_FILE TMPFS_FILE PARAMETER: what it costs to ask for one file, beside the same on a tmpfs and
 * beside the least that any daemon could take, a byte to another process and one back. PARAMETER, how many
 * files there are beside this one, goes into the lines.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "rounds.h"

static const char *paths[2];
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
	return time_of(paths[0], times);
}

static double on_tmpfs(int times)
{
	return time_of(paths[1], times);
}

static void answer(void)
{
	char byte;

	while (read(there[0], &byte, 1) == 1)
		check((int)write(back[1], &byte, 1));
	_exit(0);
}

static void start_answering(void)
{
	pid_t pid;

	check(pipe2(there, O_CLOEXEC));
	check(pipe2(back, O_CLOEXEC));
	pid = fork();
	check(pid);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(there[1]);
		answer();
	}
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

int main(int argc, char **argv)
{
	static const struct side sides[] = {
		{"segfs", on_mount}, {"tmpfs", on_tmpfs}, {"pipe, there and back", by_pipe}};

	if (argc != 4)
		errx(2, "usage: metadata MOUNT_FILE TMPFS_FILE PARAMETER");
	paths[0] = argv[1];
	paths[1] = argv[2];
	start_answering();
	for (work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		alternate(works[work].name, argv[3], sides, 3, 31, 1000);
	return 0;
}
