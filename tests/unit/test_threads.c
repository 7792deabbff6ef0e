/* SPDX-License-Identifier: MIT */

/*
 * Threads of one process at the same areas, locks and events. No test here forks, so that ThreadSanitizer can
 * follow: CK_FORK=no, with -Db_sanitize=thread.
 */
#include <pthread.h>

#include "event.h"
#include "lock.h"
#include "page.h"
#include "suite.h"

enum { THREADS = 4, ROUNDS = 2000 };

static int fd;

static void run(void *(*act)(void *arg), void *arg)
{
	pthread_t threads[THREADS];
	void *failed;

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, act, arg), 0);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		ck_assert_ptr_null(failed);
	}
}

static void *come_and_go(void *unused)
{
	for (int i = 0; i < 100; i++) {
		struct segfs_robust *area = map_page(fd);
		uint32_t self = self_of(area);

		if (__atomic_load_n(&page_of(area)->members[self % SEGFS_MEMBERS].owner, __ATOMIC_RELAXED) !=
		    self)
			return (void *)"not a member";
		segfs_robust_unmap(area);
	}
	return NULL;
}

START_TEST(areas_are_mapped_and_unmapped_at_once)
{
	struct segfs_robust *area;
	uint32_t self;

	fd = new_page();
	run(come_and_go, NULL);
	area = map_page(fd);
	self = self_of(area);
	for (uint32_t i = 0; i < SEGFS_MEMBERS; i++)
		ck_assert_uint_eq(page_of(area)->members[i].owner, i == self % SEGFS_MEMBERS ? self : 0);
	segfs_robust_unmap(area);
	close(fd);
}
END_TEST

static uint64_t protected;

static void *write_and_read(void *arg)
{
	struct segfs_robust *area = arg;
	uint32_t self = self_of(area);
	unsigned slot;

	for (int i = 0; i < ROUNDS; i++) {
		if (segfs_lock_take(page_of(area), self, -1) != 0)
			return (void *)"take";
		protected++;
		if (segfs_lock_drop(page_of(area), self) != 0)
			return (void *)"drop";
		if (segfs_lock_join(page_of(area), self, -1, &slot) != 0)
			return (void *)"join";
		if (protected == 0)
			return (void *)"nothing written";
		if (segfs_lock_part(page_of(area), self, slot) != 0)
			return (void *)"part";
	}
	return NULL;
}

START_TEST(lock_orders_what_threads_do)
{
	struct segfs_robust *area;

	fd = new_page();
	area = map_page(fd);
	protected = 0;
	run(write_and_read, area);
	ck_assert_uint_eq(protected, THREADS * ROUNDS);
	segfs_robust_unmap(area);
	close(fd);
}
END_TEST

static struct segfs_layout_event event;
static uint64_t published[ROUNDS + THREADS];

/* Each publishes what it wrote before, and reads what the others have published. */
static void *publish_and_look(void *unused)
{
	static uint64_t next;
	uint64_t i, count = 0;

	while ((i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < ROUNDS) {
		published[i] = i;
		segfs_event_add(&event, 1);
	}
	while (count < ROUNDS)
		if (segfs_event_wait(&event, true, count, -1, &count) < 0)
			return (void *)"wait";
	for (i = 0; i < ROUNDS; i++)
		if (published[i] != i)
			return (void *)"not there";
	return NULL;
}

START_TEST(event_orders_what_threads_do)
{
	run(publish_and_look, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *tcase = tcase_create("threads");

	tcase_set_timeout(tcase, 100);
	tcase_add_test(tcase, areas_are_mapped_and_unmapped_at_once);
	tcase_add_test(tcase, lock_orders_what_threads_do);
	tcase_add_test(tcase, event_orders_what_threads_do);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
