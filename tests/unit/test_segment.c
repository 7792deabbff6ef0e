/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <segfs/ring.h>
#include <segfs/segment.h>
#include <segfs/table.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

#define HEADER "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }"

static int set(int fd, const char *name, const char *value)
{
	return segfs_segment_set(fd, name, value, strlen(value), 0);
}

static void assert_attribute(int fd, const char *name, const char *expected)
{
	struct segfs_segment segment;
	char value[256];

	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	ck_assert_int_eq(segfs_segment_format(&segment, name, value, sizeof(value)),
			 (ssize_t)strlen(expected));
	ck_assert_str_eq(value, expected);
	segfs_segment_clear(&segment);
}

static enum segfs_kind kind_of(int fd)
{
	struct segfs_segment segment;
	enum segfs_kind kind;

	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	kind = segment.kind;
	segfs_segment_clear(&segment);
	return kind;
}

/* A .npy file of version 1.0 with room for `data` bytes behind its header. */
static int npy_file(const char *header, size_t data)
{
	unsigned char bytes[128 + 1024] = "\x93NUMPY\x01\x00\x76\x00";

	memset(bytes + 10, ' ', 118);
	memcpy(bytes + 10, header, strlen(header));
	bytes[127] = '\n';
	return file_on_tmpfs(bytes, 128 + data);
}

START_TEST(read_untyped_file_is_raw)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("hello", 5);
	struct segfs_segment segment;
	char value[8];

	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	ck_assert_int_eq(segment.kind, SEGFS_KIND_RAW);
	ck_assert_uint_eq(segment.size, 5);
	ck_assert_int_eq(segfs_segment_format(&segment, SEGFS_ATTR_DTYPE, value, sizeof(value)), -ENODATA);
}
END_TEST

START_TEST(read_bad_descriptor_fails_untouched)
{
	struct segfs_segment segment = {.size = UNTOUCHED};

	ck_assert_int_eq(segfs_segment_read(-1, &segment), -EBADF);
	ck_assert_uint_eq(segment.size, UNTOUCHED);
}
END_TEST

START_TEST(read_npy_header_wins_over_attributes)
{
	SEGFS_CLOSE int fd = npy_file(HEADER, 48);

	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_DTYPE, "|u1", 3, 0), 0);
	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_SHAPE, "1", 1, 0), 0);
	ck_assert_int_eq(kind_of(fd), SEGFS_KIND_NPY);
	assert_attribute(fd, SEGFS_ATTR_DTYPE, "<f8");
	assert_attribute(fd, SEGFS_ATTR_SHAPE, "2,3");
	assert_attribute(fd, SEGFS_ATTR_OFFSET, "128");
	assert_attribute(fd, SEGFS_ATTR_ORDER, "C");
}
END_TEST

/* numpy reads it as well. Its own headers have lengths that align. */
START_TEST(read_npy_misaligned_is_npy)
{
	const char bytes[10 + 71 + 48 + 1] = "\x93NUMPY\x01\x00\x47\x00" HEADER "           \n";
	SEGFS_CLOSE int fd = file_on_tmpfs(bytes, sizeof(bytes) - 1);

	ck_assert_int_eq(kind_of(fd), SEGFS_KIND_NPY);
	assert_attribute(fd, SEGFS_ATTR_OFFSET, "81");
}
END_TEST

START_TEST(read_npy_cut_anywhere_is_no_npy)
{
	SEGFS_CLOSE int fd = npy_file(HEADER, 48);

	for (off_t size = 128 + 47; size >= 0; size--) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(kind_of(fd), SEGFS_KIND_RAW);
	}
}
END_TEST

static int ring_file(void)
{
	int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(segfs_ring_format(fd, "float32", (uint64_t[]){48, 64}, 2, 4, SEGFS_RING_BLOCK), 0);
	return fd;
}

static int table_file(void)
{
	static const char text[] = "[('gain', '<f8'), ('name', '|S5')]";
	int fd = file_on_tmpfs("", 0);
	struct segfs_dtype *dtype;

	ck_assert_int_eq(segfs_dtype_parse(text, strlen(text), &dtype), 0);
	ck_assert_int_eq(segfs_table_format(fd, dtype), 0);
	segfs_dtype_free(dtype);
	return fd;
}

