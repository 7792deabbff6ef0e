/* SPDX-License-Identifier: MIT */

/*
 * access STORE_FILE MOUNT_FILE: what reading one segment costs by the store's path and by the mount's.
 *
 * The file is resident; of at least 16 MiB.
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

struct path {
	int fd;
	uint64_t *map;
	size_t size;
};

static char buffer[1 << 20];

static struct path open_path(const char *name)
{
	struct path path = {.fd = open(name, O_RDWR | O_CLOEXEC)};
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

static struct path store, mount;
static size_t work;

static double time_of(const struct path *path, int times)
{
	double start = now_ns();

	for (int i = 0; i < times; i++)
		works[work].run(path, works[work].piece);
	return now_ns() - start;
}

static double by_mount(int times)
{
	return time_of(&mount, times);
}

static double by_store(int times)
{
	return time_of(&store, times);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: access STORE_FILE MOUNT_FILE");
	store = open_path(argv[1]);
	mount = open_path(argv[2]);
	describe("Data path",
		 "One resident segment of 256 MiB, mapped and populated by the path in the mount and by "
		 "the path in the store, the same pages. C. pread: 16 MiB in pieces from changing "
		 "places; random reads: 262,144; memcpy: 64 MiB in pieces of 1 MiB.");
	for (work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		alternate(works[work].name, "", (struct side[]){{"segfs", by_mount}, {"tmpfs", by_store}}, 2,
			  101, 1);
	return 0;
}
