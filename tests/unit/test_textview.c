/* SPDX-License-Identifier: MIT */
#include "textview.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "bounded.h"
#include "dtype-internal.h"
#include "file_on_tmpfs.h"
#include "suite.h"

/* A segment in a file of its own, and its text. */
struct subject {
	struct segfs_segment segment;
	struct segfs_textview view;
	int fd;
};

static void subject_end(struct subject *subject)
{
	segfs_textview_clear(&subject->view);
	segfs_segment_clear(&subject->segment);
	close_fd(&subject->fd);
}
#define END_SUBJECT SEGFS_CLEANUP(subject_end)

static struct segfs_segment describe(const char *dtype, const char *shape, char order)
{
	struct segfs_segment segment = {.kind = SEGFS_KIND_ARRAY, .array.order = order};
	struct segfs_array *array = &segment.array;

	ck_assert_int_eq(segfs_dtype_parse(dtype, strlen(dtype), &array->dtype), 0);
	ck_assert_int_eq(segfs_shape_parse(shape, strlen(shape), array->shape, &array->ndim), 0);
	return segment;
}

/* An array whose elements begin after `offset` bytes. */
static struct subject array_of(const char *dtype, const char *shape, char order, const void *bytes,
			       size_t len, uint64_t offset)
{
	struct subject subject = {.segment = describe(dtype, shape, order)};

	subject.fd = file_on_tmpfs("", 0);
	subject.segment.array.offset = offset;
	ck_assert_int_eq(pwrite(subject.fd, bytes, len, (off_t)offset), (ssize_t)len);
	ck_assert_int_eq(segfs_textview_init(&subject.view, &subject.segment), 0);
	return subject;
}

/* An array of bytes 0, 1, 2, ... in the order of the file, wrapping. */
static struct subject counting(const char *dtype, const char *shape, char order)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = describe(dtype, shape, order);
	uint64_t elements, len;
	SEGFS_FREE unsigned char *bytes = NULL;

	ck_assert_int_eq(segfs_array_count(&segment.array, &elements, &len), 0);
	bytes = malloc(len + 1);
	for (uint64_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)i;
	return array_of(dtype, shape, order, bytes, len, 64);
}

static struct subject raw(const void *bytes, size_t len)
{
	struct subject subject = {.segment = {.kind = SEGFS_KIND_RAW, .size = len}};

	subject.fd = file_on_tmpfs(bytes, len);
	ck_assert_int_eq(segfs_textview_init(&subject.view, &subject.segment), 0);
	return subject;
}

static char *text_of(const struct subject *subject)
{
	size_t size = subject->view.size;
	char *text = malloc(size + 1);

	ck_assert_int_eq(segfs_textview_read(&subject->view, subject->fd, text, size + 1, 0), (ssize_t)size);
	text[size] = '\0';
	return text;
}

static void assert_text(const struct subject *subject, const char *expected)
{
	SEGFS_FREE char *text = text_of(subject);

	ck_assert_str_eq(text, expected);
	ck_assert_uint_eq(subject->view.size, strlen(expected));
}

static void assert_piece(const struct subject *subject, uint64_t offset, size_t len, const char *expected)
{
	SEGFS_FREE char *piece = malloc(len + 1);
	size_t n = MIN(len, strlen(expected));
	ssize_t r;

	piece[len] = '#';
	r = segfs_textview_read(&subject->view, subject->fd, piece, len, offset);
	if (r != (ssize_t)n || memcmp(piece, expected, n) != 0 || piece[len] != '#')
		ck_abort_msg("%zd instead of %zu at %ju, '%.*s'", r, n, offset, (int)MAX(r, 0), piece);
}

