/* SPDX-License-Identifier: MIT */
#include "formers.h"

#include "new_ledger.h"
#include "suite.h"

static struct ledger ledger;

static void setup(void)
{
	ledger = new_ledger();
}

static void teardown(void)
{
	ledger_unmap(&ledger);
}

static unsigned count(void)
{
	char name[LEDGER_NAME_MAX + 1];
	uint64_t parent;
	unsigned n = 0;

	for (uint32_t at = 0; formers_next(&ledger, &at, &parent, name); n++)
		ck_assert(parent != 0 && strlen(name) > 0);
	return n;
}

START_TEST(a_name_is_kept_once)
{
	char name[LEDGER_NAME_MAX + 1];
	uint64_t parent;
	uint32_t at = 0;

	formers_note(&ledger, 7, "x");
	formers_note(&ledger, 7, "x");
	ck_assert(formers_next(&ledger, &at, &parent, name));
	ck_assert_uint_eq(parent, 7);
	ck_assert_str_eq(name, "x");
	ck_assert(!formers_next(&ledger, &at, &parent, name));
	formers_note(&ledger, 8, "x");
	formers_note(&ledger, 7, "y");
	ck_assert_uint_eq(count(), 3);
}
END_TEST

START_TEST(a_name_ends_with_the_second_pass)
{
	formers_note(&ledger, 7, "x");
	formers_pass(&ledger); /* may have begun before */
	ck_assert_uint_eq(count(), 1);
	formers_note(&ledger, 7, "y");
	formers_pass(&ledger);
	ck_assert_uint_eq(count(), 1);
	formers_note(&ledger, 7, "y");
	formers_pass(&ledger);
	ck_assert_uint_eq(count(), 1);
	formers_pass(&ledger);
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(too_many_are_lost_until_the_second_pass)
{
	for (uint64_t parent = 1; parent <= LEDGER_FORMERS; parent++)
		formers_note(&ledger, parent, "x");
	formers_note(&ledger, 1, "x");
	ck_assert(!formers_are_lost(&ledger));
	formers_note(&ledger, 1, "y");
	ck_assert(formers_are_lost(&ledger));
	formers_pass(&ledger);
	ck_assert(formers_are_lost(&ledger));
	formers_pass(&ledger);
	ck_assert(!formers_are_lost(&ledger));
	ck_assert_uint_eq(count(), 0);
}
END_TEST

START_TEST(long_names)
{
	char name[LEDGER_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[LEDGER_NAME_MAX + 1] = '\0';
	formers_note(&ledger, 7, name); /* the kernel does not keep it either */
	ck_assert_uint_eq(count(), 0);
	name[LEDGER_NAME_MAX] = '\0';
	formers_note(&ledger, 7, name);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("formers");
	TCase *tests = tcase_create("formers");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, a_name_is_kept_once);
	tcase_add_test(tests, a_name_ends_with_the_second_pass);
	tcase_add_test(tests, too_many_are_lost_until_the_second_pass);
	tcase_add_test(tests, long_names);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
