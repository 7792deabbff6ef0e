/* SPDX-License-Identifier: MIT */
#include "name.h"

#include "suite.h"
#include "util.h"

static const char *const portable[] = {
	"a", "_", "0", "camera_1", "abcdefghijklmnopqrstuvwxyz0123", "wnsm_1a2b3c4d"};
static const char *const refused[] = {
	"",	 "abcdefghijklmnopqrstuvwxyz01234",
	"a.npy", "a b",
	"a-b",	 "a\\b",
	"a/b",	 "\xc3\xa4",
	"a\n",	 "sem.x",
	"/a",
};

START_TEST(name_is_portable_with_plain_characters)
{
	ck_assert(segfs_name_is_portable(portable[_i]));
}
END_TEST

START_TEST(name_is_portable_with_nothing_else)
{
	ck_assert(!segfs_name_is_portable(refused[_i]));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("name");
	TCase *tests = tcase_create("name");

	tcase_add_loop_test(tests, name_is_portable_with_plain_characters, 0, COUNT_OF(portable));
	tcase_add_loop_test(tests, name_is_portable_with_nothing_else, 0, COUNT_OF(refused));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
