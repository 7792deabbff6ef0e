/* SPDX-License-Identifier: MIT */

/*
 * slots [WORKERS]: workers, one process each, add to the number in their row: rows side by side, and rows as
 * segfs/slots.h pads them. In turn, medians and the median of the ratios round by round. As many workers as
 * processors unless told otherwise. Prints a Markdown table.
 */
#include <segfs/segment.h>
#include <segfs/slots.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"
#include "pin.h"

enum { ROUNDS = 101, ADDITIONS = 200000, WORKERS_MAX = 256 };

struct side {
	struct segfs_segment segment;
	char *file;
};

static unsigned n_workers;
static struct shared {
	uint32_t here; /* workers wait for each other before they begin */
	double ns[WORKERS_MAX];
} * shared;

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void check(int r)
{
	if (r < 0)
		errx(1, "%s", strerror(-r));
}

static struct side make_side(int padded)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct segfs_dtype *dtype;
	char shape[16];
	struct side side;

	if (fd < 0)
		err(1, "/dev/shm");
	snprintf(shape, sizeof(shape), "%u", n_workers);
	check(segfs_dtype_parse("<u8", 3, &dtype));
	if (padded) {
		check(segfs_slots_format(fd, dtype, NULL, 0, n_workers));
	} else {
		check(segfs_segment_set(fd, SEGFS_ATTR_DTYPE, "<u8", 3, 0));
		check(segfs_segment_set(fd, SEGFS_ATTR_SHAPE, shape, strlen(shape), 0));
	}
	check(segfs_segment_read(fd, &side.segment));
	side.file = mmap(NULL, side.segment.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (side.file == MAP_FAILED)
		err(1, "mmap");
	segfs_dtype_free(dtype);
	close(fd);
	return side;
}

static uint64_t *row_of(const struct side *side, unsigned worker)
{
	return (uint64_t *)(side->file + worker * side->segment.array.dtype->itemsize);
}

/* A load and a store, which do where nobody else writes the number. */
static void add_plain(uint64_t *row)
{
	for (int i = 0; i < ADDITIONS; i++)
		count_store_relaxed(row, count_load_relaxed(row) + 1);
}

static void add_atomic(uint64_t *row)
{
	for (int i = 0; i < ADDITIONS; i++)
		count_add_release(row, 1);
}

static const struct {
	const char *name;
	void (*run)(uint64_t *row);
} works[] = {
	{"load and store", add_plain},
	{"atomic addition", add_atomic},
};

static void worker(size_t work, uint64_t *row, double *ret_ns)
{
	double start;

	word_add_seq_cst(&shared->here, 1);
	while (word_load_acquire(&shared->here) < n_workers)
		cpu_pause();
	start = now_ns();
	works[work].run(row);
	*ret_ns = (now_ns() - start) / ADDITIONS;
	_exit(0);
}

/* Of one addition, the mean of all workers, while the others do theirs. */
static double time_of(size_t work, const struct side *side)
{
	double sum = 0;

	word_store_release(&shared->here, 0);
	for (unsigned i = 0; i < n_workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			pin(i);
			worker(work, row_of(side, i), &shared->ns[i]);
		}
	}
	while (wait(NULL) > 0)
		;
	for (unsigned i = 0; i < n_workers; i++)
		sum += shared->ns[i];
	return sum / n_workers;
}

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

static void measure(size_t work, const struct side *sides)
{
	static double times[2][ROUNDS], ratios[ROUNDS];

	time_of(work, &sides[0]);
	for (size_t i = 0; i < ROUNDS; i++) {
		times[i % 2][i] = time_of(work, &sides[i % 2]);
		times[1 - i % 2][i] = time_of(work, &sides[1 - i % 2]);
		ratios[i] = times[0][i] / times[1][i];
	}
	printf("| %u | %s | %.2f ns | %.2f ns | %.1f |\n", n_workers, works[work].name, median(times[0]),
	       median(times[1]), median(ratios));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct side sides[2];

	n_workers = argc > 1 ? (unsigned)atoi(argv[1]) : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (argc > 2 || n_workers < 1 || n_workers > WORKERS_MAX)
		errx(2, "usage: slots [WORKERS]");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	sides[0] = make_side(0);
	sides[1] = make_side(1);
	puts("| workers | each does | side by side | padded | ratio |\n| --- | --- | --- | --- | --- |");
	for (size_t work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		measure(work, sides);
	return 0;
}
