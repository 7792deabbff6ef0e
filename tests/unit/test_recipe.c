/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <segfs/ring.h>
#include <segfs/segment.h>
#include <segfs/slots.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "recipe.h"
#include "suite.h"
#include "util.h"

typedef int (*recipe)(int fd, const char *text, size_t len);

static struct segfs_segment segment_of(int fd)
{
	struct segfs_segment segment;

	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	return segment;
}

static void assert_untouched(int fd)
{
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_DTYPE, NULL, 0), 0);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_SHAPE, NULL, 0), 0);
}

static const struct {
	const char *text;
	unsigned policy;
	uint64_t capacity; /* at least */
	const char *dtype, *shape;
} rings[] = {
	{"block capacity 64 shape 480,640 dtype <f4", SEGFS_RING_BLOCK, 64, "<f4", "480,640"},
	{"overwrite shape 64,64 capacity 64 dtype uint8", SEGFS_RING_OVERWRITE, 64, "|u1", "64,64"},
	{" block  capacity 64   dtype  float64 ", SEGFS_RING_BLOCK, 64, "<f8", ""},
	{"block capacity 2 shape (2,) dtype [('a dtype', '<f4'), ('b', 'i8')]", SEGFS_RING_BLOCK, 2,
	 "[('a dtype', '<f4'), ('b', '<i8')]", "2"},
};

START_TEST(ring_is_as_the_words_say)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	SEGFS_CLEANUP(segfs_ring_info_clear) struct segfs_ring_info info = {};
	char text[128];

	ck_assert_int_eq(segfs_recipe_ring(fd, rings[_i].text, strlen(rings[_i].text)), 0);
	ck_assert_int_eq(segfs_ring_read(fd, &info), 0);
	ck_assert_uint_eq(info.policy, rings[_i].policy);
	ck_assert_uint_ge(info.capacity, rings[_i].capacity);
	ck_assert_uint_lt(info.capacity, rings[_i].capacity + 64);
	segfs_dtype_format(info.frame.dtype, text, sizeof(text));
	ck_assert_str_eq(text, rings[_i].dtype);
	segfs_shape_format(info.frame.shape, info.frame.ndim, text, sizeof(text));
	ck_assert_str_eq(text, rings[_i].shape);
}
END_TEST

START_TEST(table_has_the_fields)
{
	static const char text[] = "[('gain', 'f8'), ('offset', '<f8')]";
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};

	ck_assert_int_eq(segfs_recipe_table(fd, text, strlen(text)), 0);
	segment = segment_of(fd);
	ck_assert_int_eq(segment.kind, SEGFS_KIND_TABLE);
	ck_assert_uint_eq(segment.array.dtype->n_fields, 2);
}
END_TEST

START_TEST(slots_are_an_array)
{
	static const char text[] = "workers 8 shape 3 dtype <f8";
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};
	struct segfs_slots_info info;

	ck_assert_int_eq(segfs_recipe_slots(fd, text, strlen(text)), 0);
	segment = segment_of(fd);
	ck_assert_int_eq(segment.kind, SEGFS_KIND_ARRAY);
	ck_assert_int_eq(segfs_slots_read(&segment.array, &info), 0);
	ck_assert_uint_eq(info.n_workers, 8);
}
END_TEST

