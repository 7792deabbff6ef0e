/* SPDX-License-Identifier: MIT */
#include <segfs/segment.h>
#include <segfs/slots.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "bounded.h"
#include "child.h"
#include "dtype-internal.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

#define DTYPE SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype

static struct segfs_dtype *dtype_of(const char *text)
{
	struct segfs_dtype *dtype;

	ck_assert_int_eq(segfs_dtype_parse(text, strlen(text), &dtype), 0);
	return dtype;
}

static const struct {
	const char *element;
	unsigned ndim;
	uint64_t shape[3];
	const char *row;
} rows[] = {
	{"<f8", 1, {3}, "[('value', '<f8', (3,)), ('', '|V104')]"},
	{"<f8", 0, {0}, "[('value', '<f8'), ('', '|V120')]"},
	{"<f8", 2, {4, 4}, "[('value', '<f8', (4, 4))]"},
	{"|u1", 1, {129}, "[('value', '|u1', (129,)), ('', '|V127')]"},
	{"|u1", 1, {127}, "[('value', '|u1', (127,)), ('', '|V1')]"},
	{"bfloat16", 1, {2}, "[('value', 'bfloat16', (2,)), ('', '|V124')]"},
	{"M8[25s]", 0, {0}, "[('value', '<M8[25s]'), ('', '|V120')]"},
	{"[('n', '<u8'), ('it\\'s', '<f4', (2,))]",
	 1,
	 {2},
	 "[('value', [('n', '<u8'), (\"it's\", '<f4', (2,))], (2,)), ('', '|V96')]"},
};

START_TEST(dtype_is_padded_to_two_lines)
{
	DTYPE *element = dtype_of(rows[_i].element), *row = NULL;
	char text[256];

	ck_assert_int_eq(segfs_slots_dtype(element, rows[_i].shape, rows[_i].ndim, &row), 0);
	segfs_dtype_format(row, text, sizeof(text));
	ck_assert_str_eq(text, rows[_i].row);
	ck_assert_uint_eq(row->itemsize % SEGFS_SLOTS_ALIGNMENT, 0);
}
END_TEST

static const struct {
	const char *element;
	unsigned ndim;
	uint64_t shape[2];
	int error;
} refused[] = {
	{"S0", 0, {0}, -EINVAL},
	{"<f8", 1, {0}, -EINVAL},
	{"<f8", 2, {1ULL << 40, 0}, -EINVAL},
	{"<f8", SEGFS_MAX_NDIM + 1, {1}, -EINVAL},
	{"<f8", 1, {1ULL << 28}, -EOVERFLOW},
	{"|u1", 1, {INT32_MAX}, -EOVERFLOW}, /* with its padding */
	{"<f8", 2, {1ULL << 32, 1ULL << 32}, -EOVERFLOW},
};

START_TEST(dtype_refused_fails_untouched)
{
	DTYPE *element = dtype_of(refused[_i].element);
	struct segfs_dtype *row = (struct segfs_dtype *)UNTOUCHED;

	ck_assert_int_eq(segfs_slots_dtype(element, refused[_i].shape, refused[_i].ndim, &row),
			 refused[_i].error);
	ck_assert_ptr_eq(row, (void *)UNTOUCHED);
}
END_TEST

static void assert_untyped(int fd)
{
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_DTYPE, NULL, 0), 0);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_SHAPE, NULL, 0), 0);
}

START_TEST(format_makes_an_ordinary_segment)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	DTYPE *element = dtype_of("<f8");
	struct segfs_segment segment;
	struct stat st;
	char value[128];

	ck_assert_int_eq(segfs_slots_format(fd, element, (uint64_t[]){3}, 1, 10), 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 1280);
	ck_assert_int_ge(st.st_blocks * 512, 1280);
	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	ck_assert_int_eq(segment.kind, SEGFS_KIND_ARRAY);
	segfs_segment_format(&segment, SEGFS_ATTR_DTYPE, value, sizeof(value));
	ck_assert_str_eq(value, "[('value', '<f8', (3,)), ('', '|V104')]");
	segfs_segment_format(&segment, SEGFS_ATTR_SHAPE, value, sizeof(value));
	ck_assert_str_eq(value, "10");
	segfs_segment_clear(&segment);
}
END_TEST

START_TEST(format_failed_leaves_nothing)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	DTYPE *element = dtype_of("<f8"), *nothing = dtype_of("S0");

	ck_assert_int_eq(segfs_slots_format(fd, nothing, NULL, 0, 10), -EINVAL);
	assert_untyped(fd);
	ck_assert_int_lt(segfs_slots_format(fd, element, NULL, 0, UINT64_MAX / 128), 0);
	assert_untyped(fd);
	ck_assert_int_lt(segfs_slots_format(fd, element, NULL, 0, UINT64_MAX), 0);
	assert_untyped(fd);
	ck_assert_int_eq(segfs_slots_format(fd, element, NULL, 0, 1), 0);
	ck_assert_int_eq(segfs_slots_format(fd, element, NULL, 0, 1), -EEXIST);
}
END_TEST

/* A shape would make an array of the dtype as soon as there is one. */
START_TEST(format_does_not_go_by_what_was_set_before)
{
	static const char *const names[] = {SEGFS_ATTR_SHAPE, SEGFS_ATTR_OFFSET, SEGFS_ATTR_DTYPE};
	static const char *const values[] = {"3", "64", "<i2"};
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	DTYPE *element = dtype_of("<f8");

	ck_assert_int_eq(fsetxattr(fd, names[_i], values[_i], strlen(values[_i]), 0), 0);
	ck_assert_int_eq(fsetxattr(fd, SEGFS_ATTR_ORDER, "F", 1, 0), 0);
	ck_assert_int_eq(segfs_slots_format(fd, element, NULL, 0, 10), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 1280);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_OFFSET, NULL, 0), 0);
	ck_assert_int_lt(fgetxattr(fd, SEGFS_ATTR_ORDER, NULL, 0), 0);
}
END_TEST