static const struct {
	const char *dtype, *shape, *text;
} examples[] = {
	{"u1", "", "# dtype=|u1 shape=() order=C\n  0\n"},
	{"u1", "3", "# dtype=|u1 shape=3 order=C\n  0\n  1\n  2\n"},
	{">u2", "1", "# dtype=>u2 shape=1 order=C\n    1\n"},
	{"<u2", "1", "# dtype=<u2 shape=1 order=C\n  256\n"},
	{"u1", "2,3", "# dtype=|u1 shape=2,3 order=C\n  0   1   2\n  3   4   5\n"},
	{"u1", "1,2,2", "# dtype=|u1 shape=1,2,2 order=C\n  0   1\n  2   3\n"},
	{"u1", "2,2,2", "# dtype=|u1 shape=2,2,2 order=C\n  0   1\n  2   3\n\n  4   5\n  6   7\n"},
	{"u1", "2,2,1,1", "# dtype=|u1 shape=2,2,1,1 order=C\n  0\n\n  1\n\n  2\n\n  3\n"},
	{"u1", "0", "# dtype=|u1 shape=0 order=C\n"},
	{"u1", "2,0", "# dtype=|u1 shape=2,0 order=C\n"},
	{"u1", "0,2", "# dtype=|u1 shape=0,2 order=C\n"},
	{"u1", "3,0,2", "# dtype=|u1 shape=3,0,2 order=C\n"},
	{"S0", "2", "# dtype=|S0 shape=2 order=C\n\"\"\n\"\"\n"},
	{"V0", "2", "# dtype=|V0 shape=2 order=C\n\n\n"},
	{"[('a', 'u1'), ('b', '>u2')]", "2",
	 "# dtype=[('a', '|u1'), ('b', '>u2')] shape=2 order=C\n"
	 "# a     b\n"
	 "  0   258\n"
	 "  3  1029\n"},
	{"[('a', 'u1'), ('b', 'u1')]", "0",
	 "# dtype=[('a', '|u1'), ('b', '|u1')] shape=0 order=C\n"
	 "# a   b\n"},
	{"[('a', 'u1'), ('b', 'u1')]", "2,2",
	 "# dtype=[('a', '|u1'), ('b', '|u1')] shape=2,2 order=C\n"
	 "# a   b\n"
	 "  0   1\n"
	 "  2   3\n"
	 "\n"
	 "  4   5\n"
	 "  6   7\n"},
	{"[('', 'V2'), ('x', 'u1'), ('', 'V3'), ('y', '>u2')]", "",
	 "# dtype=[('', '|V2'), ('x', '|u1'), ('', '|V3'), ('y', '>u2')] shape=() order=C\n"
	 "# x     y\n"
	 "  2  1543\n"},
	{"[('', 'V2')]", "2", "# dtype=[('', '|V2')] shape=2 order=C\n\n\n"},
	{"[('e', 'u1', (3, 0)), ('f', [('', 'V1')], (2,)), ('g', 'u1')]", "1",
	 "# dtype=[('e', '|u1', (3, 0)), ('f', [('', '|V1')], (2,)), ('g', '|u1')] shape=1 order=C\n"
	 "# g\n"
	 "  2\n"},
	{"[('o', [('i', 'u1'), ('m', 'u1', (1, 2))], (2,)), ('z', 'u1')]", "1",
	 "# dtype=[('o', [('i', '|u1'), ('m', '|u1', (1, 2))], (2,)), ('z', '|u1')] shape=1 order=C\n"
	 "# o[0].i o[0].m[0,0] o[0].m[0,1]   o[1].i o[1].m[0,0] o[1].m[0,1]   z\n"
	 "       0           1           2        3           4           5   6\n"},
	{"[('a b\\n', 'u1'), ('\\\\\\x9b\\u2028', 'u1'), (\"#'\", 'u1'), ('\xc3\xa9', 'u1')]", "1",
	 "# dtype=[('a b\\n', '|u1'), ('\\\\\\x9b\\u2028', '|u1'), (\"#'\", '|u1'), ('\xc3\xa9', '|u1')] "
	 "shape=1 order=C\n"
	 "# a\\x20b\\n \\\\\\x9b\\u2028  #'  \xc3\xa9\n"
	 "         0            1   2   3\n"},
};