static const struct {
	recipe make;
	const char *text;
	int error;
} refused[] = {
	{segfs_recipe_ring, "", -EINVAL},
	{segfs_recipe_ring, "Block capacity 64 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "capacity 64 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 1 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity -64 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 0x40 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 capacity 64 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 18446744073709551616 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 18446744073709551615 dtype <f4", -EOVERFLOW},
	{segfs_recipe_ring, "block capacity 64 shape 3 shape 3 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 shape dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 shape 3, 4 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 shape 0 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 shape 9223372036854775808 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 shape 1,1,1,1,1,1,1,1,1 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 workers 3 dtype <f4", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 dtype <f4 shape 3", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 dtype O", -EINVAL},
	{segfs_recipe_ring, "block capacity 64 committed 0 producer none consumers none", -EINVAL},
	{segfs_recipe_table, "<f8", -EINVAL},
	{segfs_recipe_table, "[]", -EINVAL},
	{segfs_recipe_table, "[('a', 'O')]", -EINVAL},
	{segfs_recipe_table, "[('', '|V4')]", -EINVAL},
	{segfs_recipe_table, "[('123456789012345678901234567890123', '<f8')]", -ENAMETOOLONG},
	{segfs_recipe_table, "fields 2 record 16 writes 0 snapshots 0", -EINVAL},
	{segfs_recipe_slots, "workers 0 dtype <f8", -EINVAL},
	{segfs_recipe_slots, "workers 8", -EINVAL},
	{segfs_recipe_slots, "block workers 8 dtype <f8", -EINVAL},
	{segfs_recipe_slots, "workers 8 shape 0 dtype <f8", -EINVAL},
	{segfs_recipe_slots, "workers 8 shape 1000000000 dtype <f8", -EOVERFLOW},
	{segfs_recipe_slots, "workers 8 row 128 shape 3 dtype <f8", -EINVAL},
};

START_TEST(refused_leaves_the_file_empty)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	const char *text = refused[_i].text;

	ck_assert_int_eq(refused[_i].make(fd, text, strlen(text)), refused[_i].error);
	assert_untouched(fd);
}
END_TEST

static const struct {
	recipe make;
	const char *text;
	int error; /* of a file that is not empty */
} whole[] = {
	{segfs_recipe_ring, "block capacity 64 shape 16 dtype [('a', '<f4')]", -ENOTEMPTY},
	{segfs_recipe_ring, "overwrite shape (3,) capacity 64 dtype [('x', '|u1')]", -ENOTEMPTY},
	{segfs_recipe_table, "[('gain', '<f8', (2,)), (('title', 'b'), '|S3')]", -EEXIST},
	{segfs_recipe_slots, "workers 8 shape 3,4 dtype [('a', '<f4')]", -EEXIST},
};

START_TEST(every_prefix_is_safe)
{
	const char *text = whole[_i].text;

	for (size_t n = 0; n <= strlen(text); n++) {
		SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
		char *copy = bounded_copy(text, n);

		ck_assert_int_eq(whole[_i].make(fd, copy, n), n == strlen(text) ? 0 : -EINVAL);
		bounded_free(copy);
	}
}
END_TEST

/* A NUL, too, is a byte like any other. */
START_TEST(every_byte_changed_is_safe)
{
	static const char bytes[] = {'\0', ' ', '9', '\'', '\xff'};
	char *copy = bounded_copy(whole[_i].text, strlen(whole[_i].text));

	for (size_t at = 0; at < strlen(whole[_i].text); at++) {
		for (size_t i = 0; i < COUNT_OF(bytes); i++) {
			SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
			int r;

			copy[at] = bytes[i];
			r = whole[_i].make(fd, copy, strlen(whole[_i].text));
			ck_assert(r <= 0);
			if (r < 0)
				assert_untouched(fd);
		}
		copy[at] = whole[_i].text[at];
	}
	bounded_free(copy);
}
END_TEST

START_TEST(file_that_is_not_empty_stays_as_it_is)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	const char *text = whole[_i].text;

	ck_assert_int_eq(whole[_i].make(fd, text, strlen(text)), whole[_i].error);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 1);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_DTYPE, NULL, 0), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recipe");
	TCase *tc = tcase_create("recipe");

	tcase_add_loop_test(tc, ring_is_as_the_words_say, 0, COUNT_OF(rings));
	tcase_add_test(tc, table_has_the_fields);
	tcase_add_test(tc, slots_are_an_array);
	tcase_add_loop_test(tc, refused_leaves_the_file_empty, 0, COUNT_OF(refused));
	tcase_add_loop_test(tc, every_prefix_is_safe, 0, COUNT_OF(whole));
	tcase_add_loop_test(tc, every_byte_changed_is_safe, 0, COUNT_OF(whole));
	tcase_add_loop_test(tc, file_that_is_not_empty_stays_as_it_is, 0, COUNT_OF(whole));
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