START_TEST(read_ring_describes_a_frame)
{
	SEGFS_CLOSE int fd = ring_file();

	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_DTYPE, "|u1", 3, 0), 0);
	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_SHAPE, "1", 1, 0), 0);
	ck_assert_int_eq(kind_of(fd), SEGFS_KIND_RING);
	ck_assert_str_eq(segfs_kind_name(kind_of(fd)), "ring");
	assert_attribute(fd, SEGFS_ATTR_DTYPE, "<f4");
	assert_attribute(fd, SEGFS_ATTR_SHAPE, "48,64");
	assert_attribute(fd, SEGFS_ATTR_ORDER, "C");
	assert_attribute(fd, SEGFS_ATTR_OFFSET, "16384");
}
END_TEST

START_TEST(read_table_has_a_dtype_alone)
{
	static const char *const others[] = {SEGFS_ATTR_SHAPE, SEGFS_ATTR_ORDER, SEGFS_ATTR_OFFSET};
	SEGFS_CLOSE int fd = table_file();
	struct segfs_segment segment;
	char value[8];

	ck_assert_str_eq(segfs_kind_name(kind_of(fd)), "table");
	assert_attribute(fd, SEGFS_ATTR_DTYPE, "[('gain', '<f8'), ('name', '|S5')]");
	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	ck_assert_uint_eq(segment.array.ndim, 0);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		ck_assert_int_eq(segfs_segment_format(&segment, others[i], value, sizeof(value)), -ENODATA);
	segfs_segment_clear(&segment);
}
END_TEST

static int (*const files[])(void) = {ring_file, table_file};

/* Cut in the header, between two pages of it, or in what it promises. */
START_TEST(read_ring_or_table_cut_anywhere_is_raw)
{
	SEGFS_CLOSE int fd = files[_i]();

	ck_assert_int_gt(kind_of(fd), SEGFS_KIND_NPY);
	for (off_t size = lseek(fd, 0, SEEK_END) - 1; size >= 0; size -= size > 64 ? 61 : 1) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(kind_of(fd), SEGFS_KIND_RAW);
	}
}
END_TEST

/* Any byte of what never changes: the kind is one that holds, or the attributes count. */
START_TEST(read_ring_or_table_with_any_byte_changed_is_safe)
{
	SEGFS_CLOSE int fd = files[_i]();
	char byte, other;

	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_DTYPE, "|u1", 3, 0), 0);
	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_SHAPE, "7", 1, 0), 0);
	for (off_t at = 0; at < 8192 + 256; at++) {
		ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
		for (int bit = 0; bit < 8; bit += 7) {
			enum segfs_kind kind;

			other = (char)(byte ^ 1 << bit);
			ck_assert_int_eq(pwrite(fd, &other, 1, at), 1);
			kind = kind_of(fd);
			ck_assert(kind == SEGFS_KIND_ARRAY || kind > SEGFS_KIND_NPY);
			ck_assert(at >= 12 || kind == SEGFS_KIND_ARRAY);
		}
		ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	}
}
END_TEST

START_TEST(set_on_ring_or_table_takes_only_what_it_says)
{
	SEGFS_CLOSE int ring = ring_file(), table = table_file();

	ck_assert_int_eq(set(ring, SEGFS_ATTR_DTYPE, "float32"), 0);
	ck_assert_int_eq(set(ring, SEGFS_ATTR_SHAPE, "[48, 64]"), 0);
	ck_assert_int_eq(set(ring, SEGFS_ATTR_OFFSET, "16384"), 0);
	ck_assert_int_eq(set(ring, SEGFS_ATTR_SHAPE, "64,48"), -EINVAL);
	ck_assert_int_eq(set(ring, SEGFS_ATTR_OFFSET, "0"), -EINVAL);
	ck_assert_int_eq(set(table, SEGFS_ATTR_DTYPE, "[('gain','f8'),('name','S5')]"), 0);
	ck_assert_int_eq(set(table, SEGFS_ATTR_DTYPE, "[('gain','f8')]"), -EINVAL);
	ck_assert_int_eq(set(table, SEGFS_ATTR_SHAPE, ""), -EINVAL);
	ck_assert_int_eq(set(table, SEGFS_ATTR_ORDER, "C"), -EINVAL);
	ck_assert_int_eq(set(table, SEGFS_ATTR_OFFSET, "0"), -EINVAL);
	ck_assert_int_lt(fgetxattr(ring, SEGFS_ATTR_DTYPE, NULL, 0), 0);
	ck_assert_int_lt(fgetxattr(table, SEGFS_ATTR_DTYPE, NULL, 0), 0);
}
END_TEST

