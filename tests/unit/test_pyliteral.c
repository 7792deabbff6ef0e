/* SPDX-License-Identifier: MIT */
#include <check.h>

#include "bounded.h"
#include "pyliteral.h"
#include "suite.h"
#include "util.h"

static struct segfs_pyliteral cursor(const char *text)
{
	return (struct segfs_pyliteral){.next = text, .end = text + strlen(text)};
}

/* Literals and what they mean; 0, or the error that they are. */
static const struct {
	const char *text;
	const char *value;
	int result;
} strings[] = {
	{"'a'", "a", 0},
	{" \t\n\"a\"", "a", 0},
	{"''", "", 0},
	{"u'a'", "a", 0},
	{"U\"a\"", "a", 0},
	{"'it\"s'", "it\"s", 0},
	{"'it\\'s'", "it's", 0},
	{"'\\\"'", "\"", 0},
	{"'\\\\'", "\\", 0},
	{"'\\n\\r\\t'", "\n\r\t", 0},
	{"'\\x41\\xe9'", "A\xc3\xa9", 0},
	{"'\\u20ac'", "\xe2\x82\xac", 0},
	{"'\\U0001F600'", "\xf0\x9f\x98\x80", 0},
	{"'\xc3\xa9\xf0\x9f\x98\x80'", "\xc3\xa9\xf0\x9f\x98\x80", 0},
	{"", NULL, -EINVAL},
	{"a", NULL, -EINVAL},
	{"u", NULL, -EINVAL},
	{"u 'a'", NULL, -EINVAL},
	{"b'a'", NULL, -EINVAL},
	{"'a", NULL, -EINVAL},
	{"'a\"", NULL, -EINVAL},
	{"'a\n'", NULL, -EINVAL},
	{"'a\\'", NULL, -EINVAL},
	{"'\\q'", NULL, -EINVAL},
	{"'\\x4'", NULL, -EINVAL},
	{"'\\x4g'", NULL, -EINVAL},
	{"'\\u20a'", NULL, -EINVAL},
	{"'\\x00'", NULL, -EINVAL},
	{"'\\ud800'", NULL, -EINVAL},
	{"'\\U00110000'", NULL, -EINVAL},
	{"'\\Uffffffff'", NULL, -EINVAL},
	{"'\xff'", NULL, -EINVAL},
	{"'\xc3'", NULL, -EINVAL},
	{"'\xc0\x80'", NULL, -EINVAL},
	{"'\xe0\x80\x80'", NULL, -EINVAL},
	{"'\xed\xa0\x80'", NULL, -EINVAL},
	{"'\xf4\x90\x80\x80'", NULL, -EINVAL},
	{"'\xf8\x88\x80\x80\x80'", NULL, -EINVAL},
	{"'\x80'", NULL, -EINVAL},
};

START_TEST(read_string_any_literal_gives_its_value_or_an_error)
{
	struct segfs_pyliteral in = cursor(strings[_i].text);
	SEGFS_FREE char *value = NULL;

	ck_assert_int_eq(segfs_pyliteral_read_string(&in, &value), strings[_i].result);
	ck_assert_pstr_eq(value, strings[_i].value);
	if (strings[_i].result == 0)
		ck_assert_ptr_eq(in.next, in.end);
}
END_TEST

START_TEST(read_string_holding_nul_is_refused)
{
	static const char text[] = "'a\0b'";
	struct segfs_pyliteral in = {.next = text, .end = text + sizeof(text) - 1};
	char *value = NULL;

	ck_assert_int_eq(segfs_pyliteral_read_string(&in, &value), -EINVAL);
	ck_assert_ptr_null(value);
}
END_TEST

START_TEST(read_string_escape_cut_by_the_end_is_refused)
{
	static const char *const cut[] = {"'\\",    "'\\'",	  "'\\x",      "'\\x4",
					  "'\\u12", "'\\U0001F6", "'\xf0\x9f", "u"};

	for (size_t i = 0; i < COUNT_OF(cut); i++) {
		size_t len = strlen(cut[i]);
		char *text = bounded_copy(cut[i], len), *value = NULL;
		struct segfs_pyliteral in = {.next = text, .end = text + len};

		ck_assert_int_eq(segfs_pyliteral_read_string(&in, &value), -EINVAL);
		ck_assert_ptr_null(value);
		bounded_free(text);
	}
}
END_TEST

START_TEST(read_bool_true_and_false_are_read)
{
	struct segfs_pyliteral in = cursor(" True,False");
	bool value = false;

	ck_assert_int_eq(segfs_pyliteral_read_bool(&in, &value), 0);
	ck_assert(value);
	ck_assert(segfs_pyliteral_accept(&in, ','));
	ck_assert_int_eq(segfs_pyliteral_read_bool(&in, &value), 0);
	ck_assert(!value);
}
END_TEST

START_TEST(read_bool_anything_else_is_refused)
{
	static const char *const others[] = {"", "true", "Tru", "1", "0", "None", "'True'"};

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		struct segfs_pyliteral in = cursor(others[i]);
		bool value = true;

		ck_assert_int_eq(segfs_pyliteral_read_bool(&in, &value), -EINVAL);
		ck_assert(value);
	}
}
END_TEST

