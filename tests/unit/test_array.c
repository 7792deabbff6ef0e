/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <segfs/array.h>

#include "bounded.h"
#include "suite.h"
#include "util.h"

static const struct {
	const char *text;
	unsigned ndim;
	uint64_t shape[3];
} shapes[] = {
	{"1000,1000", 2, {1000, 1000}},
	{"(1000, 1000)", 2, {1000, 1000}},
	{"[1000,1000]", 2, {1000, 1000}},
	{" ( 1 ,2, 3 ) \n", 3, {1, 2, 3}},
	{"(3,)", 1, {3}},
	{"3,", 1, {3}},
	{"7", 1, {7}},
	{"(7)", 1, {7}},
	{"[7]", 1, {7}},
	{"0", 1, {0}},
	{"2,0,3", 3, {2, 0, 3}},
	{"9223372036854775807", 1, {INT64_MAX}},
	{"", 0, {0}},
	{"  \n", 0, {0}},
	{"()", 0, {0}},
	{"[ ]", 0, {0}},
};

static const struct {
	const char *text;
	int error;
} bad_shapes[] = {
	{"a", -EINVAL},
	{",", -EINVAL},
	{"(,)", -EINVAL},
	{"1,,2", -EINVAL},
	{"1 2", -EINVAL},
	{"(1,2", -EINVAL},
	{"1,2)", -EINVAL},
	{"(1,2]", -EINVAL},
	{"((1,2))", -EINVAL},
	{"()1", -EINVAL},
	{"-1", -EINVAL},
	{"1.0", -EINVAL},
	{"1e3", -EINVAL},
	{"0x10", -EINVAL},
	{"10L", -EINVAL},
	{"1,2,,", -EINVAL},
	{"1x2", -EINVAL},
	{"9223372036854775808", -EOVERFLOW},
	{"1,99999999999999999999999", -EOVERFLOW},
};

START_TEST(shape_parse_each_spelling_gives_the_lengths)
{
	uint64_t shape[SEGFS_MAX_NDIM];
	unsigned ndim;

	ck_assert_int_eq(segfs_shape_parse(shapes[_i].text, strlen(shapes[_i].text), shape, &ndim), 0);
	ck_assert_uint_eq(ndim, shapes[_i].ndim);
	ck_assert_mem_eq(shape, shapes[_i].shape, ndim * sizeof(*shape));
}
END_TEST

START_TEST(shape_parse_anything_else_is_refused_and_outputs_kept)
{
	uint64_t shape[SEGFS_MAX_NDIM] = {UNTOUCHED};
	unsigned ndim = UNTOUCHED;
	const char *text = bad_shapes[_i].text;

	ck_assert_int_eq(segfs_shape_parse(text, strlen(text), shape, &ndim), bad_shapes[_i].error);
	ck_assert_uint_eq(ndim, UNTOUCHED);
	ck_assert_uint_eq(shape[0], UNTOUCHED);
}
END_TEST

START_TEST(shape_parse_holding_nul_is_refused)
{
	uint64_t shape[SEGFS_MAX_NDIM];
	unsigned ndim;

	ck_assert_int_eq(segfs_shape_parse("1\0", 2, shape, &ndim), -EINVAL);
	ck_assert_int_eq(segfs_shape_parse("\0", 1, shape, &ndim), -EINVAL);
}
END_TEST

START_TEST(shape_parse_64_dimensions_are_the_most)
{
	uint64_t shape[SEGFS_MAX_NDIM];
	char text[2 * (SEGFS_MAX_NDIM + 1)];
	unsigned ndim = 0;

	for (size_t i = 0; i < sizeof(text); i += 2)
		memcpy(text + i, "1,", 2);
	ck_assert_int_eq(segfs_shape_parse(text, sizeof(text) - 2, shape, &ndim), 0);
	ck_assert_uint_eq(ndim, SEGFS_MAX_NDIM);
	ck_assert_int_eq(segfs_shape_parse(text, sizeof(text), shape, &ndim), -EINVAL);
}
END_TEST

START_TEST(shape_parse_every_prefix_stays_within_the_text)
{
	uint64_t shape[SEGFS_MAX_NDIM];
	unsigned ndim;

	for (size_t len = 0; len <= strlen(shapes[_i].text); len++) {
		char *text = bounded_copy(shapes[_i].text, len);
		int r = segfs_shape_parse(text, len, shape, &ndim);

		ck_assert(r == 0 || r == -EINVAL);
		bounded_free(text);
	}
}
END_TEST