START_TEST(read_gives_header_and_rows)
{
	END_SUBJECT struct subject subject = counting(examples[_i].dtype, examples[_i].shape, 'C');

	assert_text(&subject, examples[_i].text);
}
END_TEST

START_TEST(read_in_f_order_gives_rows_in_c_order)
{
	END_SUBJECT struct subject plane = counting("u1", "2,3", 'F'), cube = counting("u1", "2,2,2", 'F'),
				   records = counting("[('a', 'u1'), ('b', 'u1')]", "2,2", 'F');

	assert_text(&plane, "# dtype=|u1 shape=2,3 order=F\n  0   2   4\n  1   3   5\n");
	assert_text(&cube, "# dtype=|u1 shape=2,2,2 order=F\n  0   4\n  2   6\n\n  1   5\n  3   7\n");
	assert_text(&records, "# dtype=[('a', '|u1'), ('b', '|u1')] shape=2,2 order=F\n"
			      "# a   b\n  0   1\n  4   5\n\n  2   3\n  6   7\n");
}
END_TEST

static const struct {
	const char *dtype, *shape;
} pieces[] = {
	{"u1", ""},
	{"<f8", "7"},
	{"<i2", "3,4"},
	{">i4", "2,3,4"},
	{"?", "4,2,1,3"},
	{"S3", "2,2"},
	{"[('a', 'u1'), ('', 'V90'), ('long name', '<f4', (2, 2)), ('c', [('d', 'u1'), ('e', '<c8')], (2,))]",
	 "2,3"},
	{"[('', 'V3')]", "2,3"},
};

static void check_pieces(const struct subject *subject)
{
	SEGFS_FREE char *text = text_of(subject);
	size_t size = subject->view.size;

	for (size_t offset = 0; offset <= size; offset++) {
		for (size_t len = 0; len < 40; len++)
			assert_piece(subject, offset, len, text + offset);
		assert_piece(subject, offset, size, text + offset);
	}
}

START_TEST(read_of_any_piece_is_of_the_whole)
{
	END_SUBJECT struct subject c = counting(pieces[_i].dtype, pieces[_i].shape, 'C'),
				   f = counting(pieces[_i].dtype, pieces[_i].shape, 'F');

	check_pieces(&c);
	check_pieces(&f);
}
END_TEST

START_TEST(read_of_any_piece_of_a_raw_segment)
{
	END_SUBJECT struct subject subject = raw("0123456789abcdef0123456789abcdefxyz", 35);

	check_pieces(&subject);
}
END_TEST

START_TEST(read_beyond_the_end_is_nothing)
{
	END_SUBJECT struct subject subject = counting("u1", "3", 'C');

	assert_piece(&subject, subject.view.size, 10, "");
	assert_piece(&subject, subject.view.size + 1, 10, "");
	assert_piece(&subject, UINT64_MAX, 10, "");
	ck_assert_int_eq(segfs_textview_read(&subject.view, -1, NULL, 0, 0), 0);
}
END_TEST

/* More than is gathered at a time. Element (i, j, k) is the same in either order. */
static const struct {
	const char *shape;
	uint64_t n[3];
} shapes[] = {
	{"1,700,900", {1, 700, 900}}, {"700,1,900", {700, 1, 900}}, {"1,3,20000", {1, 3, 20000}},
	{"20000,3,1", {20000, 3, 1}}, {"100,10,40", {100, 10, 40}}, {"9,10,4000", {9, 10, 4000}},
};

START_TEST(read_of_many_rows_in_f_order)
{
	const uint64_t *n = shapes[_i].n, size = n[0] * n[1] * n[2];
	END_SUBJECT struct subject c = counting("u1", shapes[_i].shape, 'C'), f = {.fd = -1};
	SEGFS_FREE unsigned char *bytes = malloc(size);
	SEGFS_FREE char *expected = text_of(&c), *text = NULL;

	for (uint64_t at = 0; at < size; at++) {
		uint64_t i = at / n[2] / n[1], j = at / n[2] % n[1], k = at % n[2];

		bytes[i + n[0] * (j + n[1] * k)] = (unsigned char)at;
	}
	f = array_of("u1", shapes[_i].shape, 'F', bytes, size, 3);
	text = text_of(&f);
	ck_assert(strcmp(strchr(text, '\n'), strchr(expected, '\n')) == 0);
}
END_TEST

