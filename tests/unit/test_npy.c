/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <segfs/npy.h>
#include <stdio.h>
#include <sys/mman.h>

#include "bounded.h"
#include "suite.h"
#include "util.h"

#define PREFIX_MAX 12

/* A header under construction. */
struct header {
	char bytes[4096];
	size_t len;
};

/* Puts magic, version and length before the text of a dict. */
static struct header make_header(int major, const char *dict)
{
	struct header header = {.bytes = "\x93NUMPY"};
	size_t length = strlen(dict), length_size = major == 1 ? 2 : 4;

	header.bytes[6] = (char)major;
	for (size_t i = 0; i < length_size; i++)
		header.bytes[8 + i] = (char)(length >> 8 * i);
	memcpy(header.bytes + 8 + length_size, dict, length);
	header.len = 8 + length_size + length;
	return header;
}

static int parse(int major, const char *dict, struct segfs_array *ret_array)
{
	struct header header = make_header(major, dict);

	return segfs_npy_parse(header.bytes, header.len, ret_array);
}

static const struct {
	const char *dict;
	const char *dtype;
	char order;
	const char *shape;
} valid[] = {
	{"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }          \n", "<f8", 'C', "3,4"},
	{"{'shape': (3,), 'fortran_order': True, 'descr': '>i2'}", ">i2", 'F', "3"},
	{" {\"descr\":\"|u1\",\"fortran_order\":False,\"shape\":()}", "|u1", 'C', ""},
	{"{u'descr': u'<f8', 'fortran_order': False, 'shape': (0, 5)}\n", "<f8", 'C', "0,5"},
	{"{'descr': [('a', '<f4'), ('', '|V4')], 'fortran_order': False, 'shape': (2,)}",
	 "[('a', '<f4'), ('', '|V4')]", 'C', "2"},
};

START_TEST(parse_each_version_gives_the_array)
{
	for (int major = 1; major <= 3; major++) {
		SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};
		char dtype[64], shape[64];

		ck_assert_int_eq(parse(major, valid[_i].dict, &array), 0);
		segfs_dtype_format(array.dtype, dtype, sizeof(dtype));
		segfs_shape_format(array.shape, array.ndim, shape, sizeof(shape));
		ck_assert_str_eq(dtype, valid[_i].dtype);
		ck_assert_str_eq(shape, valid[_i].shape);
		ck_assert_int_eq(array.order, valid[_i].order);
		ck_assert_uint_eq(array.offset, strlen(valid[_i].dict) + (major == 1 ? 10 : 12));
	}
}
END_TEST

/* Its length field says that more follows. */
START_TEST(parse_every_prefix_is_refused)
{
	struct header whole = make_header(1 + _i, valid[0].dict);

	for (size_t len = 0; len < whole.len; len++) {
		struct segfs_array array = {0};
		char *bytes = bounded_copy(whole.bytes, len);

		ck_assert_int_eq(segfs_npy_parse(bytes, len, &array), -EINVAL);
		ck_assert_ptr_null(array.dtype);
		bounded_free(bytes);
	}
}
END_TEST

START_TEST(parse_every_prefix_of_the_dict_stays_within_it)
{
	for (size_t len = 0; len < strlen(valid[_i].dict); len++) {
		SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};
		SEGFS_FREE char *dict = strndup(valid[_i].dict, len);
		struct header header = make_header(3, dict); /* the version that is parsed in place */
		char *bytes = bounded_copy(header.bytes, header.len);
		int r = segfs_npy_parse(bytes, header.len, &array);

		ck_assert(r == 0 || r == -EINVAL);
		ck_assert((r == 0) == (array.dtype != NULL));
		bounded_free(bytes);
	}
}
END_TEST

#define REST "'fortran_order': False, 'shape': (2,)"

