/* SPDX-License-Identifier: MIT */
#include "opened.h"

#include "suite.h"

static struct opened_table table;
static int one, two, n_ended;

static void end(void *thing)
{
	ck_assert(thing == &one || thing == &two);
	n_ended++;
}

static void setup(void)
{
	opened_init(&table, 1);
	n_ended = 0;
}

START_TEST(add_gives_a_handle_for_each_thing)
{
	uint64_t first = opened_add(&table, &one, end), second = opened_add(&table, &two, end);

	ck_assert(first != 0 && second != 0 && first != second);
	ck_assert_ptr_eq(opened_get(&table, first), &one);
	ck_assert_ptr_eq(opened_get(&table, second), &two);
	ck_assert_ptr_null(opened_get(&table, second + 1));
	ck_assert_ptr_null(opened_get(&table, 0));
	opened_destroy(&table);
	ck_assert_int_eq(n_ended, 2);
}
END_TEST

START_TEST(take_hands_over_once)
{
	uint64_t handle = opened_add(&table, &one, end);

	ck_assert_ptr_eq(opened_take(&table, handle), &one);
	ck_assert_ptr_null(opened_take(&table, handle));
	ck_assert_ptr_null(opened_get(&table, handle));
	opened_destroy(&table);
	ck_assert_int_eq(n_ended, 0);
}
END_TEST

START_TEST(restore_keeps_what_was_quicker)
{
	ck_assert_ptr_eq(opened_restore(&table, 99, &one, end), &one);
	ck_assert_ptr_eq(opened_restore(&table, 99, &two, end), &one);
	ck_assert_ptr_eq(opened_get(&table, 99), &one);
	opened_destroy(&table);
	ck_assert_int_eq(n_ended, 1);
}
END_TEST

START_TEST(workers_give_out_different_handles)
{
	struct opened_table next;
	uint64_t handle = opened_add(&table, &one, end);

	opened_init(&next, 2);
	ck_assert_ptr_eq(opened_restore(&next, handle, &one, end), &one);
	for (int i = 0; i < 100; i++)
		ck_assert_uint_ne(opened_add(&next, &two, end), handle);
	ck_assert_ptr_eq(opened_get(&next, handle), &one);
	opened_destroy(&next);
	ck_assert_int_eq(n_ended, 101);
	opened_destroy(&table);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("opened");
	TCase *tests = tcase_create("opened");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, add_gives_a_handle_for_each_thing);
	tcase_add_test(tests, take_hands_over_once);
	tcase_add_test(tests, restore_keeps_what_was_quicker);
	tcase_add_test(tests, workers_give_out_different_handles);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
