/* SPDX-License-Identifier: MIT */

/*
 * table: what it costs to update and to read a small field, and to take a snapshot of all, beside a struct
 * under a robust mutex that processes share (pthread_mutexattr_setrobust(3)), which is what one would write
 * otherwise. Alone, and while another process does something at full speed.
 */
#include <segfs/table.h>

#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomics.h"
#include "pin.h"
#include "rounds.h"

#define RECORD "[('a', '<f8'), ('b', '<f8'), ('c', '<f8'), ('d', '<f8'), ('pose', '<f8', (7,))]"

enum { POSE = 4 };

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

static size_t work;

static double time_of(size_t side, int times)
{
	double ns;

	set_disturbance(works[work].others[side] ? (uint32_t)(1 + 2 * work + side) : 0);
	ns = -now_ns();
	for (int i = 0; i < times; i++)
		works[work].sides[side]();
	ns += now_ns();
	set_disturbance(0);
	return ns;
}

static double by_table(int times)
{
	return time_of(0, times);
}

static double by_mutex(int times)
{
	return time_of(1, times);
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
	describe("Table, C",
		 "One field of a record of 88 bytes, or all of it: segfs/table.h beside a struct under a "
		 "robust process-shared mutex; alone, and while another process on another processor "
		 "does something at full speed.");
	for (work = 0; work < N_WORKS; work++)
		alternate(works[work].name, "", (struct side[]){{"segfs", by_table}, {"mutex", by_mutex}}, 2,
			  51, 10000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	segfs_table_close(table);
	return 0;
}
