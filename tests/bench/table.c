/* SPDX-License-Identifier: MIT */

/*
 * table: what it costs to update and to read a small field, and to take a snapshot of all, beside a struct
 * under a robust mutex that processes share (pthread_mutexattr_setrobust(3)), which is what one would write
 * otherwise. Alone, and while another process does something at full speed.
 *
 * Both sides in turn, many rounds, medians of each and the median of the ratios round by round. Prints a
 * Markdown table.
 */
#include <segfs/table.h>

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"
#include "pin.h"

#define RECORD "[('a', '<f8'), ('b', '<f8'), ('c', '<f8'), ('d', '<f8'), ('pose', '<f8', (7,))]"

enum { ROUNDS = 51, OPERATIONS = 10000, N_FIELDS = 5, POSE = 4 };

struct record {
	double a, b, c, d, pose[7];
};

/* The other side, and what the process that disturbs is to do. */
struct shared {
	pthread_mutex_t mutex;
	struct record record;
	uint8_t apart[128];
	uint32_t disturb;   /* which disturbance; 0: none */
	uint32_t disturbed; /* which one is under way */
};

static struct segfs_table *table;
static struct shared *shared;
static struct record sample;

static void lock(void)
{
	if (pthread_mutex_lock(&shared->mutex) == EOWNERDEAD)
		pthread_mutex_consistent(&shared->mutex);
}

static void unlock(void)
{
	pthread_mutex_unlock(&shared->mutex);
}

static void check(int r)
{
	if (r < 0)
		errx(1, "table: %s", strerror(-r));
}

static void table_update(void)
{
	check(segfs_table_write(table, 0, &sample.a, -1));
}

static void mutex_update(void)
{
	lock();
	shared->record.a = sample.a;
	unlock();
}

static void table_update_pose(void)
{
	check(segfs_table_write(table, POSE, sample.pose, -1));
}

static void mutex_update_pose(void)
{
	lock();
	memcpy(shared->record.pose, sample.pose, sizeof(sample.pose));
	unlock();
}

static void table_read(void)
{
	uint64_t count;

	check(segfs_table_read(table, 0, &sample.b, &count));
}

static void mutex_read(void)
{
	lock();
	sample.b = shared->record.a;
	unlock();
}

static void table_snapshot(void)
{
	check(segfs_table_snapshot(table, &sample, -1));
}

static void mutex_snapshot(void)
{
	lock();
	sample = shared->record;
	unlock();
}

typedef void operation(void);

static const struct {
	const char *name;
	operation *sides[2], *others[2];
} works[] = {
	{"update of 8 bytes", {table_update, mutex_update}, {NULL, NULL}},
	{"update of 56 bytes", {table_update_pose, mutex_update_pose}, {NULL, NULL}},
	{"read of 8 bytes", {table_read, mutex_read}, {NULL, NULL}},
	{"snapshot of 5 fields", {table_snapshot, mutex_snapshot}, {NULL, NULL}},
	{"update, while another field is updated",
	 {table_update, mutex_update},
	 {table_update_pose, mutex_update_pose}},
	{"update, while the same is updated", {table_update, mutex_update}, {table_update, mutex_update}},
	{"update, while snapshots are taken", {table_update, mutex_update}, {table_snapshot, mutex_snapshot}},
	{"read, while the same is updated", {table_read, mutex_read}, {table_update, mutex_update}},
	{"snapshot, while a field is updated",
	 {table_snapshot, mutex_snapshot},
	 {table_update, mutex_update}},
};

enum { N_WORKS = sizeof(works) / sizeof(works[0]) };

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* The process that disturbs. Disturbance 1 + 2 * work + side. */
static void disturb(void)
{
	for (;;) {
		uint32_t which = word_load_acquire(&shared->disturb);

		word_store_release(&shared->disturbed, which);
		if (which == 0)
			nap();
		for (int i = 0; which != 0 && i < 100; i++)
			works[(which - 1) / 2].others[(which - 1) % 2]();
	}
}

static void set_disturbance(uint32_t which)
{
	word_store_release(&shared->disturb, which);
	while (word_load_acquire(&shared->disturbed) != which)
		nap();
}

static double time_of(size_t work, size_t side)
{
	double start, end;

	set_disturbance(works[work].others[side] ? (uint32_t)(1 + 2 * work + side) : 0);
	start = now_ns();
	for (int i = 0; i < OPERATIONS; i++)
		works[work].sides[side]();
	end = now_ns();
	set_disturbance(0);
	return (end - start) / OPERATIONS;
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

static void measure(size_t work)
{
	static double times[2][ROUNDS], ratios[ROUNDS];

	time_of(work, 0);
	time_of(work, 1);
	for (size_t i = 0; i < ROUNDS; i++) {
		times[i % 2][i] = time_of(work, i % 2);
		times[1 - i % 2][i] = time_of(work, 1 - i % 2);
		ratios[i] = times[0][i] / times[1][i];
	}
	printf("| %s | %.0f ns | %.0f ns | %.2f |\n", works[work].name, median(times[0]), median(times[1]),
	       median(ratios));
	fflush(stdout);
}

static struct segfs_table *make_table(void)
{
	int fd = memfd_create("table", MFD_CLOEXEC);
	struct segfs_dtype *dtype;
	struct segfs_table *made;

	if (fd < 0)
		err(1, "memfd_create");
	check(segfs_dtype_parse(RECORD, strlen(RECORD), &dtype));
	check(segfs_table_format(fd, dtype));
	check(segfs_table_open(fd, &made));
	segfs_dtype_free(dtype);
	close(fd);
	return made;
}

static struct shared *make_shared(void)
{
	struct shared *made =
		mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t attributes;

	if (made == MAP_FAILED)
		err(1, "mmap");
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&made->mutex, &attributes);
	return made;
}

int main(void)
{
	pid_t pid;

	table = make_table();
	shared = make_shared();
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(1);
		disturb();
	}
	pin(0);
	puts("| work | table | struct under a robust mutex | ratio |\n| --- | --- | --- | --- |");
	for (size_t work = 0; work < N_WORKS; work++)
		measure(work);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	segfs_table_close(table);
	return 0;
}
