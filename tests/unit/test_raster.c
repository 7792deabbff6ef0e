/* SPDX-License-Identifier: MIT */
#include "raster.h"

#include <check.h>
#include <float.h>
#include <math.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

static struct segfs_array make_array(const char *dtype, const char *shape, char order)
{
	struct segfs_array array = {.order = order};

	ck_assert_int_eq(segfs_dtype_parse(dtype, strlen(dtype), &array.dtype), 0);
	ck_assert_int_eq(segfs_shape_parse(shape, strlen(shape), array.shape, &array.ndim), 0);
	return array;
}

/* All pixels, read in bands of `band` rows; to be freed. */
static unsigned char *read_pixels(const struct segfs_array *array, int fd, uint32_t band)
{
	struct segfs_raster_reader *reader = NULL;
	struct segfs_raster raster;
	unsigned char *pixels;
	size_t row_size;

	ck_assert_int_eq(segfs_raster_init(array, &raster), 0);
	row_size = (size_t)raster.width * raster.channels;
	pixels = malloc(raster.height * row_size);
	ck_assert_ptr_nonnull(pixels);
	ck_assert_int_eq(segfs_raster_open(&raster, array, fd, &reader), 0);
	for (uint32_t row = 0; row < raster.height; row += band)
		ck_assert_int_eq(segfs_raster_read(reader, row, MIN(band, raster.height - row),
						   pixels + row * row_size),
				 0);
	segfs_raster_free(reader);
	return pixels;
}

/* Elements of a two-dimensional array, and the grey that they are to give. */
static void expect_grey(const char *dtype, const char *shape, char order, const void *elements,
			const char *grey, size_t n)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array(dtype, shape, order);
	SEGFS_CLOSE int fd = file_on_tmpfs(elements, n * array.dtype->itemsize);
	SEGFS_FREE unsigned char *pixels = read_pixels(&array, fd, 1);

	ck_assert_mem_eq(pixels, grey, n);
}

/* Not under valgrind, where a long double is a double. */
static bool long_double_holds_64_bits(void)
{
	volatile long double large = UINT64_MAX;

	return large - 1 != large;
}

static const struct {
	const char *dtype, *shape;
	uint32_t width, height, channels;
	uint64_t step;
} pictures[] = {
	{"u1", "2,3", 3, 2, 1, 1},
	{"u1", "2,3,3", 3, 2, 3, 1},
	{"u1", "2,3,4", 3, 2, 4, 1},
	{"?", "1,1", 1, 1, 1, 1},
	{"i1", "2,3", 3, 2, 1, 1},
	{">i8", "2,3", 3, 2, 1, 1},
	{"f2", "2,3", 3, 2, 1, 1},
	{"f16", "2,3", 3, 2, 1, 1},
	{"bfloat16", "2,3", 3, 2, 1, 1},
	{"u1", "1,65535", 65535, 1, 1, 1},
	{"u1", "1,65536", 32768, 1, 1, 2},
	{"u1", "65536,1,4", 1, 32768, 4, 2},
	{"u1", "4096,4096", 4096, 4096, 1, 1},
	{"u1", "4096,4097", 2049, 2048, 1, 2},
	{"u1", "1,9223372036854775807", 65535, 1, 1, 140739635871745},
	{"u1", "3037000499,3037000499", 4096, 4096, 1, 741456},
};

START_TEST(init_picture_gives_its_pixels)
{
	SEGFS_CLEANUP(segfs_array_clear)
	struct segfs_array array = make_array(pictures[_i].dtype, pictures[_i].shape, 'C');
	struct segfs_raster raster;

	ck_assert_int_eq(segfs_raster_init(&array, &raster), 0);
	ck_assert_uint_eq(raster.width, pictures[_i].width);
	ck_assert_uint_eq(raster.height, pictures[_i].height);
	ck_assert_uint_eq(raster.channels, pictures[_i].channels);
	ck_assert_uint_eq(raster.step, pictures[_i].step);
}
END_TEST

static const struct {
	const char *dtype, *shape;
} no_pictures[] = {
	{"u1", ""},
	{"u1", "3"},
	{"u1", "0,3"},
	{"u1", "3,0"},
	{"u1", "0,3,3"},
	{"u1", "2,3,1"},
	{"u1", "2,3,2"},
	{"u1", "2,3,5"},
	{"u1", "2,3,0"},
	{"u1", "2,2,3,3"},
	{"i1", "2,3,3"},
	{"u2", "2,3,3"},
	{"f4", "2,3,3"},
	{"?", "2,3,3"},
	{"c8", "2,3"},
	{"M8[s]", "2,3"},
	{"m8", "2,3"},
	{"S1", "2,3"},
	{"U1", "2,3"},
	{"V1", "2,3"},
	{"V0", "2,3"},
	{"[('a','u1')]", "2,3"},
	{"u1", "9223372036854775807,2"},
	{"f8", "9223372036854775807,1"},
};