START_TEST(read_attributes_that_contradict_the_size_describe_nothing)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("12345678", 8);

	ck_assert_int_eq(set(fd, SEGFS_ATTR_DTYPE, "float64"), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_SHAPE, "1"), 0);
	ck_assert_int_eq(kind_of(fd), SEGFS_KIND_ARRAY);
	ck_assert_int_eq(ftruncate(fd, 7), 0);
	ck_assert_int_eq(kind_of(fd), SEGFS_KIND_RAW);
}
END_TEST

static const char *const nonsense[] = {"", "\xff\xfe", "nonsense", "<f8<f8", "[(", "[('a', '<f4'"};

START_TEST(read_nonsense_attributes_describe_nothing)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("12345678", 8);

	ck_assert_int_eq(set(fd, SEGFS_ATTR_SHAPE, "1"), 0);
	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_DTYPE, nonsense[_i], strlen(nonsense[_i]), 0), 0);
	ck_assert_int_eq(kind_of(fd), SEGFS_KIND_RAW);
}
END_TEST

START_TEST(set_long_descr_reads_back)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	char descr[8192] = "[", value[8192];
	struct segfs_segment segment;

	for (int i = 0; i < 200; i++)
		sprintf(descr + strlen(descr), "%s('field_%03d', '<f4')", i ? ", " : "", i);
	strcat(descr, "]");
	ck_assert_int_eq(set(fd, SEGFS_ATTR_DTYPE, descr), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_SHAPE, "3"), 0);
	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	ck_assert_uint_eq(segment.size, 3 * 200 * 4);
	ck_assert_int_eq(segfs_segment_format(&segment, SEGFS_ATTR_DTYPE, value, sizeof(value)),
			 (ssize_t)strlen(descr));
	ck_assert_str_eq(value, descr);
	segfs_segment_clear(&segment);
}
END_TEST

START_TEST(set_on_empty_file_sizes_and_reserves)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	struct stat st;

	ck_assert_int_eq(set(fd, SEGFS_ATTR_SHAPE, "100, 100"), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_OFFSET, "64"), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_DTYPE, "float64"), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 64 + 80000);
	ck_assert_int_ge(st.st_blocks * 512, 80064);
}
END_TEST

START_TEST(set_scalar_and_empty_array_on_empty_file)
{
	SEGFS_CLOSE int scalar = file_on_tmpfs("", 0), empty = file_on_tmpfs("", 0);

	ck_assert_int_eq(set(scalar, SEGFS_ATTR_DTYPE, "<i4"), 0);
	ck_assert_int_eq(set(scalar, SEGFS_ATTR_SHAPE, ""), 0);
	ck_assert_int_eq(lseek(scalar, 0, SEEK_END), 4);
	ck_assert_int_eq(set(empty, SEGFS_ATTR_DTYPE, "<i4"), 0);
	ck_assert_int_eq(set(empty, SEGFS_ATTR_SHAPE, "0,5"), 0);
	ck_assert_int_eq(lseek(empty, 0, SEEK_END), 0);
	ck_assert_int_eq(kind_of(empty), SEGFS_KIND_ARRAY);
}
END_TEST

static const struct {
	const char *name, *value;
} refused[] = {
	{SEGFS_ATTR_DTYPE, "object"},
	{SEGFS_ATTR_DTYPE, "f3"},
	{SEGFS_ATTR_SHAPE, "3"},
	{SEGFS_ATTR_SHAPE, "x"},
	{SEGFS_ATTR_ORDER, "A"},
	{SEGFS_ATTR_OFFSET, "1"},
	{SEGFS_ATTR_OFFSET, "8"},
	{SEGFS_ATTR_OFFSET, ""},
	{SEGFS_ATTR_OFFSET, "-1"},
	{SEGFS_ATTR_OFFSET, "0x8"},
	{SEGFS_ATTR_DTYPE, "complex256"},
	{SEGFS_ATTR_SHAPE, "9223372036854775807"},
	{SEGFS_ATTR_OFFSET, "9223372036854775808"},
};