START_TEST(shape_format_gives_lengths_and_commas)
{
	const uint64_t shape[] = {1000, 0, INT64_MAX};
	char buf[64];

	ck_assert_uint_eq(segfs_shape_format(shape, 3, buf, sizeof(buf)), 26);
	ck_assert_str_eq(buf, "1000,0,9223372036854775807");
	ck_assert_uint_eq(segfs_shape_format(shape, 0, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "");
}
END_TEST

START_TEST(shape_format_too_small_a_buffer_cuts_and_counts)
{
	const uint64_t shape[] = {1000, 1000};
	char buf[] = "??????????";

	ck_assert_uint_eq(segfs_shape_format(shape, 2, buf, 6), 9);
	ck_assert_str_eq(buf, "1000,");
	ck_assert_int_eq(buf[6], '?');
	ck_assert_uint_eq(segfs_shape_format(shape, 2, NULL, 0), 9);
}
END_TEST

/* A sane array of 24 doubles, 2 x 3 x 4, that begins at byte 128; each test spoils one thing. */
static struct segfs_array array;

static void make_sane_array(void)
{
	array = (struct segfs_array){.ndim = 3, .shape = {2, 3, 4}, .order = 'C', .offset = 128};
	ck_assert_int_eq(segfs_dtype_parse("<f8", 3, &array.dtype), 0);
}

static void clear_array(void)
{
	segfs_array_clear(&array);
}

static void expect_count(uint64_t elements, uint64_t bytes)
{
	uint64_t got_elements, got_bytes;

	ck_assert_int_eq(segfs_array_count(&array, &got_elements, &got_bytes), 0);
	ck_assert_uint_eq(got_elements, elements);
	ck_assert_uint_eq(got_bytes, bytes);
}

static void expect_count_overflows(void)
{
	uint64_t elements = UNTOUCHED, bytes = UNTOUCHED;

	ck_assert_int_eq(segfs_array_count(&array, &elements, &bytes), -EOVERFLOW);
	ck_assert_uint_eq(elements, UNTOUCHED);
	ck_assert_uint_eq(bytes, UNTOUCHED);
}

START_TEST(array_count_multiplies_the_lengths)
{
	expect_count(24, 192);
	array.ndim = 0;
	expect_count(1, 8);
	array.ndim = 3;
	array.shape[1] = 0;
	expect_count(0, 0);
}
END_TEST

START_TEST(array_count_elements_of_no_bytes_are_counted)
{
	segfs_dtype_free(array.dtype);
	ck_assert_int_eq(segfs_dtype_parse("S0", 2, &array.dtype), 0);
	expect_count(24, 0);
}
END_TEST

START_TEST(array_count_int64_max_bytes_are_the_most)
{
	array.ndim = 1;
	array.shape[0] = INT64_MAX / 8;
	expect_count(INT64_MAX / 8, INT64_MAX - 7);
	array.shape[0]++;
	expect_count_overflows();
	array.shape[0] = UINT64_MAX;
	expect_count_overflows();
}
END_TEST

START_TEST(array_count_overflow_is_seen_wherever_the_zero_stands)
{
	const uint64_t large = UINT64_C(1) << 40;

	for (unsigned zero = 0; zero < 3; zero++) {
		for (unsigned i = 0; i < 3; i++)
			array.shape[i] = i == zero ? 0 : large;
		expect_count_overflows();
	}
}
END_TEST

START_TEST(array_check_fits_to_the_byte)
{
	ck_assert_int_eq(segfs_array_check(&array, 128 + 192), 0);
	ck_assert_int_eq(segfs_array_check(&array, 128 + 191), -EINVAL);
	array.order = 'F';
	ck_assert_int_eq(segfs_array_check(&array, UINT64_MAX), 0);
}
END_TEST

START_TEST(array_check_unaligned_offset_is_refused)
{
	array.offset = 124;
	ck_assert_int_eq(segfs_array_check(&array, 4096), -EINVAL);
	array.offset = 120;
	ck_assert_int_eq(segfs_array_check(&array, 4096), 0);
}
END_TEST

START_TEST(array_check_unknown_order_is_refused)
{
	array.order = 'A';
	ck_assert_int_eq(segfs_array_check(&array, 4096), -EINVAL);
	array.order = '\0';
	ck_assert_int_eq(segfs_array_check(&array, 4096), -EINVAL);
}
END_TEST

START_TEST(array_check_end_beyond_64_bits_overflows)
{
	array.offset = UINT64_MAX - 127;
	ck_assert_int_eq(segfs_array_check(&array, UINT64_MAX), -EOVERFLOW);
	array.offset = 0;
	array.shape[0] = INT64_MAX;
	ck_assert_int_eq(segfs_array_check(&array, UINT64_MAX), -EOVERFLOW);
}
END_TEST

START_TEST(array_check_empty_array_begins_within_the_file)
{
	array.shape[0] = 0;
	ck_assert_int_eq(segfs_array_check(&array, 128), 0);
	ck_assert_int_eq(segfs_array_check(&array, 127), -EINVAL);
}
END_TEST

START_TEST(array_clear_twice_is_harmless)
{
	segfs_array_clear(&array);
	ck_assert_ptr_null(array.dtype);
	ck_assert_uint_eq(array.ndim, 0);
	segfs_array_clear(&array);
}
END_TEST

static TCase *shape_tests(void)
{
	TCase *tests = tcase_create("shape");

	tcase_add_loop_test(tests, shape_parse_each_spelling_gives_the_lengths, 0, COUNT_OF(shapes));
	tcase_add_loop_test(tests, shape_parse_anything_else_is_refused_and_outputs_kept, 0,
			    COUNT_OF(bad_shapes));
	tcase_add_test(tests, shape_parse_holding_nul_is_refused);
	tcase_add_test(tests, shape_parse_64_dimensions_are_the_most);
	tcase_add_loop_test(tests, shape_parse_every_prefix_stays_within_the_text, 0, COUNT_OF(shapes));
	tcase_add_test(tests, shape_format_gives_lengths_and_commas);
	tcase_add_test(tests, shape_format_too_small_a_buffer_cuts_and_counts);
	return tests;
}

static void expect_strides(uint64_t first, uint64_t second, uint64_t third)
{
	uint64_t strides[SEGFS_MAX_NDIM] = {0};

	segfs_array_strides(&array, strides);
	ck_assert_uint_eq(strides[0], first);
	ck_assert_uint_eq(strides[1], second);
	ck_assert_uint_eq(strides[2], third);
}

START_TEST(array_strides_are_those_of_numpy)
{
	expect_strides(96, 32, 8);
	array.order = 'F';
	expect_strides(8, 16, 48);
	array.ndim = 0;
	expect_strides(0, 0, 0);
}
END_TEST

static void expect_equal(const struct segfs_array *other, bool equal)
{
	ck_assert_int_eq(segfs_array_equal(&array, other), equal);
	ck_assert_int_eq(segfs_array_equal(other, &array), equal);
}

START_TEST(array_equal_looks_at_all_but_the_offset)
{
	struct segfs_array other = array;

	ck_assert_int_eq(segfs_dtype_parse("f8", 2, &other.dtype), 0);
	other.offset = 64;
	expect_equal(&other, true);
	other.ndim = 2;
	expect_equal(&other, false);
	other.ndim = 3;
	other.shape[2] = 5;
	expect_equal(&other, false);
	other.shape[2] = 4;
	other.order = 'F';
	expect_equal(&other, false);
	segfs_array_clear(&other);
	other = array;
	ck_assert_int_eq(segfs_dtype_parse("<i8", 3, &other.dtype), 0);
	expect_equal(&other, false);
	segfs_array_clear(&other);
}
END_TEST

START_TEST(array_equal_where_order_makes_no_difference)
{
	struct segfs_array other;

	array.shape[0] = array.shape[2] = 1;
	other = array;
	other.order = 'F';
	expect_equal(&other, true);
	array.shape[1] = other.shape[1] = 0;
	array.shape[0] = other.shape[0] = array.shape[2] = other.shape[2] = 7;
	expect_equal(&other, true);
}
END_TEST

static TCase *array_tests(void)
{
	TCase *tests = tcase_create("array");

	tcase_add_checked_fixture(tests, make_sane_array, clear_array);
	tcase_add_test(tests, array_count_multiplies_the_lengths);
	tcase_add_test(tests, array_count_elements_of_no_bytes_are_counted);
	tcase_add_test(tests, array_count_int64_max_bytes_are_the_most);
	tcase_add_test(tests, array_count_overflow_is_seen_wherever_the_zero_stands);
	tcase_add_test(tests, array_strides_are_those_of_numpy);
	tcase_add_test(tests, array_equal_looks_at_all_but_the_offset);
	tcase_add_test(tests, array_equal_where_order_makes_no_difference);
	tcase_add_test(tests, array_check_fits_to_the_byte);
	tcase_add_test(tests, array_check_unaligned_offset_is_refused);
	tcase_add_test(tests, array_check_unknown_order_is_refused);
	tcase_add_test(tests, array_check_end_beyond_64_bits_overflows);
	tcase_add_test(tests, array_check_empty_array_begins_within_the_file);
	tcase_add_test(tests, array_clear_twice_is_harmless);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("array");

	suite_add_tcase(suite, shape_tests());
	suite_add_tcase(suite, array_tests());
	return run_suite(suite);
}