static const struct {
	const char *dict;
	int error;
} invalid[] = {
	{"", -EINVAL},
	{"\n", -EINVAL},
	{"{}", -EINVAL},
	{"[]", -EINVAL},
	{"{" REST "}", -EINVAL},
	{"{'descr': '<f8', 'shape': (2,)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False}", -EINVAL},
	{"{'descr': '<f8', " REST ", 'extra': 1}", -EINVAL},
	{"{'descr': '<f8', 'descr': '<f8', " REST "}", -EINVAL},
	{"{'descr': '<f8', " REST, -EINVAL},
	{"{'descr': '<f8', " REST "} x", -EINVAL},
	{"{'descr': '<f8', " REST "}}", -EINVAL},
	{"{'descr': '<f8' " REST "}", -EINVAL},
	{"{'descr' '<f8', " REST "}", -EINVAL},
	{"{descr: '<f8', " REST "}", -EINVAL},
	{"{b'descr': '<f8', " REST "}", -EINVAL},
	{"{'descr': 'x8', " REST "}", -EINVAL},
	{"{'descr': b'<f8', " REST "}", -EINVAL},
	{"{'descr': None, " REST "}", -EINVAL},
	{"{'descr': ('<f8', (3,)), " REST "}", -EINVAL},
	{"{'descr': '|O', " REST "}", -ENOTSUP},
	{"{'descr': [('a', '|O')], " REST "}", -ENOTSUP},
	{"{'descr': '|V2147483648', " REST "}", -EOVERFLOW},
	{"{'descr': '<f8', 'fortran_order': 0, 'shape': (2,)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': 'False', 'shape': (2,)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': FalseX, 'shape': (2,)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False, 'shape': 2}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False, 'shape': (2)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False, 'shape': [2]}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False, 'shape': (2.0,)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False, 'shape': ('2',)}", -EINVAL},
	{"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775808,)}", -EOVERFLOW},
};

START_TEST(parse_anything_else_is_refused_and_output_kept)
{
	for (int major = 1; major <= 3; major++) {
		struct segfs_array array = {.ndim = UNTOUCHED, .order = '?'};
		int r = parse(major, invalid[_i].dict, &array);

		ck_assert_msg(r == invalid[_i].error, "%s: %d, not %d", invalid[_i].dict, r,
			      invalid[_i].error);
		ck_assert_ptr_null(array.dtype);
		ck_assert_uint_eq(array.ndim, UNTOUCHED);
		ck_assert_int_eq(array.order, '?');
	}
}
END_TEST

START_TEST(parse_python2_lengths_are_taken_in_its_versions_only)
{
	static const char dict[] = "{'descr': '<f8', 'fortran_order': False, 'shape': (10L, 2)}";

	for (int major = 1; major <= 3; major++) {
		SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};

		ck_assert_int_eq(parse(major, dict, &array), major == 3 ? -EINVAL : 0);
		ck_assert_uint_eq(array.shape[0], major == 3 ? 0 : 10);
	}
}
END_TEST

static void expect_field_name(int major, const char *dict, const char *name)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};

	ck_assert_int_eq(parse(major, dict, &array), 0);
	ck_assert_str_eq(array.dtype->fields[0].name, name);
}

START_TEST(parse_field_names_are_latin_1_before_version_3)
{
	static const char latin1[] = "{'descr': [('\xe9', '<f8')], " REST "}";
	static const char utf8[] = "{'descr': [('\xc3\xa9', '<f8')], " REST "}";
	struct segfs_array array = {0};

	expect_field_name(1, latin1, "\xc3\xa9");
	expect_field_name(2, latin1, "\xc3\xa9");
	expect_field_name(3, utf8, "\xc3\xa9");
	ck_assert_int_eq(parse(3, latin1, &array), -EINVAL);
}
END_TEST

START_TEST(parse_nul_among_the_padding_is_refused)
{
	struct header header = make_header(1, valid[0].dict);
	struct segfs_array array = {0};

	header.bytes[header.len - 2] = '\0';
	ck_assert_int_eq(segfs_npy_parse(header.bytes, header.len, &array), -EINVAL);
}
END_TEST