static const struct {
	const char *text;
	bool python2;
	int result;
	uint64_t value;
	char next; /* left in the text */
} lengths[] = {
	{"0", false, 0, 0, '\0'},
	{"00", false, 0, 0, '\0'},
	{" 17,", false, 0, 17, ','},
	{"9223372036854775807", false, 0, INT64_MAX, '\0'},
	{"10L", true, 0, 10, '\0'},
	{"10L", false, 0, 10, 'L'},
	{"10LL", true, 0, 10, 'L'},
	{"9223372036854775808", false, -EOVERFLOW, UNTOUCHED, 0},
	{"99999999999999999999999999", false, -EOVERFLOW, UNTOUCHED, 0},
	{"010", false, -EINVAL, UNTOUCHED, 0},
	{"-1", false, -EINVAL, UNTOUCHED, 0},
	{"+1", false, -EINVAL, UNTOUCHED, 0},
	{"L", true, -EINVAL, UNTOUCHED, 0},
	{"", false, -EINVAL, UNTOUCHED, 0},
};

START_TEST(read_length_any_number_gives_its_value_or_an_error)
{
	struct segfs_pyliteral in = cursor(lengths[_i].text);
	uint64_t value = UNTOUCHED;

	in.python2 = lengths[_i].python2;
	ck_assert_int_eq(segfs_pyliteral_read_length(&in, &value), lengths[_i].result);
	ck_assert_uint_eq(value, lengths[_i].value);
	if (lengths[_i].result == 0)
		ck_assert_int_eq(*in.next, lengths[_i].next);
}
END_TEST

static const struct {
	const char *text;
	int result;
	unsigned count;
} tuples[] = {
	{"()", 0, 0},	       {"(3,)", 0, 1},	       {" ( 2 , 3 ) ", 0, 2},	  {"(1,2,3,)", 0, 3},
	{"(3)", -EINVAL, 0},   {"(,)", -EINVAL, 0},    {"(1,2,3,4)", -EINVAL, 0}, {"(1 2)", -EINVAL, 0},
	{"[1,2]", -EINVAL, 0}, {"(1,,2)", -EINVAL, 0}, {"(1,2", -EINVAL, 0},	  {"(1,2]", -EINVAL, 0},
	{"1,2", -EINVAL, 0},   {"(1,-2)", -EINVAL, 0}, {"(", -EINVAL, 0},	  {"(True,)", -EINVAL, 0},
};

START_TEST(read_tuple_of_at_most_three_gives_its_count_or_an_error)
{
	struct segfs_pyliteral in = cursor(tuples[_i].text);
	uint64_t values[3] = {UNTOUCHED};
	unsigned count = UNTOUCHED;

	ck_assert_int_eq(segfs_pyliteral_read_tuple(&in, 3, values, &count), tuples[_i].result);
	if (tuples[_i].result == 0) {
		ck_assert_uint_eq(count, tuples[_i].count);
	} else {
		ck_assert_uint_eq(count, UNTOUCHED);
		ck_assert_uint_eq(values[0], UNTOUCHED);
	}
}
END_TEST

START_TEST(more_walks_a_list_to_its_end)
{
	struct segfs_pyliteral in = cursor("['a', 'b',]x");
	size_t n = 0;

	ck_assert(segfs_pyliteral_accept(&in, '['));
	while (segfs_pyliteral_more(&in, n, ']') > 0) {
		SEGFS_FREE char *value = NULL;

		ck_assert_int_eq(segfs_pyliteral_read_string(&in, &value), 0);
		n++;
	}
	ck_assert_uint_eq(n, 2);
	ck_assert(segfs_pyliteral_peek(&in, 'x'));
}
END_TEST

START_TEST(more_without_comma_or_close_is_refused)
{
	struct segfs_pyliteral missing_comma = cursor("'b']"), missing_close = cursor(" ");

	ck_assert_int_eq(segfs_pyliteral_more(&missing_comma, 1, ']'), -EINVAL);
	ck_assert_int_eq(segfs_pyliteral_more(&missing_close, 0, ']'), -EINVAL);
}
END_TEST

START_TEST(trim_end_leaves_out_white_space_only)
{
	struct segfs_pyliteral in = cursor(" a b \n\t"), blank = cursor(" \n");

	segfs_pyliteral_trim_end(&in);
	ck_assert_int_eq(in.end[-1], 'b');
	segfs_pyliteral_trim_end(&blank);
	ck_assert_ptr_eq(blank.next, blank.end);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pyliteral");
	TCase *tests = tcase_create("core");

	tcase_add_loop_test(tests, read_string_any_literal_gives_its_value_or_an_error, 0, COUNT_OF(strings));
	tcase_add_test(tests, read_string_holding_nul_is_refused);
	tcase_add_test(tests, read_string_escape_cut_by_the_end_is_refused);
	tcase_add_test(tests, read_bool_true_and_false_are_read);
	tcase_add_test(tests, read_bool_anything_else_is_refused);
	tcase_add_loop_test(tests, read_length_any_number_gives_its_value_or_an_error, 0, COUNT_OF(lengths));
	tcase_add_loop_test(tests, read_tuple_of_at_most_three_gives_its_count_or_an_error, 0,
			    COUNT_OF(tuples));
	tcase_add_test(tests, more_walks_a_list_to_its_end);
	tcase_add_test(tests, more_without_comma_or_close_is_refused);
	tcase_add_test(tests, trim_end_leaves_out_white_space_only);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
