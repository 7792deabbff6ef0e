/* SPDX-License-Identifier: MIT */
#include "statistics.h"

#include <check.h>
#include <math.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

static struct segfs_array make_array(const char *dtype, uint64_t n)
{
	struct segfs_array array = {.ndim = 1, .shape = {n}, .order = 'C'};

	ck_assert_int_eq(segfs_dtype_parse(dtype, strlen(dtype), &array.dtype), 0);
	return array;
}

/* Statistics of a file that holds just these elements. */
static struct segfs_statistics statistics_of(const char *dtype, const void *elements, size_t n)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array(dtype, n);
	SEGFS_CLOSE int fd = file_on_tmpfs(elements, n * array.dtype->itemsize);
	struct segfs_statistics statistics;

	ck_assert_int_eq(segfs_statistics_read(&array, fd, &statistics), 0);
	return statistics;
}

#define EXPECT(statistics, the_min, the_max, the_mean, the_n, the_nan)                                       \
	do {                                                                                                 \
		ck_assert_ldouble_eq((statistics).min, the_min);                                             \
		ck_assert_ldouble_eq((statistics).max, the_max);                                             \
		ck_assert_ldouble_eq((statistics).mean, the_mean);                                           \
		ck_assert_uint_eq((statistics).n_sampled, the_n);                                            \
		ck_assert_uint_eq((statistics).n_nan, the_nan);                                              \
	} while (0)

START_TEST(read_numbers_of_each_kind)
{
	EXPECT(statistics_of("i1", "\xff\x03", 2), -1, 3, 1, 2, 0);
	EXPECT(statistics_of("u1", "\xff\x01", 2), 1, 255, 128, 2, 0);
	EXPECT(statistics_of("?", "\x00\x01\x07\x00", 4), 0, 1, 0.5L, 4, 0);
	EXPECT(statistics_of(">i2", "\x01\x00\xff\x00", 2), -256, 256, 0, 2, 0);
	EXPECT(statistics_of("<f2", "\x00\x3c\x00\xc0", 2), -2, 1, -0.5L, 2, 0);
	EXPECT(statistics_of(">f4", "\x3f\x80\x00\x00", 1), 1, 1, 1, 1, 0);
}
END_TEST

/* Not under valgrind, where a long double is a double. */
static bool long_double_holds_64_bits(void)
{
	volatile long double large = UINT64_MAX;

	return large - 1 != large;
}

START_TEST(read_extremes_of_64_bits_are_exact)
{
	int64_t numbers[] = {INT64_MAX, INT64_MAX - 1, INT64_MIN + 1};
	uint64_t unsigned_numbers[] = {UINT64_MAX, UINT64_MAX - 1};
	struct segfs_statistics statistics = statistics_of("=i8", numbers, 3);

	if (!long_double_holds_64_bits())
		return;
	ck_assert(statistics.max == (long double)INT64_MAX && statistics.min == (long double)(INT64_MIN + 1));
	statistics = statistics_of("=u8", unsigned_numbers, 2);
	ck_assert(statistics.max == (long double)UINT64_MAX &&
		  statistics.min == (long double)(UINT64_MAX - 1));
}
END_TEST

START_TEST(read_nan_is_counted_and_left_out)
{
	double some[] = {(double)NAN, 5, (double)NAN, -1}, none[] = {(double)NAN, -(double)NAN};
	struct segfs_statistics statistics = statistics_of("=f8", none, 2);

	EXPECT(statistics_of("=f8", some, 4), -1, 5, 2, 4, 2);
	ck_assert(isnan(statistics.min) && isnan(statistics.max) && isnan(statistics.mean));
	ck_assert_uint_eq(statistics.n_nan, 2);
}
END_TEST

START_TEST(read_infinities_are_extremes)
{
	float numbers[] = {INFINITY, 5, -INFINITY};
	struct segfs_statistics statistics = statistics_of("=f4", numbers, 3);

	ck_assert(statistics.min == -INFINITY && statistics.max == INFINITY && isnan(statistics.mean));
	statistics = statistics_of("=f4", numbers, 2);
	ck_assert(statistics.min == 5 && statistics.mean == INFINITY);
}
END_TEST

START_TEST(read_empty_array_has_none)
{
	struct segfs_statistics statistics = statistics_of("=f8", "", 0);

	ck_assert(isnan(statistics.min) && isnan(statistics.max) && isnan(statistics.mean));
	ck_assert_uint_eq(statistics.n_sampled, 0);
}
END_TEST

