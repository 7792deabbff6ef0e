/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <pthread.h>
#include <sys/mman.h>

#include "new_ledger.h"
#include "steps.h"
#include "suite.h"

#define RESENT	(UINT64_C(1) << 63)
#define CRASHES 5
#define UNIQUE	UINT64_C(42)

static struct ledger ledger;

static void setup(void)
{
	ledger = new_ledger();
	journal_enter(&ledger);
}

static void teardown(void)
{
	ledger_unmap(&ledger);
}

/* This thread is now one of a worker that has taken over. */
static void take_over(void)
{
	ledger_take_over(&ledger);
	journal_enter(&ledger);
}

static unsigned count_begun(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < LEDGER_SLOTS; i++)
		n += ledger.page->slots[i].unique != 0;
	return n;
}

START_TEST(before_is_as_it_was_when_the_request_came_first)
{
	ck_assert(journal_begin(UNIQUE));
	ck_assert(!journal_is_resent() && journal_unique() == UNIQUE);
	ck_assert_uint_eq(journal_before(0, 7), 7);
	ck_assert_uint_eq(journal_before(1, 0), 0);
	ck_assert_uint_eq(journal_before(0, 9), 7);
	take_over();
	ck_assert(journal_begin(UNIQUE | RESENT));
	ck_assert(journal_is_resent() && journal_unique() == UNIQUE);
	ck_assert_uint_eq(journal_before(0, 9), 7);
	ck_assert_uint_eq(journal_before(1, 9), 0);
	ck_assert_uint_eq(ledger.page->n_resent, 1);
}
END_TEST

START_TEST(before_is_as_it_is_for_another_request)
{
	journal_begin(UNIQUE);
	journal_before(0, 7);
	journal_done();
	take_over();
	ck_assert(journal_begin((UNIQUE + 2) | RESENT));
	ck_assert(!journal_is_done());
	ck_assert_uint_eq(journal_before(0, 9), 9);
	journal_end();
	ck_assert(journal_begin(UNIQUE + 4));
	ck_assert(!journal_is_done() && !journal_is_resent());
	ck_assert_uint_eq(journal_before(0, 10), 10);
}
END_TEST

START_TEST(done_is_done_for_the_next_worker)
{
	journal_begin(UNIQUE);
	ck_assert(!journal_is_done());
	take_over();
	journal_begin(UNIQUE | RESENT);
	ck_assert(!journal_is_done());
	journal_done();
	take_over(); /* it has been killed, too */
	journal_begin(UNIQUE | RESENT);
	ck_assert(journal_is_done());
	ck_assert_uint_eq(journal_before(0, 9), 9);
}
END_TEST

START_TEST(end_leaves_nothing)
{
	struct ledger_slot *slots = ledger.page->slots;

	journal_begin(UNIQUE);
	journal_before(0, 7);
	journal_done();
	take_over();
	journal_begin(UNIQUE | RESENT);
	journal_end();
	ck_assert(count_begun() == 0 && slots[0].tid == 0 && slots[1].tid != 0 && slots[1].n_done == 1);
	ck_assert(journal_unique() == 0 && !journal_is_resent() && !journal_is_done());
	journal_begin(UNIQUE | RESENT); /* cannot be; nothing is remembered */
	ck_assert(!journal_is_done());
	ck_assert_uint_eq(journal_before(0, 9), 9);
}
END_TEST

START_TEST(resume_goes_on_without_a_slot)
{
	journal_resume(UNIQUE | RESENT);
	ck_assert(journal_unique() == UNIQUE && journal_is_resent());
	ck_assert_uint_eq(journal_before(0, 7), 7);
	ck_assert_uint_eq(journal_before(0, 9), 9);
	journal_done();
	ck_assert(!journal_is_done());
	journal_note_crash();
	ck_assert_uint_eq(count_begun(), 0);
}
END_TEST

START_TEST(begin_of_what_has_crashed_too_often_is_refused)
{
	ck_assert(journal_begin(UNIQUE));
	for (int i = 0; i < CRASHES; i++) {
		journal_note_crash();
		take_over();
		ck_assert_int_eq(journal_begin(UNIQUE | RESENT), i < CRASHES - 1);
	}
	journal_end();
	ck_assert_uint_eq(count_begun(), 0);
	for (uint64_t i = 0; i < 10; i++) { /* in each slot that there has been */
		take_over();
		ck_assert(journal_begin(UNIQUE + 2 + i));
		take_over();
		ck_assert(journal_begin((UNIQUE + 2 + i) | RESENT));
	}
}
END_TEST

