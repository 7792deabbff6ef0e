/* SPDX-License-Identifier: MIT */
#include "cell.h"

#include <errno.h>
#include <stdio.h>

#include "bounded.h"
#include "dtype-internal.h"
#include "suite.h"

struct example {
	const char *dtype;
	const char *bytes; /* as many as the itemsize */
	const char *text;  /* without the blanks before it */
	size_t width;
};

/* In the hope that they are what somebody would look for; numpy_reads_text.py has the many. */
static const struct example examples[] = {
	{"?", "\0", "0", 1},
	{"?", "\2", "1", 1},
	{"i1", "\x80", "-128", 4},
	{"u1", "\xff", "255", 3},
	{"<i2", "\xff\xff", "-1", 6},
	{">i2", "\0\1", "1", 6},
	{"<u2", "\xff\xff", "65535", 5},
	{"<i4", "\0\0\0\x80", "-2147483648", 11},
	{">u4", "\xff\xff\xff\xff", "4294967295", 10},
	{"<i8", "\0\0\0\0\0\0\0\x80", "-9223372036854775808", 20},
	{"<u8", "\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615", 20},
	{"<m8[s]", "\xff\xff\xff\xff\xff\xff\xff\xff", "-1", 20},
	{"<m8[s]", "\0\0\0\0\0\0\0\x80", "NaT", 20},
	{"<f8", "\0\0\0\0\0\0\xf8\x3f", "1.5", 24},
	{">f8", "\x3f\xb9\x99\x99\x99\x99\x99\x9a", "0.1", 24},
	{"<f8", "\0\0\0\0\0\0\0\x80", "-0", 24},
	{"<f8", "\0\0\0\0\0\0\xf0\xff", "-inf", 24},
	{"<f8", "\1\0\0\0\0\0\xf0\xff", "nan", 24},
	{"<f8", "\1\0\0\0\0\0\0\0", "5e-324", 24},
	{"<f8", "\xff\xff\xff\xff\xff\xff\xef\xff", "-1.7976931348623157e+308", 24},
	{">f8", "\x43\x41\xc3\x79\x37\xe0\x80\x00", "10000000000000000", 24},
	{">f8", "\x43\x76\x34\x57\x85\xd8\xa0\x00", "1e+17", 24},
	{">f8", "\x3f\x1a\x36\xe2\xeb\x1c\x43\x2d", "0.0001", 24},
	{">f8", "\x3e\xe4\xf8\xb5\x88\xe3\x68\xf1", "1e-05", 24},
	{"<f4", "\xcd\xcc\xcc\x3d", "0.1", 15},
	{"<f4", "\1\0\0\x80", "-1e-45", 15},
	{"<f4", "\xff\xff\x7f\x7f", "3.4028235e+38", 15},
	{">f4", "\x15\xae\x43\xfd", "7.0385307e-26", 15}, /* 7.038531e-26 as a double is nearer to another */
	{"<f2", "\xff\x7b", "65500", 11},
	{">f2", "\x2e\x66", "0.1", 11},
	{"bfloat16", "\xcd\x3d", "0.1", 10},
	{"<c8", "\0\0\xc0\x3f\0\0\0\xc0", "1.5-2j", 31},
	{"<c8", "\0\0\xc0\x7f\0\0\x80\x7f", "nan+infj", 31},
	{"<c16", "\0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\x80", "-0-0j", 49},
	{"<M8[Y]", "\x36\0\0\0\0\0\0\0", "2024", 20},
	{"<M8[Y]", "\xff\xff\xff\xff\xff\xff\xff\x7f", "9223372036854777777", 20},
	{"<M8[M]", "\x89\2\0\0\0\0\0\0", "2024-02", 22},
	{"<M8[W]", "\xff\xff\xff\xff\xff\xff\xff\xff", "1969-12-25", 25},
	{"<M8[D]", "\x47\x4d\0\0\0\0\0\0", "2024-03-01", 24},
	{"<M8[D]", "\xff\xff\xff\xff\xff\xff\xff\xff", "1969-12-31", 24},
	{"<M8[D]", "\x08\x2b\0\0\0\0\0\0", "2000-02-29", 24},
	{"<M8[h]", "\xff\xff\xff\xff\xff\xff\xff\xff", "1969-12-31T23", 26},
	{"<M8[m]", "\1\0\0\0\0\0\0\0", "1970-01-01T00:01", 27},
	{">M8[25s]", "\0\0\0\0\0\0\0\3", "1970-01-01T00:01:15", 29},
	{"<M8[10us]", "\1\0\0\0\0\0\0\0", "1970-01-01T00:00:00.000010", 30},
	{"<M8[ns]", "\xff\xff\xff\xff\xff\xff\xff\x7f", "2262-04-11T23:47:16.854775807", 29},
	{"<M8[as]", "\1\0\0\0\0\0\0\x80", "1969-12-31T23:59:50.776627963145224193", 38},
	{"<M8[ns]", "\0\0\0\0\0\0\0\x80", "NaT", 29},
	{"<M8", "\5\0\0\0\0\0\0\0", "5", 20},
	{"<M8", "\0\0\0\0\0\0\0\x80", "NaT", 20},
	{"S4", "ab\0\0", "\"ab\"", 10},
	{"S4", "\0\0\0\0", "\"\"", 10},
	{"S4", "a\0b\n", "\"a?b?\"", 10},
	{"S4", "\"\"\"\"", "\"\"\"\"\"\"\"\"\"\"", 10},
	{"S4", "a\xc3\xa9\xc3", "\"a\xc3\xa9?\"", 10},
	{"S4", "\xe2\x80\xa8x", "\"?x\"", 10},
	{"S0", "", "\"\"", 2},
	{"<U2", "\xe9\0\0\0\0\0\0\0", "\"\xc3\xa9\"", 10},
	{">U2", "\0\1\xf6\0\0\0\0\"", "\"\xf0\x9f\x98\x80\"\"\"", 10},
	{"<U2", "\0\xd8\0\0\0\0\x11\0", "\"\?\?\"", 10},
	{"<U2", "\x85\0\0\0\x29\x20\0\0", "\"\?\?\"", 10},
	{"<U2", "\0\0\0\0\x7f\0\0\0", "\"\?\?\"", 10},
	{"V3", "\0\x9f\xff", "009fff", 6},
	{"V0", "", "", 0},
};