START_TEST(parse_bytes_after_the_header_are_not_looked_at)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};
	struct header header = make_header(1, valid[1].dict);

	ck_assert_int_eq(segfs_npy_parse(header.bytes, sizeof(header.bytes), &array), 0);
	ck_assert_uint_eq(array.offset, header.len);
}
END_TEST

START_TEST(header_size_counts_the_prefix)
{
	struct header one = make_header(1, valid[0].dict), three = make_header(3, valid[0].dict);

	ck_assert_int_eq(segfs_npy_header_size(one.bytes, 10), (ssize_t)one.len);
	ck_assert_int_eq(segfs_npy_header_size(one.bytes, 9), -EINVAL);
	ck_assert_int_eq(segfs_npy_header_size(three.bytes, PREFIX_MAX), (ssize_t)three.len);
	ck_assert_int_eq(segfs_npy_header_size(three.bytes, PREFIX_MAX - 1), -EINVAL);
}
END_TEST

START_TEST(header_size_other_magic_or_version_is_refused)
{
	static const struct {
		size_t at;
		char byte;
	} spoils[] = {{0, 'N'}, {5, 'y'}, {6, 0}, {6, 4}, {6, '\xff'}, {7, 1}};

	for (size_t i = 0; i < COUNT_OF(spoils); i++) {
		struct header header = make_header(2, valid[0].dict);

		header.bytes[spoils[i].at] = spoils[i].byte;
		ck_assert_int_eq(segfs_npy_header_size(header.bytes, PREFIX_MAX), -EINVAL);
	}
}
END_TEST

START_TEST(header_size_above_the_limit_is_too_long)
{
	char most[] = "\x93NUMPY\x02\x00\xf4\xff\x00\x00";

	ck_assert_int_eq(segfs_npy_header_size(most, PREFIX_MAX), SEGFS_NPY_HEADER_MAX);
	most[8]++;
	ck_assert_int_eq(segfs_npy_header_size(most, PREFIX_MAX), -EMSGSIZE);
	memset(most + 8, 0xff, 4);
	ck_assert_int_eq(segfs_npy_header_size(most, PREFIX_MAX), -EMSGSIZE);
}
END_TEST

/* A file that holds the first `len` bytes of a header. */
static int make_file(const struct header *header, size_t len)
{
	int fd = memfd_create("npy", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, header->bytes, len), (ssize_t)len);
	return fd;
}

START_TEST(read_of_a_file_leaves_its_position)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = {0};
	struct header header = make_header(1, valid[0].dict);
	SEGFS_CLOSE int fd = make_file(&header, header.len);

	ck_assert_int_eq(segfs_npy_read(fd, &array), 0);
	ck_assert_uint_eq(array.ndim, 2);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), (off_t)header.len);
}
END_TEST

START_TEST(read_of_a_cut_file_is_refused)
{
	struct header header = make_header(1, valid[0].dict);

	for (size_t len = 0; len < header.len; len += 7) {
		SEGFS_CLOSE int fd = make_file(&header, len);
		struct segfs_array array = {.ndim = UNTOUCHED};

		ck_assert_int_eq(segfs_npy_read(fd, &array), -EINVAL);
		ck_assert_uint_eq(array.ndim, UNTOUCHED);
	}
}
END_TEST

START_TEST(read_without_a_file_returns_errno)
{
	struct segfs_array array = {.ndim = UNTOUCHED};

	ck_assert_int_eq(segfs_npy_read(-1, &array), -EBADF);
	ck_assert_uint_eq(array.ndim, UNTOUCHED);
}
END_TEST

static struct segfs_array make_array(const char *dtype, const char *shape, char order)
{
	struct segfs_array array = {.order = order};

