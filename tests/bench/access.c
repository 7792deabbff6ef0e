/* SPDX-License-Identifier: MIT */

/*
 * access STORE_FILE MOUNT_FILE: what reading one segment costs by the store's path and by the mount's.
 *
 * Both sides in turn, many rounds, medians of each and the median of the ratios round by round: a machine's
 * drift hits both. Prints a Markdown table. The file is 256 MiB and resident.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 256 << 20, ROUNDS = 101 };

struct side {
	int fd;
	uint64_t *map;
};

static char buffer[1 << 20];

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static struct side open_side(const char *path)
{
	struct side side = {.fd = open(path, O_RDWR | O_CLOEXEC)};

	if (side.fd < 0)
		err(1, "%s", path);
	side.map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, side.fd, 0);
	if (side.map == MAP_FAILED)
		err(1, "mmap %s", path);
	return side;
}

/* Reads 16 MiB in pieces, each from another place. */
static void pread_pieces(const struct side *side, size_t piece)
{
	for (size_t done = 0; done < 16 << 20; done += piece)
		if (pread(side->fd, buffer, piece, (off_t)(done * 7 % SIZE)) != (ssize_t)piece)
			err(1, "pread");
}

static volatile uint64_t sink;

static void scan(const struct side *side, size_t unused)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SIZE / sizeof(sum); i++)
		sum += side->map[i];
	sink = sum;
}

/* A cache line in each of 2^18 places, in an order that no prefetcher guesses. */
static void wander(const struct side *side, size_t unused)
{
	uint64_t at = 1;

	for (int i = 0; i < 1 << 18; i++) {
		at = at * UINT64_C(6364136223846793005) + side->map[at % (SIZE / 8)] + 1;
		sink = at;
	}
}

static void copy_in(const struct side *side, size_t piece)
{
	for (size_t done = 0; done < 64 << 20; done += piece)
		memcpy((char *)side->map + done, buffer, piece);
}

static const struct {
	const char *name;
	void (*run)(const struct side *side, size_t piece);
	size_t piece;
} works[] = {
	{"pread of 4 KiB", pread_pieces, 4 << 10}, {"pread of 64 KiB", pread_pieces, 64 << 10},
	{"pread of 1 MiB", pread_pieces, 1 << 20}, {"warm mapped scan, 256 MiB", scan, 0},
	{"random reads of a mapping", wander, 0},  {"memcpy into a mapping", copy_in, 1 << 20},
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static double time_of(const struct side *side, size_t work)
{
	double start = now_us();

	works[work].run(side, works[work].piece);
	return now_us() - start;
}

static void measure(const struct side *store, const struct side *mount, size_t work)
{
	static double on_store[ROUNDS], on_mount[ROUNDS], ratios[ROUNDS];

	time_of(store, work);
	time_of(mount, work);
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 2)
			on_mount[i] = time_of(mount, work);
		on_store[i] = time_of(store, work);
		if (i % 2 == 0)
			on_mount[i] = time_of(mount, work);
		ratios[i] = on_mount[i] / on_store[i];
	}
	printf("| %s | %.0f us | %.0f us | %.3f |\n", works[work].name, median(on_store), median(on_mount),
	       median(ratios));
}

int main(int argc, char **argv)
{
	struct side store, mount;

	if (argc != 3)
		errx(2, "usage: access STORE_FILE MOUNT_FILE");
	store = open_side(argv[1]);
	mount = open_side(argv[2]);
	puts("| work | store | mount | mount / store |\n| --- | --- | --- | --- |");
	for (size_t work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		measure(&store, &mount, work);
	return 0;
}
