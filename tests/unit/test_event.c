/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <errno.h>
#include <stdio.h>

#include "atomics.h"
#include "bounded.h"
#include "futex.h"
#include "storm.h"
#include "suite.h"

#define MS INT64_C(1000000)

static struct segfs_layout_event *event;

static void setup(void)
{
	event = shared_memory(sizeof(*event));
}

START_TEST(wait_for_what_is_there_returns_at_once)
{
	uint64_t count = UNTOUCHED;

	ck_assert_uint_eq(segfs_event_add(event, 1), 1);
	ck_assert_uint_eq(segfs_event_add(event, 4), 5);
	ck_assert_int_eq(segfs_event_wait(event, _i, 4, 0, &count), 0);
	ck_assert_uint_eq(count, 5);
	ck_assert_uint_eq(event->sleepers, 0);
}
END_TEST

START_TEST(wait_for_nothing_times_out)
{
	uint64_t count = UNTOUCHED;
	int64_t deadline = segfs_futex_deadline(60 * MS);

	segfs_event_add(event, 5);
	ck_assert_int_eq(segfs_event_wait(event, _i, 5, 0, &count), -ETIMEDOUT);
	ck_assert_int_eq(segfs_event_wait(event, _i, 5, 60 * MS, &count), -ETIMEDOUT);
	ck_assert(segfs_futex_is_over(deadline));
	ck_assert_int_eq(segfs_event_wait(event, _i, UINT64_MAX, MS, &count), -ETIMEDOUT);
	ck_assert_uint_eq(count, UNTOUCHED);
	ck_assert_uint_eq(event->sleepers, (unsigned)_i);
}
END_TEST

static void wait_for_one(void *writable)
{
	uint64_t count;

	_exit(segfs_event_wait(event, writable, 0, -1, &count) != 0 || count != 1);
}

START_TEST(wait_sleeps_until_the_event)
{
	pid_t pids[3];

	for (int i = 0; i < 3; i++)
		pids[i] = spawn(wait_for_one, _i ? event : NULL);
	sleep_us(20000);
	segfs_event_add(event, 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(reap(pids[i]), 0);
}
END_TEST

/* The low half, which is slept on, is the same after 2^32. */
START_TEST(wait_across_the_carry_ends)
{
	uint64_t count;

	event->count = UINT32_MAX;
	segfs_event_add(event, 1);
	ck_assert_int_eq(segfs_event_wait(event, true, UINT32_MAX, -1, &count), 0);
	ck_assert_uint_eq(count, UINT64_C(1) << 32);
}
END_TEST

/* A publisher that dies between adding and waking costs a nap. */
START_TEST(wait_outlives_a_publisher_that_does_not_wake)
{
	pid_t pid = spawn(wait_for_one, event);

	while (word_load_acquire(&event->sleepers) == 0)
		sleep_us(100);
	sleep_us(1000);
	count_add_seq_cst(&event->count, 1);
	ck_assert_int_eq(reap(pid), 0);
}
END_TEST

enum { ROUNDS = 20000 };

static void answer(void *arg)
{
	struct segfs_layout_event *events = arg;
	uint64_t count = 0;

	while (count < ROUNDS) {
		if (segfs_event_wait(&events[0], true, count, -1, &count) < 0)
			_exit(1);
		segfs_event_add(&events[1], 1);
	}
	_exit(0);
}

/* A lost wake-up would cost a nap: of so many rounds, all but a few are faster. */
START_TEST(rounds_between_two_lose_no_wake)
{
	struct segfs_layout_event *events = shared_memory(2 * sizeof(*events));
	pid_t pid = spawn(answer, events);
	uint64_t count = 0;
	int naps = 0;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		segfs_event_add(&events[0], 1);
		if (segfs_event_wait(&events[1], true, i, SEGFS_NAP_NS - MS, &count) < 0) {
			ck_assert_int_eq(segfs_event_wait(&events[1], true, i, -1, &count), 0);
			naps++;
		}
	}
	ck_assert_int_eq(reap(pid), 0);
	printf("rounds: %d of %d came late\n", naps, ROUNDS);
}
END_TEST

static void publish_for_ever(void *unused)
{
	for (;;)
		segfs_event_add(event, 1);
}

static void follow(void *arg)
{
	bool writable = arg;
	uint64_t count = 0, next;

	for (;;) {
		if (segfs_event_wait(event, writable, count, -1, &next) < 0 || next <= count)
			kill(getpid(), SIGABRT);
		count = next;
	}
}

START_TEST(storm_of_kills_stops_nobody)
{
	void (*const acts[])(void *) = {publish_for_ever, follow, follow, publish_for_ever};
	uint64_t before, after;
	pid_t pids[4];

	for (int i = 0; i < 4; i++)
		pids[i] = spawn(acts[i], i == 1 ? event : NULL);
	for (int k = 0; k < storm_length(200); k++) {
		before = count_load_acquire(&event->count);
		sleep_us(k * 131 % 1000);
		kill_child(pids[k % 4]);
		pids[k % 4] = spawn(acts[k % 4], k % 4 == 1 ? event : NULL);
		ck_assert_int_eq(segfs_event_wait(event, k % 2, before, 60000 * MS, &after), 0);
	}
	for (int i = 0; i < 4; i++)
		kill_child(pids[i]);
}
END_TEST

static void spoil(void *unused)
{
	for (unsigned i = 0;; i++) {
		count_store_relaxed(&event->count, (uint64_t)random() << (i % 64));
		word_store_relaxed(&event->sleepers, i % 3 ? 0 : (uint32_t)random());
	}
}

START_TEST(nonsense_hangs_nothing)
{
	pid_t pid = spawn(spoil, NULL);
	uint64_t count;

	for (int i = 0; i < storm_length(500); i++) {
		segfs_event_wait(event, i % 2, UINT64_MAX, MS / 10, &count);
		segfs_event_wait(event, i % 2, (uint64_t)random(), MS / 10, &count);
		segfs_event_add(event, 1);
	}
	kill_child(pid);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event");
	TCase *tcase = tcase_create("event");

	tcase_set_timeout(tcase, 100);
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, wait_for_what_is_there_returns_at_once, 0, 2);
	tcase_add_loop_test(tcase, wait_for_nothing_times_out, 0, 2);
	tcase_add_loop_test(tcase, wait_sleeps_until_the_event, 0, 2);
	tcase_add_test(tcase, wait_across_the_carry_ends);
	tcase_add_test(tcase, wait_outlives_a_publisher_that_does_not_wake);
	tcase_add_test(tcase, rounds_between_two_lose_no_wake);
	tcase_add_test(tcase, storm_of_kills_stops_nobody);
	tcase_add_test(tcase, nonsense_hangs_nothing);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