static struct segfs_dtype *parse(const char *text)
{
	struct segfs_dtype *dtype;

	ck_assert_int_eq(segfs_dtype_parse(text, strlen(text), &dtype), 0);
	return dtype;
}

START_TEST(format_gives_right_aligned_text)
{
	const struct example *example = &examples[_i];
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = parse(example->dtype);
	char *bytes = bounded_copy(example->bytes, dtype->itemsize), expected[64], text[64];
	struct segfs_cell cell;

	ck_assert_int_eq(segfs_cell_init(&cell, dtype), 0);
	ck_assert_uint_eq(cell.width, example->width);
	snprintf(expected, sizeof(expected), "%*s", (int)cell.width, example->text);
	memset(text, '#', sizeof(text));
	segfs_cell_format(&cell, bytes, text);
	ck_assert_int_eq(text[cell.width], '#');
	text[cell.width] = '\0';
	ck_assert_str_eq(text, expected);
	bounded_free(bytes);
}
END_TEST

START_TEST(format_fills_a_wider_cell)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = parse("u1");
	struct segfs_cell cell;
	char text[8] = "";

	ck_assert_int_eq(segfs_cell_init(&cell, dtype), 0);
	cell.width = 6;
	segfs_cell_format(&cell, "\x2a", text);
	ck_assert_str_eq(text, "    42");
}
END_TEST

static const char *const too_wide[] = {"S524288", "U262144", "V524289"};

START_TEST(init_of_too_wide_a_cell_fails_untouched)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = parse(too_wide[_i]);
	struct segfs_cell cell = {.width = UNTOUCHED};

	ck_assert_int_eq(segfs_cell_init(&cell, dtype), -EOVERFLOW);
	ck_assert_uint_eq(cell.width, UNTOUCHED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cell");
	TCase *tests = tcase_create("cell");

	tcase_add_loop_test(tests, format_gives_right_aligned_text, 0, COUNT_OF(examples));
	tcase_add_test(tests, format_fills_a_wider_cell);
	tcase_add_loop_test(tests, init_of_too_wide_a_cell_fails_untouched, 0, COUNT_OF(too_wide));
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
