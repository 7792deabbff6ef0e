/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "lifetime.h"
#include "suite.h"

static void check_round_trip(const char *text, enum segfs_lifetime_kind kind, uint32_t ttl_s)
{
	struct segfs_lifetime lifetime;
	char again[SEGFS_LIFETIME_MAX];

	ck_assert_int_eq(segfs_lifetime_parse(text, strlen(text), &lifetime), 0);
	ck_assert_int_eq(lifetime.kind, kind);
	ck_assert_uint_eq(lifetime.ttl_s, ttl_s);
	segfs_lifetime_format(&lifetime, again);
	ck_assert_str_eq(again, text);
}

START_TEST(parse_each_kind_formats_again)
{
	check_round_trip("keep", SEGFS_KEEP, 0);
	check_round_trip("creator", SEGFS_CREATOR, 0);
	check_round_trip("last-user", SEGFS_LAST_USER, 0);
	check_round_trip("ttl 1", SEGFS_TTL, 1);
	check_round_trip("ttl 1000000000", SEGFS_TTL, 1000000000);
}
END_TEST

START_TEST(parse_bad_value_refused_and_output_untouched)
{
	static const char *const bad[] = {
		"",	  "Keep",	    "keep ",	      " keep",
		"kee",	  "creators",	    "last_user",      "ttl",
		"ttl ",	  "ttl 0",	    "ttl -1",	      "ttl 1s",
		"ttl  1", "ttl 1000000001", "ttl 4294967297", "ttl 99999999999999999999",
		"60",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct segfs_lifetime lifetime = {.kind = SEGFS_TTL, .ttl_s = 7};

		ck_assert_msg(segfs_lifetime_parse(bad[i], strlen(bad[i]), &lifetime) == -EINVAL, "'%s'",
			      bad[i]);
		ck_assert_int_eq(lifetime.kind, SEGFS_TTL);
		ck_assert_uint_eq(lifetime.ttl_s, 7);
	}
}
END_TEST

START_TEST(parse_nul_inside_refused)
{
	struct segfs_lifetime lifetime;

	ck_assert_int_eq(segfs_lifetime_parse("keep\0", 5, &lifetime), -EINVAL);
	ck_assert_int_eq(segfs_lifetime_parse("ttl 1\0", 6, &lifetime), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lifetime");
	TCase *tests = tcase_create("lifetime");

	tcase_add_test(tests, parse_each_kind_formats_again);
	tcase_add_test(tests, parse_bad_value_refused_and_output_untouched);
	tcase_add_test(tests, parse_nul_inside_refused);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