START_TEST(crashes_are_not_those_of_the_slots_next_request)
{
	for (int i = 0; i < 2 * CRASHES; i++) {
		ck_assert(journal_begin(UNIQUE + (uint64_t)i));
		journal_note_crash();
		ck_assert_uint_eq(ledger.page->slots[0].n_crashes, 1);
		journal_end();
	}
	journal_note_crash(); /* none is in hand */
	ck_assert_uint_eq(ledger.page->slots[0].n_crashes, 1);
}
END_TEST

START_TEST(enter_takes_the_slot_of_the_oldest_request_when_none_is_free)
{
	for (size_t i = 0; i < LEDGER_SLOTS; i++)
		ledger.page->slots[i].unique = 1000 + i;
	ledger.page->slots[17].unique = 3;
	take_over();
	journal_begin(UNIQUE);
	ck_assert_uint_eq(ledger.page->slots[17].unique, UNIQUE);
	take_over();
	journal_begin(1005 | RESENT); /* the rest is still known */
	ck_assert_int_ne(ledger.page->slots[5].tid, 0);
}
END_TEST

START_TEST(enter_without_any_slot_remembers_nothing)
{
	for (size_t i = 0; i < LEDGER_SLOTS; i++)
		ledger.page->slots[i].tid = 1;
	journal_enter(&ledger);
	ck_assert(journal_begin(UNIQUE));
	ck_assert_uint_eq(journal_unique(), UNIQUE);
	journal_before(0, 7);
	ck_assert_uint_eq(journal_before(0, 9), 9);
	journal_note_crash();
	journal_end();
	ck_assert_uint_eq(count_begun(), 0);
}
END_TEST

static void *begin_in_thread(void *unused)
{
	journal_enter(&ledger);
	journal_begin(UNIQUE + 2);
	journal_before(0, 70);
	return NULL;
}

START_TEST(threads_have_slots_of_their_own)
{
	pthread_t thread;

	journal_begin(UNIQUE);
	journal_before(0, 7);
	pthread_create(&thread, NULL, begin_in_thread, NULL);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(count_begun(), 2);
	take_over();
	journal_begin((UNIQUE + 2) | RESENT);
	ck_assert_uint_eq(journal_before(0, 9), 70);
	journal_end();
	journal_begin(UNIQUE | RESENT);
	ck_assert_uint_eq(journal_before(0, 9), 7);
}
END_TEST

/* How far the child has come, in memory that it shares. */
static _Atomic int *progress;

static void act(void *data)
{
	journal_begin(UNIQUE);
	*progress = 1;
	journal_before(0, 77);
	*progress = 2;
	journal_before(1, 88);
	*progress = 3;
	journal_done();
	*progress = 4;
	journal_end();
	*progress = 5;
	journal_begin(UNIQUE + 2);
	*progress = 6;
}

/* The request is sent again to a worker that takes over at this moment, when the names lead elsewhere. */
static void look(void *data)
{
	struct ledger *copy = successor_of(&ledger);
	int done = *progress;
	uint64_t first, second;
	bool is_done;

	journal_enter(copy);
	ck_assert(journal_begin(UNIQUE | RESENT));
	is_done = journal_is_done();
	first = journal_before(0, 7);
	second = journal_before(1, 8);
	if (done < 4) /* else it has been answered, and is not sent again */
		ck_assert((first == 77) >= (done >= 2) && (second == 88) >= (done >= 3));
	ck_assert((first == 77 || first == 7) && (second == 88 || second == 8));
	ck_assert(first == 77 || second != 88);
	ck_assert(!is_done || second == 88);
	journal_end();
	if (done >= 5) {
		ck_assert(journal_begin((UNIQUE + 2) | RESENT));
		ck_assert(!journal_is_done());
		ck_assert_uint_eq(journal_before(0, 7), 7);
		journal_end();
	}
}

START_TEST(what_is_noted_holds_between_any_two_instructions)
{
	progress = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	each_step(act, look, NULL);
	ck_assert_int_eq(*progress, 6);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("journal");
	TCase *tests = tcase_create("journal");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, before_is_as_it_was_when_the_request_came_first);
	tcase_add_test(tests, before_is_as_it_is_for_another_request);
	tcase_add_test(tests, done_is_done_for_the_next_worker);
	tcase_add_test(tests, end_leaves_nothing);
	tcase_add_test(tests, resume_goes_on_without_a_slot);
	tcase_add_test(tests, begin_of_what_has_crashed_too_often_is_refused);
	tcase_add_test(tests, crashes_are_not_those_of_the_slots_next_request);
	tcase_add_test(tests, enter_takes_the_slot_of_the_oldest_request_when_none_is_free);
	tcase_add_test(tests, enter_without_any_slot_remembers_nothing);
	tcase_add_test(tests, threads_have_slots_of_their_own);
	tcase_add_test(tests, what_is_noted_holds_between_any_two_instructions);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