START_TEST(read_raw_is_a_hexdump)
{
	END_SUBJECT struct subject subject = raw("\0\1 ABC~\x7f\x80\xff|xyz\"\n12", 18), empty = raw("", 0);

	assert_text(
		&subject,
		"# raw, 18 bytes\n"
		"0000000000000000  00 01 20 41 42 43 7e 7f  80 ff 7c 78 79 7a 22 0a  |.. ABC~...|xyz\".|\n"
		"0000000000000010  31 32                                             |12|\n");
	assert_text(&empty, "# raw, 0 bytes\n");
}
END_TEST

START_TEST(read_from_a_file_cut_short_is_stale)
{
	END_SUBJECT struct subject c = counting("u1", "30,40", 'C'), f = counting("u1", "30,40", 'F'),
				   r = raw("0123456789abcdef0123456789abcdef", 32);
	struct subject *const subjects[] = {&c, &f, &r};
	char buf[400];

	for (size_t i = 0; i < COUNT_OF(subjects); i++) {
		struct subject *subject = subjects[i];
		uint64_t size = subject->view.size;

		ck_assert_int_eq(ftruncate(subject->fd, (subject == &r ? 32 : 64 + 1200) - 1), 0);
		ck_assert_int_eq(segfs_textview_read(&subject->view, subject->fd, buf, 10, 0), 10);
		ck_assert_int_eq(segfs_textview_read(&subject->view, subject->fd, buf, 40, size - 40),
				 -ESTALE);
		ck_assert_int_eq(segfs_textview_read(&subject->view, subject->fd, buf, 1, size - 2), -ESTALE);
	}
	ck_assert_int_eq(segfs_textview_read(&c.view, c.fd, buf, sizeof(buf), 0), sizeof(buf));
}
END_TEST

START_TEST(read_from_a_bad_descriptor_fails)
{
	END_SUBJECT struct subject subject = counting("u1", "3", 'C');
	char buf[100];

	ck_assert_int_eq(segfs_textview_read(&subject.view, -1, buf, sizeof(buf), 0), -EBADF);
}
END_TEST

/* A tebibyte of holes: the ends are there at once. */
START_TEST(read_the_end_of_a_huge_array)
{
	END_SUBJECT struct subject subject = array_of("<i8", "137438953472", (char)_i, "", 0, 8);
	const struct segfs_array *array = &subject.segment.array;
	off_t size = (off_t)(array->offset + (array->shape[0] << 3));

	ck_assert_int_eq(ftruncate(subject.fd, size), 0);
	ck_assert_int_eq(pwrite(subject.fd, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, size - 8), 8);
	assert_piece(&subject, subject.view.size - 42, 50, "                   0\n                  -1\n");
}
END_TEST

START_TEST(read_within_a_long_row)
{
	END_SUBJECT struct subject subject = array_of("u1", "3,100000000000", (char)_i, "", 0, 1);
	uint64_t row = 2, length = 100000000000, column = length / 2;
	uint64_t rows_at = strlen("# dtype=|u1 shape=3,100000000000 order=C\n");
	off_t place = (off_t)(1 + (_i == 'C' ? row * length + column : row + column * 3));

	ck_assert_int_eq(ftruncate(subject.fd, (off_t)(3 * length + 1)), 0);
	ck_assert_int_eq(pwrite(subject.fd, "\x07", 1, place), 1);
	assert_piece(&subject, rows_at + 4 * (row * length + column) - 8, 15, "  0   0   7   0");
	assert_piece(&subject, rows_at + 4 * length - 6, 10, "0   0\n  0 ");
}
END_TEST