START_TEST(read_scalar_is_one_element)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("u1", 0);
	SEGFS_CLOSE int fd = file_on_tmpfs("abc", 3);
	struct segfs_statistics statistics;

	array.ndim = 0;
	array.offset = 2;
	ck_assert_int_eq(segfs_statistics_read(&array, fd, &statistics), 0);
	EXPECT(statistics, 'c', 'c', 'c', 1, 0);
}
END_TEST

/* Elements that are their own index. */
static uint32_t *count_up(size_t n)
{
	uint32_t *numbers = calloc(n, sizeof(*numbers));

	ck_assert_ptr_nonnull(numbers);
	for (size_t i = 0; i < n; i++)
		numbers[i] = (uint32_t)i;
	return numbers;
}

START_TEST(read_small_array_is_read_whole)
{
	static const size_t sizes[] = {1, 1023, 1024, 1025, 65535, 65536};

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		size_t n = sizes[i];
		SEGFS_FREE uint32_t *numbers = count_up(n);

		EXPECT(statistics_of("=u4", numbers, n), 0, n - 1, (n - 1) / 2.0L, n, 0);
	}
}
END_TEST

START_TEST(read_large_array_is_sampled_from_start_to_end)
{
	static const size_t sizes[] = {65537, 65599, 65600, 100000, 1000003};

	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		size_t n = sizes[i];
		SEGFS_FREE uint32_t *numbers = count_up(n);
		struct segfs_statistics statistics = statistics_of("=u4", numbers, n);

		ck_assert_ldouble_eq(statistics.min, 0);
		ck_assert_ldouble_eq(statistics.max, n - 1);
		ck_assert_uint_eq(statistics.n_sampled, SEGFS_STATISTICS_MAX);
		ck_assert_ldouble_eq_tol(statistics.mean, (n - 1) / 2.0L, 1);
	}
}
END_TEST

/* A sparse file of far more than could be read. */
START_TEST(read_huge_array_takes_no_time)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("u1", 1ull << 40);
	SEGFS_CLOSE int fd = file_on_tmpfs("\x07", 1);
	struct segfs_statistics statistics;

	ck_assert_int_eq(ftruncate(fd, 1ll << 40), 0);
	ck_assert_int_eq(pwrite(fd, "\x09", 1, (1ll << 40) - 1), 1);
	ck_assert_int_eq(segfs_statistics_read(&array, fd, &statistics), 0);
	EXPECT(statistics, 0, 9, 16.0L / SEGFS_STATISTICS_MAX, SEGFS_STATISTICS_MAX, 0);
}
END_TEST

static void expect_error(const char *dtype, uint64_t n, int fd, int error)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array(dtype, n);
	struct segfs_statistics statistics = {.n_nan = UNTOUCHED};

	ck_assert_int_eq(segfs_statistics_read(&array, fd, &statistics), error);
	ck_assert_uint_eq(statistics.n_nan, UNTOUCHED);
}

START_TEST(read_file_cut_short_is_stale)
{
	static char bytes[80];

	for (size_t len = 0; len < sizeof(bytes); len++) {
		SEGFS_CLOSE int fd = file_on_tmpfs(bytes, len);

		expect_error("f8", 10, fd, -ESTALE);
		expect_error("u1", 100000, fd, -ESTALE);
	}
}
END_TEST

START_TEST(read_what_are_no_real_numbers_is_refused)
{
	static const char *const dtypes[] = {"c8", "c16", "M8[s]", "m8", "S5", "U5", "V8", "[('a', 'f8')]"};
	static const char bytes[1024];
	SEGFS_CLOSE int fd = file_on_tmpfs(bytes, sizeof(bytes));

	for (size_t i = 0; i < COUNT_OF(dtypes); i++)
		expect_error(dtypes[i], 2, fd, -ENOTSUP);
}
END_TEST

START_TEST(read_other_errors_are_passed_on)
{
	expect_error("u1", 1, -1, -EBADF);
	expect_error("f8", INT64_MAX, -1, -EOVERFLOW);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("statistics");
	TCase *tests = tcase_create("read");

	tcase_add_test(tests, read_numbers_of_each_kind);
	tcase_add_test(tests, read_extremes_of_64_bits_are_exact);
	tcase_add_test(tests, read_nan_is_counted_and_left_out);
	tcase_add_test(tests, read_infinities_are_extremes);
	tcase_add_test(tests, read_empty_array_has_none);
	tcase_add_test(tests, read_scalar_is_one_element);
	tcase_add_test(tests, read_small_array_is_read_whole);
	tcase_add_test(tests, read_large_array_is_sampled_from_start_to_end);
	tcase_add_test(tests, read_huge_array_takes_no_time);
	tcase_add_test(tests, read_file_cut_short_is_stale);
	tcase_add_test(tests, read_what_are_no_real_numbers_is_refused);
	tcase_add_test(tests, read_other_errors_are_passed_on);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
