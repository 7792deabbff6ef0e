/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <errno.h>

#include "dtype-internal.h"
#include "file_on_tmpfs.h"
#include "suite.h"

#define OFFSET 24 /* of the arrays in their files */

struct layout {
	const char *dtype;
	unsigned ndim;
	uint64_t shape[4];
};

/* Small and large steps along each axis; the last two have elements wider than some buffers. */
static const struct layout layouts[] = {
	{"<u4", 0},
	{"<u4", 1, {50}},
	{"<u4", 2, {1, 1}},
	{"<u4", 2, {5, 7}},
	{"<u4", 2, {2, 40}},
	{"<u4", 2, {40, 2}},
	{"<u4", 2, {3000, 3}},
	{"<u4", 2, {3, 3000}},
	{"<u4", 3, {3, 1, 4}},
	{"<u4", 3, {4, 3, 2}},
	{"<u4", 3, {500, 2, 3}},
	{"<u4", 4, {2, 3, 4, 5}},
	{"<u4", 4, {1, 3, 1, 5}},
	{"V20", 2, {6, 5}},
	{"V5000", 2, {3, 4}},
	{"V20000", 2, {3, 4}},
};
static const size_t buffer_sizes[] = {4, 20, 100, 4096, 100000};

static struct segfs_array array_of(const struct layout *layout, char order)
{
	struct segfs_array array = {.ndim = layout->ndim, .order = order, .offset = OFFSET};

	ck_assert_int_eq(segfs_dtype_parse(layout->dtype, strlen(layout->dtype), &array.dtype), 0);
	memcpy(array.shape, layout->shape, sizeof(layout->shape));
	return array;
}

/* The straightforward way: the place of an element in F order. */
static uint64_t place_in_f_order(const struct segfs_array *array, uint64_t index)
{
	uint64_t indices[SEGFS_MAX_NDIM], place = 0, step = 1;

	for (unsigned i = array->ndim; i-- > 0; index /= array->shape[i])
		indices[i] = index % array->shape[i];
	for (unsigned i = 0; i < array->ndim; step *= array->shape[i++])
		place += indices[i] * step;
	return place;
}

/* Each four bytes have a number, so that no two elements have a byte-for-byte twin; the same in C order. */
static char *numbered(const struct segfs_array *array, uint64_t *ret_elements, uint64_t *ret_bytes)
{
	uint32_t *words;

	ck_assert_int_eq(segfs_array_count(array, ret_elements, ret_bytes), 0);
	words = malloc(*ret_bytes + OFFSET);
	for (uint32_t i = 0; i < *ret_bytes / sizeof(*words); i++)
		words[i] = i * 0x01000193u;
	return (char *)words;
}

static int file_of(const struct segfs_array *array, const char *in_c_order, uint64_t elements, uint64_t bytes)
{
	size_t itemsize = array->dtype->itemsize;
	char *file = calloc(1, bytes + OFFSET);
	int fd;

	for (uint64_t i = 0; i < elements; i++) {
		uint64_t place = array->order == 'F' ? place_in_f_order(array, i) : i;

		memcpy(file + OFFSET + place * itemsize, in_c_order + i * itemsize, itemsize);
	}
	fd = file_on_tmpfs(file, bytes + OFFSET);
	free(file);
	return fd;
}

/* In pieces of `n` bytes, of which an element has a whole number. */
static void assert_reads(struct segfs_stream *stream, const char *expected, uint64_t from, uint64_t to,
			 size_t n)
{
	for (uint64_t at = from; at < to; at += n) {
		const void *bytes;
		int r = segfs_stream_get(stream, at, n, to, &bytes);

		if (r < 0 || memcmp(bytes, expected + at, n) != 0)
			ck_abort_msg("%d: byte %ju of %ju to %ju", r, at, from, to);
	}
}

static void check_span(const struct segfs_array *array, int fd, const char *expected, uint64_t from,
		       uint64_t to)
{
	size_t n = array->dtype->itemsize <= 20 ? 4 : 500;

	for (size_t i = 0; i < COUNT_OF(buffer_sizes); i++) {
		SEGFS_CLEANUP(segfs_stream_clear) struct segfs_stream stream = {};

		ck_assert_int_eq(segfs_stream_init(&stream, array, fd, MAX(buffer_sizes[i], n)), 0);
		assert_reads(&stream, expected, from, to, n);
	}
}

/* All spans of a small array, some of a larger one. */
static void check_spans(const struct segfs_array *array, int fd, const char *expected, uint64_t elements)
{
	size_t itemsize = array->dtype->itemsize;
	uint64_t step = elements > 100 ? elements / 7 : 1;

	for (uint64_t from = 0; from < elements; from += step) {
		for (uint64_t to = from + 1; to <= elements; to += step)
			check_span(array, fd, expected, from * itemsize, to * itemsize);
	}
}

static void check_order(const struct layout *layout, char order)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = array_of(layout, order);
	uint64_t elements, bytes;
	SEGFS_FREE char *expected = numbered(&array, &elements, &bytes);
	SEGFS_CLOSE int fd = file_of(&array, expected, elements, bytes);

	check_spans(&array, fd, expected, elements);
}

START_TEST(get_in_f_order_is_as_in_c_order)
{
	check_order(&layouts[_i], 'F');
	check_order(&layouts[_i], 'C');
}
END_TEST

START_TEST(get_without_array_is_the_file)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("0123456789", 10);
	SEGFS_CLEANUP(segfs_stream_clear) struct segfs_stream stream = {};

	ck_assert_int_eq(segfs_stream_init(&stream, NULL, fd, 4), 0);
	assert_reads(&stream, "0123456789", 0, 10, 2);
}
END_TEST

START_TEST(get_from_a_file_cut_short_is_stale)
{
	static const struct layout layout = {"<u4", 2, {3, 4}};
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = array_of(&layout, (char)_i);
	SEGFS_CLEANUP(segfs_stream_clear) struct segfs_stream stream = {};
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	const void *bytes = NULL;

	ck_assert_int_eq(ftruncate(fd, OFFSET + 47), 0);
	ck_assert_int_eq(segfs_stream_init(&stream, &array, fd, 48), 0);
	ck_assert_int_eq(segfs_stream_get(&stream, 0, 4, 48, &bytes), -ESTALE);
	ck_assert_int_eq(segfs_stream_get(&stream, 44, 4, 48, &bytes), -ESTALE);
	ck_assert_ptr_null(bytes);
	ck_assert_int_eq(segfs_stream_get(&stream, 0, 4, 4, &bytes), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tests = tcase_create("stream");

	tcase_add_loop_test(tests, get_in_f_order_is_as_in_c_order, 0, COUNT_OF(layouts));
	tcase_add_test(tests, get_without_array_is_the_file);
	tcase_add_loop_test(tests, get_from_a_file_cut_short_is_stale, 'C', 'C' + 1);
	tcase_add_loop_test(tests, get_from_a_file_cut_short_is_stale, 'F', 'F' + 1);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