START_TEST(read_within_a_record_of_many_columns)
{
	END_SUBJECT struct subject subject =
		array_of("[('t', 'u1'), ('image', '>u2', (480, 640))]", "2", (char)_i, "", 0, 0);
	const struct segfs_textview *view = &subject.view;
	uint64_t names_at = view->header_size, line = view->line_size;

	ck_assert_int_eq(ftruncate(subject.fd, 2 * (1 + 480 * 640 * 2)), 0);
	ck_assert_int_eq(pwrite(subject.fd, "\1\2", 2, 2 * (1 + 480 * 640 * 2) - 4), 2);
	assert_piece(&subject, names_at, 24, "# t     image[0,0]     i");
	assert_piece(&subject, names_at + line - 30, 35, "image[479,638] image[479,639]\n  0  ");
	assert_piece(&subject, view->size - 31, 40, "            258              0\n");
}
END_TEST

/* Nearly all of each record is a gap. */
START_TEST(read_records_with_large_gaps)
{
	END_SUBJECT struct subject subject =
		array_of("[('a', 'u1'), ('', 'V1000000'), ('b', 'u1', (2,))]", "3", (char)_i, "", 0, 0);

	ck_assert_int_eq(ftruncate(subject.fd, 3 * 1000003), 0);
	ck_assert_int_eq(pwrite(subject.fd, "\7\x8", 2, 2 * 1000003 - 1), 2);
	assert_piece(&subject, subject.view.header_size, 100,
		     "# a b[0] b[1]\n  0    0    0\n  0    0    7\n  8    0    0\n");
}
END_TEST

/* Larger than what is read at a time otherwise. */
START_TEST(read_large_elements)
{
	END_SUBJECT struct subject subject = array_of("V500000", "1,2", (char)_i, "", 0, 0);

	ck_assert_int_eq(ftruncate(subject.fd, 1000000), 0);
	ck_assert_int_eq(pwrite(subject.fd, "\xab\xcd", 2, 499999), 2);
	assert_piece(&subject, subject.view.header_size + 1000000 - 4, 9, "00ab cd00");
	assert_piece(&subject, subject.view.size - 5, 9, "0000\n");
}
END_TEST

START_TEST(read_shows_what_others_write)
{
	END_SUBJECT struct subject subject = counting("u1", "2", 'C');

	assert_text(&subject, "# dtype=|u1 shape=2 order=C\n  0\n  1\n");
	ck_assert_int_eq(pwrite(subject.fd, "\xc8", 1, 64), 1);
	assert_text(&subject, "# dtype=|u1 shape=2 order=C\n200\n  1\n");
}
END_TEST

static const struct {
	const char *dtype, *shape;
} too_long[] = {
	{"u1", "2305843009213693952"},
	{"u1", "2,1152921504606846976"},
	{"S0", "3074457345618258603"},
	{"S524288", "1"},
	{"[('a', 'V600000')]", "1"},
	{"[('a', [('b', 'S0')], (2147483647, 2147483647))]", "1"},
	{"[('a', [('b', 'S0')], (2147483647, 2147483647, 2147483647, 2))]", "1"},
	{"[('a', [('b', [('c', 'S0')], (2147483647, 1000))], (2147483647,))]", "1"},
	{"[('a', [('b', 'S0')], (2147483647,))]", "1000000000"},
	{"[('a', [('b', 'S0')], (2147483647, 100000000)), ('c', [('d', 'S0')], (2147483647, 100000000)),"
	 " ('e', [('f', 'S0')], (2147483647, 100000000)), ('g', [('h', 'S0')], (2147483647, 100000000))]",
	 "0"},
};

START_TEST(init_of_too_long_a_text_fails_untouched)
{
	SEGFS_CLEANUP(segfs_segment_clear)
	struct segfs_segment segment = describe(too_long[_i].dtype, too_long[_i].shape, 'C');
	struct segfs_textview view = {.size = UNTOUCHED};

	ck_assert_int_eq(segfs_textview_init(&view, &segment), -EOVERFLOW);
	ck_assert_uint_eq(view.size, UNTOUCHED);
}
END_TEST