START_TEST(set_what_does_not_fit_changes_nothing)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("0123456789abcdef", 16);

	ck_assert_int_eq(set(fd, SEGFS_ATTR_DTYPE, "<f8"), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_SHAPE, "2"), 0);
	ck_assert_int_eq(set(fd, refused[_i].name, refused[_i].value), -EINVAL);
	assert_attribute(fd, SEGFS_ATTR_DTYPE, "<f8");
	assert_attribute(fd, SEGFS_ATTR_SHAPE, "2");
	assert_attribute(fd, SEGFS_ATTR_OFFSET, "0");
	assert_attribute(fd, SEGFS_ATTR_ORDER, "C");
}
END_TEST

START_TEST(set_every_prefix_of_a_value_is_safe)
{
	static const char value[] = "[('a', '<f4'), (('t', 'b'), '<i2', (3,)), ('', '|V2')]";

	for (size_t n = 0; n <= strlen(value); n++) {
		SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
		char *copy = bounded_copy(value, n);
		int r = segfs_segment_set(fd, SEGFS_ATTR_DTYPE, copy, n, 0);

		ck_assert_int_eq(r, n == strlen(value) ? 0 : -EINVAL);
		bounded_free(copy);
	}
}
END_TEST

START_TEST(set_on_npy_takes_only_what_it_says)
{
	SEGFS_CLOSE int fd = npy_file(HEADER, 48);

	ck_assert_int_eq(set(fd, SEGFS_ATTR_DTYPE, "float64"), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_SHAPE, "[2, 3]"), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_OFFSET, "128"), 0);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_DTYPE, "<f4"), -EINVAL);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_SHAPE, "6"), -EINVAL);
	ck_assert_int_eq(set(fd, SEGFS_ATTR_ORDER, "F"), -EINVAL);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_DTYPE, NULL, 0), 0);
}
END_TEST

START_TEST(set_flags_are_those_of_setxattr)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("12345678", 8);

	ck_assert_int_eq(segfs_segment_set(fd, SEGFS_ATTR_ORDER, "F", 1, XATTR_REPLACE), -ENODATA);
	ck_assert_int_eq(segfs_segment_set(fd, SEGFS_ATTR_ORDER, "F", 1, XATTR_CREATE), 0);
	ck_assert_int_eq(segfs_segment_set(fd, SEGFS_ATTR_ORDER, "C", 1, XATTR_CREATE), -EEXIST);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("segment");
	TCase *tc = tcase_create("segment");

	tcase_add_test(tc, read_untyped_file_is_raw);
	tcase_add_test(tc, read_bad_descriptor_fails_untouched);
	tcase_add_test(tc, read_npy_header_wins_over_attributes);
	tcase_add_test(tc, read_npy_misaligned_is_npy);
	tcase_add_test(tc, read_npy_cut_anywhere_is_no_npy);
	tcase_add_test(tc, read_ring_describes_a_frame);
	tcase_add_test(tc, read_table_has_a_dtype_alone);
	tcase_add_loop_test(tc, read_ring_or_table_cut_anywhere_is_raw, 0, COUNT_OF(files));
	tcase_add_loop_test(tc, read_ring_or_table_with_any_byte_changed_is_safe, 0, COUNT_OF(files));
	tcase_add_test(tc, set_on_ring_or_table_takes_only_what_it_says);
	tcase_add_test(tc, read_attributes_that_contradict_the_size_describe_nothing);
	tcase_add_loop_test(tc, read_nonsense_attributes_describe_nothing, 0, COUNT_OF(nonsense));
	tcase_add_test(tc, set_long_descr_reads_back);
	tcase_add_test(tc, set_on_empty_file_sizes_and_reserves);
	tcase_add_test(tc, set_scalar_and_empty_array_on_empty_file);
	tcase_add_loop_test(tc, set_what_does_not_fit_changes_nothing, 0, COUNT_OF(refused));
	tcase_add_test(tc, set_every_prefix_of_a_value_is_safe);
	tcase_add_test(tc, set_on_npy_takes_only_what_it_says);
	tcase_add_test(tc, set_flags_are_those_of_setxattr);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