	ck_assert_int_eq(segfs_dtype_parse(dtype, strlen(dtype), &array.dtype), 0);
	ck_assert_int_eq(segfs_shape_parse(shape, strlen(shape), array.shape, &array.ndim), 0);
	return array;
}

static struct header format(const struct segfs_array *array)
{
	struct header header;

	header.len = segfs_npy_format(array, header.bytes, sizeof(header.bytes));
	ck_assert_uint_le(header.len, sizeof(header.bytes));
	return header;
}

static const struct {
	const char *dtype, *shape;
	char order;
	int major;
	const char *dict;
} written[] = {
	{"<f8", "3,4", 'C', 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }"},
	{">f8", "3,4", 'F', 1, "{'descr': '>f8', 'fortran_order': True, 'shape': (3, 4), }"},
	{"u1", "3", 'F', 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }"},
	{"u1", "", 'C', 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (), }"},
	{"u1", "1,7", 'F', 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 7), }"},
	{"u1", "0,7,7", 'F', 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 7, 7), }"},
	{"V0", "7,7", 'F', 1, "{'descr': '|V0', 'fortran_order': True, 'shape': (7, 7), }"},
	{"M8[25s]", "2", 'C', 1, "{'descr': '<M8[25s]', 'fortran_order': False, 'shape': (2,), }"},
	{"bfloat16", "2", 'C', 1, "{'descr': '<V2', 'fortran_order': False, 'shape': (2,), }"},
	{"[('bfloat16', 'bfloat16', (3,)), ('n', [('b', 'bfloat16')])]", "2", 'C', 1,
	 "{'descr': [('bfloat16', '<V2', (3,)), ('n', [('b', '<V2')])], 'fortran_order': False, 'shape': (2,), }"},
	{"[('\xc3\xa9', 'u1')]", "2", 'C', 1,
	 "{'descr': [('\xe9', '|u1')], 'fortran_order': False, 'shape': (2,), }"},
	{"[('\xc3\xa9\xe6\x97\xa5', 'u1')]", "2", 'C', 3,
	 "{'descr': [('\xc3\xa9\xe6\x97\xa5', '|u1')], 'fortran_order': False, 'shape': (2,), }"},
};

START_TEST(format_writes_what_numpy_does)
{
	SEGFS_CLEANUP(segfs_array_clear)
	struct segfs_array array = make_array(written[_i].dtype, written[_i].shape, written[_i].order);
	struct header header = format(&array);
	size_t prefix = written[_i].major == 1 ? 10 : PREFIX_MAX, len = strlen(written[_i].dict);

	ck_assert_int_eq(header.bytes[6], written[_i].major);
	ck_assert_int_eq(segfs_npy_header_size(header.bytes, header.len), (ssize_t)header.len);
	ck_assert_uint_eq(header.len % 64, 0);
	ck_assert_mem_eq(header.bytes + prefix, written[_i].dict, len);
	for (size_t i = prefix + len; i < header.len - 1; i++)
		ck_assert_int_eq(header.bytes[i], ' ');
	ck_assert_int_eq(header.bytes[header.len - 1], '\n');
}
END_TEST

START_TEST(format_is_parsed_again_to_the_same)
{
	SEGFS_CLEANUP(segfs_array_clear)
	struct segfs_array array = make_array(written[_i].dtype, written[_i].shape, written[_i].order);
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array again = {0};
	struct header header = format(&array);

	ck_assert_int_eq(segfs_npy_parse(header.bytes, header.len, &again), 0);
	ck_assert_uint_eq(again.offset, header.len);
	ck_assert_uint_eq(again.ndim, array.ndim);
	ck_assert_mem_eq(again.shape, array.shape, array.ndim * sizeof(*array.shape));
	ck_assert_uint_eq(again.dtype->itemsize, array.dtype->itemsize);
	ck_assert(segfs_dtype_equal(again.dtype, array.dtype) || strstr(written[_i].dtype, "bfloat16"));
}
END_TEST

