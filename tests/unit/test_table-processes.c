/* SPDX-License-Identifier: MIT */

/* A table that many processes use at full speed, and in which they are killed. */
#include <segfs/table.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "atomics.h"
#include "child.h"
#include "suite.h"
#include "table_on_tmpfs.h"
#include "util.h"

/* What the processes of a test tell each other. */
struct shared {
	uint32_t stop;
	uint32_t wrong;
	uint64_t n_reads, n_snapshots;
};

static struct shared *share(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	return page;
}

static pid_t start(int fd, struct shared *shared,
		   void (*run)(struct segfs_table *table, struct shared *shared))
{
	pid_t pid = fork();

	if (pid == 0) {
		struct segfs_table *table;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (segfs_table_open(fd, &table) < 0)
			_exit(1);
		while (!word_load_relaxed(&shared->stop))
			run(table, shared);
		segfs_table_close(table);
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	return pid;
}

static void wait_for(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * MS}, NULL);
}

/* Ends the processes after a while. */
static void let_run(struct shared *shared, pid_t *pids, size_t n, int ms)
{
	sleep_ms(ms);
	word_store_relaxed(&shared->stop, 1);
	for (size_t i = 0; i < n; i++)
		wait_for(pids[i]);
	ck_assert_uint_eq(shared->wrong, 0);
}

/* Until something has been counted that chance brings: soon, but on a machine with other work nobody knows
 * when. */
static void wait_for_count(const uint64_t *count)
{
	for (int i = 0; count_load_relaxed(count) == 0; i++) {
		ck_assert_int_lt(i, 6000);
		sleep_ms(10);
	}
}

static void note_wrong(struct shared *shared, bool wrong)
{
	if (wrong)
		word_add_seq_cst(&shared->wrong, 1);
}

static void write_wide(struct segfs_table *table, struct shared *shared)
{
	static uint64_t value;
	uint64_t wide[N_WIDE];

	value += (uint64_t)getpid() + 1;
	for (int i = 0; i < N_WIDE; i++)
		wide[i] = value;
	note_wrong(shared, segfs_table_write(table, WIDE, wide, -1) < 0);
}

static bool is_torn(const void *wide)
{
	uint64_t values[N_WIDE];

	memcpy(values, wide, sizeof(values));
	for (int i = 1; i < N_WIDE; i++) {
		if (values[i] != values[0])
			return true;
	}
	return false;
}

static void read_wide(struct segfs_table *table, struct shared *shared)
{
	static uint64_t last;
	uint64_t wide[N_WIDE], count;

	note_wrong(shared, segfs_table_read(table, WIDE, wide, &count) < 0 || is_torn(wide) || count < last);
	count_add_seq_cst(&shared->n_reads, 1);
	last = count;
}

START_TEST(values_are_whole_at_full_speed)
{
	SEGFS_CLOSE int fd = table_file(RECORD), reading = open_again(fd, O_RDONLY);
	struct shared *shared = share();
	pid_t pids[] = {
		start(fd, shared, write_wide),	   start(fd, shared, write_wide),
		start(fd, shared, write_wide),	   start(fd, shared, read_wide),
		start(reading, shared, read_wide),
	};

	wait_for_count(&shared->n_reads);
	let_run(shared, pids, COUNT_OF(pids), 1000);
}
END_TEST

/* a, then b; c is somebody else's, who has seen b. */
static void write_in_order(struct segfs_table *table, struct shared *shared)
{
	static uint64_t value;

	value++;
	segfs_table_write(table, A, &value, -1);
	segfs_table_write(table, B, &value, -1);
}

static void follow(struct segfs_table *table, struct shared *shared)
{
	uint64_t value, count;

	if (segfs_table_read(table, B, &value, &count) == 0)
		segfs_table_write(table, C, &value, -1);
}

static void check_record(const struct record *record, struct shared *shared)
{
	static struct record last;

	note_wrong(shared, record->b > record->a || record->a > record->b + 1 || record->c > record->b);
	note_wrong(shared, record->a < last.a || record->b < last.b || record->c < last.c);
	note_wrong(shared, is_torn(&record->wide));
	last = *record;
}

/* What was read before is in the record, what is read after was not before it. */
static void take_snapshots(struct segfs_table *table, struct shared *shared)
{
	uint64_t before[3], after[3], count;
	struct record record;

	for (unsigned i = A; i <= C; i++)
		note_wrong(shared, segfs_table_read(table, i, &before[i], &count) < 0);
	note_wrong(shared, segfs_table_snapshot(table, &record, -1) != 0);
	for (unsigned i = A; i <= C; i++)
		note_wrong(shared, segfs_table_read(table, i, &after[i], &count) < 0);
	check_record(&record, shared);
	note_wrong(shared, record.a < before[A] || record.b < before[B] || record.c < before[C]);
	note_wrong(shared, record.a > after[A] || record.b > after[B] || record.c > after[C]);
	count_add_seq_cst(&shared->n_snapshots, 1);
}

START_TEST(snapshots_are_of_one_moment_at_full_speed)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	struct shared *shared = share();
	pid_t pids[] = {
		start(fd, shared, write_in_order), start(fd, shared, follow),
		start(fd, shared, take_snapshots), start(fd, shared, take_snapshots),
		start(fd, shared, write_wide),
	};

	wait_for_count(&shared->n_snapshots);
	wait_for_count(&map(fd)->age); /* one was not to be had by reading twice */
	let_run(shared, pids, COUNT_OF(pids), 1500);
}
END_TEST

