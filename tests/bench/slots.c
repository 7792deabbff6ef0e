/* SPDX-License-Identifier: MIT */

/*
 * slots [WORKERS]: workers, one process each, add to the number in their row: rows side by side, and rows as
 * segfs/slots.h pads them. As many workers as processors unless told otherwise.
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
#include <unistd.h>

#include "atomics.h"
#include "pin.h"
#include "rounds.h"

enum { ADDITIONS = 200000, WORKERS_MAX = 256 };

struct rows {
	struct segfs_segment segment;
	char *file;
};

static unsigned n_workers;
static struct rows rows[2];
static size_t work;
static struct shared {
	uint32_t here; /* workers wait for each other before they begin */
	double ns[WORKERS_MAX];
} * shared;

static void check(int r)
{
	if (r < 0)
		errx(1, "%s", strerror(-r));
}

static struct rows make_rows(int padded)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct segfs_dtype *dtype;
	char shape[16];
	struct rows made;

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
	check(segfs_segment_read(fd, &made.segment));
	made.file = mmap(NULL, made.segment.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (made.file == MAP_FAILED)
		err(1, "mmap");
	segfs_dtype_free(dtype);
	close(fd);
	return made;
}

static uint64_t *row_of(const struct rows *of, unsigned worker)
{
	return (uint64_t *)(of->file + worker * of->segment.array.dtype->itemsize);
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

static void worker(uint64_t *row, double *ret_ns)
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
static double time_of(const struct rows *of)
{
	double sum = 0;

	word_store_release(&shared->here, 0);
	for (unsigned i = 0; i < n_workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			pin(i);
			worker(row_of(of, i), &shared->ns[i]);
		}
	}
	while (wait(NULL) > 0)
		;
	for (unsigned i = 0; i < n_workers; i++)
		sum += shared->ns[i];
	return sum / n_workers;
}

static double padded(int times)
{
	return time_of(&rows[1]) * times;
}

static double side_by_side(int times)
{
	return time_of(&rows[0]) * times;
}

int main(int argc, char **argv)
{
	char workers[32];

	n_workers = argc > 1 ? (unsigned)atoi(argv[1]) : (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (argc > 2 || n_workers < 1 || n_workers > WORKERS_MAX)
		errx(2, "usage: slots [WORKERS]");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	rows[0] = make_rows(0);
	rows[1] = make_rows(1);
	snprintf(workers, sizeof(workers), "%u workers", n_workers);
	describe("Slots",
		 "Each of the workers, a process and a processor each, adds to its own number: rows padded "
		 "to 128 bytes (segfs/slots.h), beside rows side by side. C, the time of one addition.");
	for (work = 0; work < sizeof(works) / sizeof(works[0]); work++)
		alternate(works[work].name, workers,
			  (struct side[]){{"padded", padded}, {"side by side", side_by_side}}, 2, 101, 1);
	return 0;
}