START_TEST(row_is_where_numpy_has_it)
{
	DTYPE *element = dtype_of("<f8"), *row = NULL;
	struct segfs_array array = {.ndim = 1, .shape = {3}, .order = 'C', .offset = 128};
	char *file = (char *)0x10000;

	ck_assert_int_eq(segfs_slots_dtype(element, (uint64_t[]){20}, 1, &row), 0);
	array.dtype = row;
	ck_assert_ptr_eq(segfs_slots_row(&array, file, 0), file + 128);
	ck_assert_ptr_eq(segfs_slots_row(&array, file, 2), file + 128 + 2 * 256);
	ck_assert_ptr_null(segfs_slots_row(&array, file, 3));
	ck_assert_ptr_null(segfs_slots_row(&array, file, UINT64_MAX));
	array.offset = 64;
	ck_assert_ptr_null(segfs_slots_row(&array, file, 0));
	array.offset = 0;
	array.ndim = 2;
	ck_assert_ptr_null(segfs_slots_row(&array, file, 0));
}
END_TEST

static const struct {
	const char *dtype, *text;
} described[] = {
	{"[('value', '<f8', (3,)), ('', '|V104')]", "workers 5 row 128 shape 3 dtype <f8"},
	{"[('value', '<f8'), ('', '|V120')]", "workers 5 row 128 dtype <f8"},
	{"[('value', '<f8', (4, 8))]", "workers 5 row 256 shape 4,8 dtype <f8"},
	{"[('value', [('n', '<u8'), ('x', '<f8')], (4,)), ('', '|V64')]",
	 "workers 5 row 128 shape 4 dtype [('n', '<u8'), ('x', '<f8')]"},
	{"[('value', '<f8', (3,))]", NULL},
	{"[('value', '<f8', (8,)), ('other', '<f8', (8,))]", NULL},
	{"[('values', '<f8', (16,))]", NULL},
	{"[('', '|V128')]", NULL},
	{"S128", NULL},
	{"S0", NULL},
};

START_TEST(read_tells_slots_from_other_arrays)
{
	DTYPE *row = dtype_of(described[_i].dtype);
	struct segfs_array array = {.dtype = row, .ndim = 1, .shape = {5}, .order = 'C'};
	struct segfs_slots_info info = {.row = UNTOUCHED};
	const char *expected = described[_i].text;
	char text[128];

	ck_assert_int_eq(segfs_slots_read(&array, &info), expected ? 0 : -EINVAL);
	if (!expected) {
		ck_assert_uint_eq(info.row, UNTOUCHED);
		return;
	}
	for (size_t size = 0; size < sizeof(text); size++) {
		ck_assert_uint_eq(segfs_slots_info_format(&info, text, size), strlen(expected));
		ck_assert(size == 0 || !strncmp(text, expected, size - 1));
	}
	ck_assert_str_eq(text, expected);
	array.offset = 64;
	ck_assert_int_eq(segfs_slots_read(&array, &info), -EINVAL);
	array.offset = 0;
	array.ndim = 2;
	ck_assert_int_eq(segfs_slots_read(&array, &info), -EINVAL);
}
END_TEST

START_TEST(row_of_unpadded_array_is_none)
{
	DTYPE *element = dtype_of("<f8");
	struct segfs_array array = {.dtype = element, .ndim = 1, .shape = {3}, .order = 'C'};

	ck_assert_ptr_null(segfs_slots_row(&array, &array, 0));
}
END_TEST

/* Workers that each count in their row disturb nobody else's. */
START_TEST(workers_keep_to_their_rows)
{
	enum { WORKERS = 4, COUNT = 100000 };
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	DTYPE *element = dtype_of("<u8");
	struct segfs_segment segment;
	pid_t pids[WORKERS];
	void *file;

	ck_assert_int_eq(segfs_slots_format(fd, element, NULL, 0, WORKERS), 0);
	ck_assert_int_eq(segfs_segment_read(fd, &segment), 0);
	file = mmap(NULL, segment.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(file, MAP_FAILED);
	for (uint64_t i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			volatile uint64_t *row = segfs_slots_row(&segment.array, file, i);

			while (*row < COUNT + i)
				(*row)++;
			_exit(0);
		}
	}
	for (uint64_t i = 0; i < WORKERS; i++) {
		ck_assert_int_eq(waitpid(pids[i], NULL, 0), pids[i]);
		ck_assert_uint_eq(*(uint64_t *)segfs_slots_row(&segment.array, file, i), COUNT + i);
	}
	segfs_segment_clear(&segment);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("slots");
	TCase *tc = tcase_create("slots");

	tcase_add_loop_test(tc, dtype_is_padded_to_two_lines, 0, COUNT_OF(rows));
	tcase_add_loop_test(tc, dtype_refused_fails_untouched, 0, COUNT_OF(refused));
	tcase_add_test(tc, format_makes_an_ordinary_segment);
	tcase_add_test(tc, format_failed_leaves_nothing);
	tcase_add_loop_test(tc, format_does_not_go_by_what_was_set_before, 0, 3);
	tcase_add_test(tc, row_is_where_numpy_has_it);
	tcase_add_loop_test(tc, read_tells_slots_from_other_arrays, 0, COUNT_OF(described));
	tcase_add_test(tc, row_of_unpadded_array_is_none);
	tcase_add_test(tc, workers_keep_to_their_rows);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