static void take_read_only(struct segfs_table *table, struct shared *shared)
{
	struct record record;
	int r = segfs_table_snapshot(table, &record, 5 * MS);

	note_wrong(shared, r != 0 && r != -EAGAIN);
	if (r == 0)
		check_record(&record, shared);
}

START_TEST(snapshots_read_only_are_of_one_moment_or_fail)
{
	SEGFS_CLOSE int fd = table_file(RECORD), reading = open_again(fd, O_RDONLY);
	struct shared *shared = share();
	pid_t pids[] = {
		start(fd, shared, write_in_order),
		start(fd, shared, follow),
		start(reading, shared, take_read_only),
	};

	let_run(shared, pids, COUNT_OF(pids), 500);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Kills.
 */
static void do_all(struct segfs_table *table, struct shared *shared)
{
	struct record record;

	for (int i = 0; i < 16; i++)
		write_wide(table, shared);
	note_wrong(shared, segfs_table_snapshot(table, &record, -1) != 0 || is_torn(&record.wide));
}

static unsigned n_kills(void)
{
	const char *text = getenv("SEGFS_KILLS");

	return text ? (unsigned)atoi(text) : 300;
}

/* Lets the child write, and kills it somewhere in the next half of a millisecond. */
static void kill_soon(pid_t pid, struct segfs_table *table, unsigned *seed)
{
	uint64_t wide[N_WIDE], before, count;
	int until = rand_r(seed) % 20000;

	ck_assert_int_eq(segfs_table_read(table, WIDE, wide, &before), 0);
	do
		ck_assert_int_eq(segfs_table_read(table, WIDE, wide, &count), 0);
	while (count == before);
	for (int i = 0; i < until; i++)
		cpu_pause();
	kill(pid, SIGKILL);
}

/* Looks after what it has left. True if it was killed at a value. */
static bool kill_and_check(struct segfs_table *table, int fd, struct shared *shared, unsigned *seed)
{
	uint64_t wide[N_WIDE], before, after;
	pid_t pid = start(fd, shared, do_all);
	int r;

	kill_soon(pid, table, seed);
	ck_assert_int_eq(segfs_table_read(table, WIDE, wide, &before), 0);
	ck_assert(!is_torn(wide));
	memset(wide, 0, sizeof(wide));
	r = segfs_table_write(table, WIDE, wide, 5000 * MS);
	ck_assert_int_ge(r, 0);
	ck_assert_int_eq(segfs_table_read(table, WIDE, wide, &after), 0);
	ck_assert(!is_torn(wide));
	ck_assert_uint_gt(after, before);
	waitpid(pid, NULL, 0);
	return r == 1;
}

START_TEST(writers_killed_anywhere_leave_whole_values)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct shared *shared = share();
	pid_t pids[] = {start(fd, shared, read_wide)};
	unsigned seed = (unsigned)getpid(), told = 0;

	/* Some of them hit the middle of a value; how soon, depends on what else the machine does. */
	for (unsigned i = 0; i < n_kills() || (told == 0 && i < 20 * n_kills()); i++) {
		struct record record;

		told += kill_and_check(table, fd, shared, &seed);
		ck_assert_int_eq(segfs_table_snapshot(table, &record, 5000 * MS), 0);
		ck_assert(!is_torn(&record.wide));
	}
	let_run(shared, pids, COUNT_OF(pids), 1);
	if (getenv("SEGFS_KILLS"))
		fprintf(stderr, "told of %u deaths after %u kills\n", told, n_kills());
	ck_assert_uint_gt(told, 0);
}
END_TEST

/* There is always a writer at full speed: snapshots are taken by age. */
START_TEST(takers_killed_anywhere_stop_nobody)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct shared *shared = share();
	pid_t pids[] = {start(fd, shared, write_wide), start(fd, shared, write_in_order),
			start(fd, shared, take_snapshots)};
	unsigned seed = (unsigned)getpid();

	for (unsigned i = 0; i < n_kills() / 3; i++) {
		pid_t pid = start(fd, shared, take_snapshots);

		kill_soon(pid, table, &seed);
		waitpid(pid, NULL, 0);
	}
	let_run(shared, pids, COUNT_OF(pids), 1);
}
END_TEST

/* The child goes on with what the parent has opened. */
START_TEST(write_in_child_of_fork)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	uint64_t value = 9;
	pid_t pid = fork();

	if (pid == 0)
		_exit(segfs_table_write(table, A, &value, 1000 * MS));
	wait_for(pid);
	ck_assert_uint_eq(read_u64(table, A), 9);
	write_u64(table, A, 10);
}
END_TEST

static TCase *together(void)
{
	TCase *tc = tcase_create("together");

	tcase_add_test(tc, values_are_whole_at_full_speed);
	tcase_add_test(tc, snapshots_are_of_one_moment_at_full_speed);
	tcase_add_test(tc, snapshots_read_only_are_of_one_moment_or_fail);
	tcase_add_test(tc, writers_killed_anywhere_leave_whole_values);
	tcase_add_test(tc, takers_killed_anywhere_stop_nobody);
	tcase_add_test(tc, write_in_child_of_fork);
	tcase_set_timeout(tc, 100 + (double)n_kills() / 50);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("table-processes");

	suite_add_tcase(suite, together());
	return run_suite(suite);
}