START_TEST(init_anything_else_is_no_picture)
{
	SEGFS_CLEANUP(segfs_array_clear)
	struct segfs_array array = make_array(no_pictures[_i].dtype, no_pictures[_i].shape, 'C');
	struct segfs_raster raster = {.width = UNTOUCHED};

	ck_assert_int_eq(segfs_raster_init(&array, &raster), -ENOTSUP);
	ck_assert_uint_eq(raster.width, UNTOUCHED);
}
END_TEST

START_TEST(read_bytes_are_shown_as_they_are)
{
	expect_grey("u1", "2,3", 'C', "\x00\x01\x02\xfd\xfe\xff", "\x00\x01\x02\xfd\xfe\xff", 6);
	expect_grey("u1", "2,3", 'F', "\x00\xfd\x01\xfe\x02\xff", "\x00\x01\x02\xfd\xfe\xff", 6);
	expect_grey("u1", "1,2,3", 'C', "RGBrgb", "RGBrgb", 6);
	expect_grey("u1", "1,2,3", 'F', "RrGgBb", "RGBrgb", 6);
	expect_grey("u1", "2,1,4", 'C', "RGBArgba", "RGBArgba", 8);
	expect_grey("u1", "2,1,4", 'F', "RrGgBbAa", "RGBArgba", 8);
}
END_TEST

START_TEST(read_bools_are_black_and_white)
{
	expect_grey("?", "2,2", 'C', "\x00\x01\x02\xff", "\x00\xff\xff\xff", 4);
	expect_grey("?", "2,2", 'F', "\x00\x01\x00\xff", "\x00\x00\xff\xff", 4);
}
END_TEST

START_TEST(read_numbers_are_scaled)
{
	static const long double numbers[] = {1, 2}; /* static: the padding of one is zero */

	expect_grey("i1", "1,3", 'C', "\x80\x00\x7f", "\x00\x80\xff", 3);
	expect_grey("<u2", "1,3", 'C', "\x00\x01\x80\x01\x00\x02", "\x00\x80\xff", 3);
	expect_grey(">u2", "1,3", 'C', "\x01\x00\x01\x80\x02\x00", "\x00\x80\xff", 3);
	expect_grey("<f2", "1,3", 'C', "\x00\x3c\x00\xbc\x00\x00", "\xff\x00\x80", 3);
	expect_grey(">f2", "3,1", 'F', "\x3c\x00\xbc\x00\x00\x00", "\xff\x00\x80", 3);
	expect_grey("bfloat16", "1,3", 'C', (uint16_t[]){0x3f80, 0xbf80, 0}, "\xff\x00\x80", 3);
	expect_grey("=f4", "2,2", 'F', (float[]){0, 255, 1, 100}, "\x00\x01\xff\x64", 4);
	expect_grey("=i4", "2,2", 'C', (int32_t[]){-255, 0, -1, -100}, "\x00\xff\xfe\x9b", 4);
	expect_grey("=f16", "1,2", 'C', numbers, "\x00\xff", 2);
}
END_TEST

/* Each dtype of a real number, in both byte orders. */
START_TEST(read_every_type_is_scaled_alike)
{
	static const char *const types[] = {"i1", "i2", "i4", "i8", "u2", "u4", "u8"};

	for (size_t i = 0; i < 2 * COUNT_OF(types); i++) {
		size_t itemsize = (size_t)(types[i / 2][1] - '0');
		char dtype[] = {i % 2 == 0 ? '<' : '>', types[i / 2][0], types[i / 2][1], '\0'};
		unsigned char elements[4 * 8] = {0}, *last = elements + (i % 2 == 0 ? 0 : itemsize - 1);

		for (unsigned char j = 0; j < 4; j++)
			last[j * itemsize] = j * 17;
		expect_grey(dtype, "2,2", 'C', elements, "\x00\x55\xaa\xff", 4);
	}
}
END_TEST

START_TEST(read_what_is_not_finite_is_black_or_white)
{
	double some[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 5, 6, 7};
	double equal[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 5, 5, 5};

	expect_grey("=f8", "2,3", 'C', some, "\x00\xff\x00\x00\x80\xff", 6);
	expect_grey("=f8", "2,3", 'C', equal, "\x00\xff\x00\x00\x00\x00", 6);
	expect_grey("=f8", "1,3", 'C', some, "\x00\xff\x00", 3);
}
END_TEST