START_TEST(format_into_less_than_it_takes_writes_nothing)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("<f8", "3,4", 'C');
	struct header whole = format(&array);

	for (size_t size = 0; size <= whole.len; size++) {
		char *blank = calloc(whole.len + 1, 1), *bytes = bounded_copy(blank, size);

		ck_assert_uint_eq(segfs_npy_format(&array, bytes, size), whole.len);
		ck_assert_mem_eq(bytes, size == whole.len ? whole.bytes : blank, size);
		bounded_free(bytes);
		free(blank);
	}
	ck_assert_uint_eq(segfs_npy_format(&array, NULL, 0), whole.len);
}
END_TEST

/* A structure of 600 fields, of about 110 bytes of text each. */
static void make_long_dtype(const char *name, char *text)
{
	text += sprintf(text, "[");
	for (int i = 0; i < 600; i++)
		text += sprintf(text, "('%s%0100d','u1'),", name, i);
	strcpy(text, "]");
}

START_TEST(format_longer_than_version_1_takes_the_next)
{
	static const struct {
		const char *name;
		int major;
	} names[] = {{"\xc3\xa9", 2}, {"\xe6\x97\xa5", 3}};
	static char dtype[128 * 1024], header[128 * 1024];

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct segfs_array array;
		size_t len;

		make_long_dtype(names[i].name, dtype);
		array = make_array(dtype, "2", 'C');
		len = segfs_npy_format(&array, header, sizeof(header));
		ck_assert_uint_gt(len, SEGFS_NPY_HEADER_MAX);
		ck_assert_uint_le(len, sizeof(header));
		ck_assert_int_eq(header[6], names[i].major);
		segfs_array_clear(&array);
	}
}
END_TEST

static TCase *parse_tests(void)
{
	TCase *tests = tcase_create("parse");

	tcase_add_loop_test(tests, parse_each_version_gives_the_array, 0, COUNT_OF(valid));
	tcase_add_loop_test(tests, parse_every_prefix_is_refused, 0, 3);
	tcase_add_loop_test(tests, parse_every_prefix_of_the_dict_stays_within_it, 0, COUNT_OF(valid));
	tcase_add_loop_test(tests, parse_anything_else_is_refused_and_output_kept, 0, COUNT_OF(invalid));
	tcase_add_test(tests, parse_python2_lengths_are_taken_in_its_versions_only);
	tcase_add_test(tests, parse_field_names_are_latin_1_before_version_3);
	tcase_add_test(tests, parse_nul_among_the_padding_is_refused);
	tcase_add_test(tests, parse_bytes_after_the_header_are_not_looked_at);
	return tests;
}

static TCase *format_tests(void)
{
	TCase *tests = tcase_create("format");

	tcase_add_loop_test(tests, format_writes_what_numpy_does, 0, COUNT_OF(written));
	tcase_add_loop_test(tests, format_is_parsed_again_to_the_same, 0, COUNT_OF(written));
	tcase_add_test(tests, format_into_less_than_it_takes_writes_nothing);
	tcase_add_test(tests, format_longer_than_version_1_takes_the_next);
	return tests;
}

static TCase *other_tests(void)
{
	TCase *tests = tcase_create("header_size, read");

	tcase_add_test(tests, header_size_counts_the_prefix);
	tcase_add_test(tests, header_size_other_magic_or_version_is_refused);
	tcase_add_test(tests, header_size_above_the_limit_is_too_long);
	tcase_add_test(tests, read_of_a_file_leaves_its_position);
	tcase_add_test(tests, read_of_a_cut_file_is_refused);
	tcase_add_test(tests, read_without_a_file_returns_errno);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("npy");

	suite_add_tcase(suite, parse_tests());
	suite_add_tcase(suite, format_tests());
	suite_add_tcase(suite, other_tests());
	return run_suite(suite);
}