START_TEST(init_of_too_long_a_dump_fails_untouched)
{
	struct segfs_segment segment = {.kind = SEGFS_KIND_RAW, .size = INT64_MAX};
	struct segfs_textview view = {.size = UNTOUCHED};

	ck_assert_int_eq(segfs_textview_init(&view, &segment), -EOVERFLOW);
	ck_assert_uint_eq(view.size, UNTOUCHED);
}
END_TEST

START_TEST(init_of_the_longest_text)
{
	SEGFS_CLEANUP(segfs_segment_clear)
	struct segfs_segment segment = describe("u1", "2305843009213693940", 'C');
	SEGFS_CLEANUP(segfs_textview_clear) struct segfs_textview view = {};

	ck_assert_int_eq(segfs_textview_init(&view, &segment), 0);
	ck_assert_uint_eq(view.size, 4 * UINT64_C(2305843009213693940) +
					     strlen("# dtype=|u1 shape=2305843009213693940 order=C\n"));
}
END_TEST

START_TEST(init_of_an_empty_array_of_long_rows)
{
	END_SUBJECT struct subject subject = counting("u1", "0,4611686018427387904", 'C');

	assert_text(&subject, "# dtype=|u1 shape=0,4611686018427387904 order=C\n");
}
END_TEST

START_TEST(clear_of_nothing_is_fine)
{
	struct segfs_textview view = {};

	segfs_textview_clear(&view);
	ck_assert_uint_eq(view.size, 0);
}
END_TEST

static TCase *reading(void)
{
	TCase *tests = tcase_create("reading");

	tcase_add_loop_test(tests, read_gives_header_and_rows, 0, COUNT_OF(examples));
	tcase_add_test(tests, read_in_f_order_gives_rows_in_c_order);
	tcase_add_loop_test(tests, read_of_any_piece_is_of_the_whole, 0, COUNT_OF(pieces));
	tcase_add_test(tests, read_of_any_piece_of_a_raw_segment);
	tcase_add_test(tests, read_beyond_the_end_is_nothing);
	tcase_add_loop_test(tests, read_of_many_rows_in_f_order, 0, COUNT_OF(shapes));
	tcase_add_test(tests, read_raw_is_a_hexdump);
	tcase_add_test(tests, read_from_a_file_cut_short_is_stale);
	tcase_add_test(tests, read_from_a_bad_descriptor_fails);
	tcase_add_test(tests, read_shows_what_others_write);
	return tests;
}

/* In each order. */
static TCase *large(void)
{
	TCase *tests = tcase_create("large");
	static const char orders[] = {'C', 'F'};

	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		tcase_add_loop_test(tests, read_the_end_of_a_huge_array, orders[i], orders[i] + 1);
		tcase_add_loop_test(tests, read_within_a_long_row, orders[i], orders[i] + 1);
		tcase_add_loop_test(tests, read_within_a_record_of_many_columns, orders[i], orders[i] + 1);
		tcase_add_loop_test(tests, read_records_with_large_gaps, orders[i], orders[i] + 1);
		tcase_add_loop_test(tests, read_large_elements, orders[i], orders[i] + 1);
	}
	return tests;
}

static TCase *layout(void)
{
	TCase *tests = tcase_create("layout");

	tcase_add_loop_test(tests, init_of_too_long_a_text_fails_untouched, 0, COUNT_OF(too_long));
	tcase_add_test(tests, init_of_too_long_a_dump_fails_untouched);
	tcase_add_test(tests, init_of_the_longest_text);
	tcase_add_test(tests, init_of_an_empty_array_of_long_rows);
	tcase_add_test(tests, clear_of_nothing_is_fine);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("textview");
	TCase *const cases[] = {reading(), large(), layout()};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		tcase_set_timeout(cases[i], 60);
		suite_add_tcase(suite, cases[i]);
	}
	return run_suite(suite);
}
