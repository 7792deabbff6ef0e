/* SPDX-License-Identifier: MIT */

/*
 * access PEER=FILE...: what reading and writing a resident file costs by each of several paths.
 *
 * The files are of one size, of at least 16 MiB, and zero. Two paths may lead to one file.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rounds.h"

enum { MAX_PATHS = 8 };

struct path {
	const char *peer; /* NUL-terminated part of the argument, as is the name of the file */
	int fd;
	uint64_t *map;
	size_t size;
};

static char buffer[1 << 20];

static struct path open_path(char *argument)
{
	const char *peer = strsep(&argument, "="), *name = argument ? argument : "";
	struct path path = {.peer = peer, .fd = open(name, O_RDWR | O_CLOEXEC)};
	struct stat st;

	if (path.fd < 0 || fstat(path.fd, &st) < 0)
		err(1, "%s", name);
	path.size = (size_t)st.st_size;
	path.map = mmap(NULL, path.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, path.fd, 0);
	if (path.map == MAP_FAILED)
		err(1, "mmap %s", name);
	return path;
}

/* Reads 16 MiB in pieces, each from another place. */
static void pread_pieces(const struct path *path, size_t piece)
{
	for (size_t done = 0; done < 16 << 20; done += piece)
		if (pread(path->fd, buffer, piece, (off_t)(done * 7 % path->size)) != (ssize_t)piece)
			err(1, "pread");
}

static volatile uint64_t sink;

static void scan(const struct path *path, size_t unused)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < path->size / sizeof(sum); i++)
		sum += path->map[i];
	sink = sum;
}

/* A cache line in each of 2^18 places, in an order that no prefetcher guesses. */
static void wander(const struct path *path, size_t unused)
{
	uint64_t at = 1;

	for (int i = 0; i < 1 << 18; i++) {
		at = at * UINT64_C(6364136223846793005) + path->map[at % (path->size / 8)] + 1;
		sink = at;
	}
}

static void copy_in(const struct path *path, size_t piece)
{
	for (size_t done = 0; done < 64 << 20; done += piece)
		memcpy((char *)path->map + done % path->size, buffer, piece);
}

static void copy_out(const struct path *path, size_t piece)
{
	for (size_t done = 0; done < 64 << 20; done += piece)
		memcpy(buffer, (char *)path->map + done % path->size, piece);
}

static const struct {
	const char *name;
	void (*run)(const struct path *path, size_t piece);
	size_t piece;
} works[] = {
	{"pread of 4 KiB", pread_pieces, 4 << 10},	{"pread of 64 KiB", pread_pieces, 64 << 10},
	{"pread of 1 MiB", pread_pieces, 1 << 20},	{"warm scan of a mapping", scan, 0},
	{"random reads of a mapping", wander, 0},	{"memcpy into a mapping", copy_in, 1 << 20},
	{"memcpy out of a mapping", copy_out, 1 << 20},
};

static struct path paths[MAX_PATHS];
static int n_paths;

/* All paths, the order reversed every other round; the first round warms up. */
static void use_paths(size_t work, int round)
{
	for (int k = 0; k < n_paths; k++) {
		const struct path *path = &paths[round % 2 ? k : n_paths - 1 - k];
		double begin = now_ns();

		works[work].run(path, works[work].piece);
		if (round > 0)
			emit(works[work].name, path->peer, "", now_ns() - begin, "ns");
	}
}

static void measure(size_t work)
{
	double end_ns = in_seconds(8);
	int rounds = rounds_of(51);

	for (int i = 0; goes_on(i, rounds, end_ns); i++)
		use_paths(work, i);
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > MAX_PATHS + 1)
		errx(2, "usage: access PEER=FILE...");
	while (n_paths < argc - 1) {
		paths[n_paths] = open_path(argv[n_paths + 1]);
		n_paths++;
	}
	describe(
		"Data path",
		"A resident segment of 256 MiB, mapped and populated, by its path in the mount and by its path "
		"in the store, the same pages; beside a file on a plain /dev/shm, and one by bindfs, a FUSE file "
		"system of a directory that knows no passthrough. C. pread: 16 MiB in pieces from changing "
		"places; random reads: 262,144, each depends on the one before; memcpy: 64 MiB in pieces of 1 "
		"MiB.");
	for (size_t work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		measure(work);
	return 0;
}