START_TEST(read_extremes_of_a_type_are_no_overflow)
{
	static const long double largest[] = {LDBL_MAX, 0, -LDBL_MAX};

	expect_grey("=f8", "1,3", 'C', (double[]){DBL_MAX, 0, -DBL_MAX}, "\xff\x80\x00", 3);
	expect_grey("=f8", "1,3", 'C', (double[]){DBL_TRUE_MIN, 0, -DBL_TRUE_MIN}, "\xff\x80\x00", 3);
	if (long_double_holds_64_bits())
		expect_grey("=f16", "1,3", 'C', largest, "\xff\x80\x00", 3);
	expect_grey("=i8", "1,2", 'C', (int64_t[]){INT64_MAX, INT64_MIN}, "\xff\x00", 2);
}
END_TEST

/* Nanoseconds since 1970 would all be the same as doubles. */
START_TEST(read_large_integers_are_scaled_exactly)
{
	int64_t numbers[3] = {1700000000000000000, 1700000000000000002, 1700000000000000001};

	if (long_double_holds_64_bits())
		expect_grey("=i8", "1,3", 'C', numbers, "\x00\xff\x80", 3);
}
END_TEST

/* x87 bit patterns that are no numbers: the bit before the point is missing. */
START_TEST(read_invalid_long_doubles_do_no_harm)
{
	static const unsigned char elements[3][16] = {
		{0, 0, 0, 0, 0, 0, 0, 0x00, 0xff, 0x3f}, /* invalid */
		{0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f}, /* 1 */
		{0, 0, 0, 0, 0, 0, 0, 0x80, 0x00, 0x40}, /* 2 */
	};

	if (LDBL_MANT_DIG == 64)
		expect_grey("=f16", "1,3", 'C', elements, "\x00\x00\xff", 3);
}
END_TEST

/* What element [y, x, c] of a large array of bytes holds. */
static unsigned char pattern(uint64_t y, uint64_t x, uint64_t c)
{
	return (unsigned char)(y * 7 + x * 3 + c * 101 + y / 256 + x / 256);
}

static int file_of_pattern(const struct segfs_array *array)
{
	uint64_t h = array->shape[0], w = array->shape[1], n = array->ndim == 3 ? array->shape[2] : 1;
	SEGFS_FREE unsigned char *bytes = malloc(array->offset + h * w * n);
	unsigned char *at = bytes + array->offset;

	ck_assert_ptr_nonnull(bytes);
	memset(bytes, '?', array->offset);
	for (uint64_t i = 0; i < h * w * n; i++) {
		if (array->order == 'C')
			*at++ = pattern(i / n / w, i / n % w, i % n);
		else
			*at++ = pattern(i % h, i / h % w, i / h / w);
	}
	return file_on_tmpfs(bytes, array->offset + h * w * n);
}

static void expect_pattern(const struct segfs_raster *raster, const unsigned char *pixels)
{
	for (uint64_t y = 0; y < raster->height; y++)
		for (uint64_t x = 0; x < raster->width; x++)
			for (unsigned c = 0; c < raster->channels; c++, pixels++)
				if (*pixels != pattern(y * raster->step, x * raster->step, c))
					ck_abort_msg("row %d, column %d", (int)y, (int)x);
}

static const struct {
	const char *shape;
	char order;
	uint32_t band;
	uint64_t step;
} patterns[] = {
	{"100,200", 'C', 1, 1},	    {"100,200", 'F', 7, 1},	     {"100,200,3", 'C', 7, 1},
	{"100,200,4", 'F', 7, 1},   {"3,50000", 'C', 2, 1},	     {"3,50000", 'F', 2, 1},
	{"40000,2,4", 'C', 999, 1}, {"40000,2,4", 'F', 50000, 1},    {"4100,4111", 'C', 99, 2},
	{"4100,4111", 'F', 99, 2},  {"4100,4111,3", 'C', 99, 2},     {"4100,4111,3", 'F', 1000, 2},
	{"1,5000000", 'C', 1, 77},  {"5000000,1,3", 'F', 65535, 77},
};

START_TEST(read_pixels_are_their_elements)
{
	SEGFS_CLEANUP(segfs_array_clear)
	struct segfs_array array = make_array("u1", patterns[_i].shape, patterns[_i].order);
	SEGFS_FREE unsigned char *pixels = NULL;
	SEGFS_CLOSE int fd = -1;
	struct segfs_raster raster;

	array.offset = (uint64_t)_i * 1001;
	fd = file_of_pattern(&array);
	ck_assert_int_eq(segfs_raster_init(&array, &raster), 0);
	ck_assert_uint_eq(raster.step, patterns[_i].step);
	pixels = read_pixels(&array, fd, patterns[_i].band);
	expect_pattern(&raster, pixels);
}
END_TEST

/* Samples that lie so far apart that each is read alone: a sparse file of 40 GB. */
START_TEST(read_samples_far_apart)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("=f8", "5000000000,1", 'C');
	SEGFS_CLOSE int fd = file_on_tmpfs((double[]){1}, 8);
	SEGFS_FREE unsigned char *pixels = NULL;
	const uint64_t step = 76296;

	ck_assert_int_eq(ftruncate(fd, 5000000000 * 8), 0);
	ck_assert_int_eq(pwrite(fd, (double[]){-1, 100}, 16, (off_t)(step * 8 * 2)), 16);
	pixels = read_pixels(&array, fd, 10000);
	ck_assert_mem_eq(pixels, "\xff\x80\x00\x80", 4);
	ck_assert_uint_eq(pixels[65534], 0x80);
}
END_TEST

START_TEST(open_or_read_file_cut_short_is_stale)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("=f8", "4,4", 'F');
	struct segfs_raster_reader *reader = NULL;
	SEGFS_CLOSE int fd = file_on_tmpfs((double[16]){0}, 16 * sizeof(double));
	struct segfs_raster raster;
	unsigned char pixels[16];

	ck_assert_int_eq(segfs_raster_init(&array, &raster), 0);
	ck_assert_int_eq(segfs_raster_open(&raster, &array, fd, &reader), 0);
	for (off_t size = 127; size >= 0; size--) {
		struct segfs_raster_reader *other = NULL;

		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(segfs_raster_read(reader, 0, 4, pixels), -ESTALE);
		ck_assert_int_eq(segfs_raster_open(&raster, &array, fd, &other), -ESTALE);
		ck_assert_ptr_null(other);
	}
	segfs_raster_free(reader);
}
END_TEST

START_TEST(read_numbers_changed_since_open_stay_in_range)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("=f8", "1,6", 'C');
	double later[] = {-1e300, 1e300, (double)NAN, (double)INFINITY, -(double)INFINITY, 0.5};
	SEGFS_CLOSE int fd = file_on_tmpfs((double[6]){0, 1}, sizeof(later));
	struct segfs_raster_reader *reader = NULL;
	struct segfs_raster raster;
	unsigned char pixels[6];

	ck_assert_int_eq(segfs_raster_init(&array, &raster), 0);
	ck_assert_int_eq(segfs_raster_open(&raster, &array, fd, &reader), 0);
	ck_assert_int_eq(pwrite(fd, later, sizeof(later), 0), sizeof(later));
	ck_assert_int_eq(segfs_raster_read(reader, 0, 1, pixels), 0);
	ck_assert_mem_eq(pixels, "\x00\xff\x00\xff\x00\x80", 6);
	segfs_raster_free(reader);
}
END_TEST

START_TEST(open_other_errors_are_passed_on)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("=f8", "4,4", 'F');
	struct segfs_raster_reader *reader = NULL;
	struct segfs_raster raster;

	ck_assert_int_eq(segfs_raster_init(&array, &raster), 0);
	ck_assert_int_eq(segfs_raster_open(&raster, &array, -1, &reader), -EBADF);
	ck_assert_ptr_null(reader);
	ck_assert_ptr_null(segfs_raster_free(NULL));
}
END_TEST

static TCase *init_tests(void)
{
	TCase *tests = tcase_create("init");

	tcase_add_loop_test(tests, init_picture_gives_its_pixels, 0, COUNT_OF(pictures));
	tcase_add_loop_test(tests, init_anything_else_is_no_picture, 0, COUNT_OF(no_pictures));
	return tests;
}

static TCase *read_tests(void)
{
	TCase *tests = tcase_create("open, read");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, read_bytes_are_shown_as_they_are);
	tcase_add_test(tests, read_bools_are_black_and_white);
	tcase_add_test(tests, read_numbers_are_scaled);
	tcase_add_test(tests, read_every_type_is_scaled_alike);
	tcase_add_test(tests, read_what_is_not_finite_is_black_or_white);
	tcase_add_test(tests, read_extremes_of_a_type_are_no_overflow);
	tcase_add_test(tests, read_large_integers_are_scaled_exactly);
	tcase_add_test(tests, read_invalid_long_doubles_do_no_harm);
	tcase_add_loop_test(tests, read_pixels_are_their_elements, 0, COUNT_OF(patterns));
	tcase_add_test(tests, read_samples_far_apart);
	tcase_add_test(tests, open_or_read_file_cut_short_is_stale);
	tcase_add_test(tests, read_numbers_changed_since_open_stay_in_range);
	tcase_add_test(tests, open_other_errors_are_passed_on);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("raster");

	suite_add_tcase(suite, init_tests());
	suite_add_tcase(suite, read_tests());
	return run_suite(suite);
}
