/* SPDX-License-Identifier: MIT */
#include <segfs/table.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "atomics.h"
#include "bounded.h"
#include "child.h"
#include "suite.h"
#include "table_on_tmpfs.h"
#include "util.h"

/* ------------------------------------------------------------------------------------------------------------
 * Format and open.
 */
START_TEST(format_sizes_reserves_and_zeroes)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct record record, zero = {0};
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 8192 + 5 * 128 + 4 * (64 + 64 + 64 + 192 + 64));
	ck_assert_int_ge(st.st_blocks * 512, st.st_size);
	ck_assert_int_eq(segfs_table_snapshot(table, &record, 0), 0);
	ck_assert_mem_eq(&record, &zero, sizeof(record));
}
END_TEST

static const struct {
	const char *dtype;
	int error;
} refused[] = {
	{"<f8", -EINVAL},
	{"[('', '|V8')]", -EINVAL},
	{"[('a', '|S0')]", -EINVAL},
	{"[('a', '<f8', (2, 0))]", -EINVAL},
	{"[('a23456789012345678901234567890123', '<f8')]", -ENAMETOOLONG},
};

START_TEST(format_refused_leaves_file_empty)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(format(fd, refused[_i].dtype), refused[_i].error);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(format_refuses_a_dtype_that_is_too_long)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	char text[8192] = "[";

	for (int i = 0; i < 200; i++)
		sprintf(text + strlen(text), "%s('field_%03d', '<f4')", i ? ", " : "", i);
	strcat(text, "]");
	ck_assert_int_eq(format(fd, text), -EMSGSIZE);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(format_refuses_a_file_with_bytes)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);

	ck_assert_int_eq(format(fd, RECORD), -EEXIST);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 1);
}
END_TEST

START_TEST(format_without_room_leaves_file_empty)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	struct rlimit before, limit;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){4096, before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(format(fd, RECORD), -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(format_name_of_32_bytes_is_found)
{
	SEGFS_CLOSE int fd = table_file("[('a', '<f8'), ('b2345678901234567890123456789012', '<f8')]");
	TABLE *table = open_table(fd);

	ck_assert_int_eq(segfs_table_find(table, "b2345678901234567890123456789012"), 1);
	ck_assert_int_eq(segfs_table_find(table, "b234567890123456789012345678901"), -ENOENT);
}
END_TEST

START_TEST(open_what_is_no_table_fails_untouched)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("\x93NUMPY", 6), empty = file_on_tmpfs("", 0);
	struct segfs_table *table = (struct segfs_table *)UNTOUCHED;

	ck_assert_int_eq(segfs_table_open(fd, &table), -EINVAL);
	ck_assert_int_eq(segfs_table_open(empty, &table), -EINVAL);
	ck_assert_int_eq(segfs_table_open(-1, &table), -EBADF);
	ck_assert_ptr_eq(table, (void *)UNTOUCHED);
}
END_TEST

START_TEST(open_cut_anywhere_fails)
{
	SEGFS_CLOSE int fd = table_file("[('a', '<f8'), ('b', '<f8', (9,))]");
	struct segfs_table *table;

	for (off_t size = lseek(fd, 0, SEEK_END) - 1; size >= 0; size -= size > HEADER ? 1 : 17) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(segfs_table_open(fd, &table), -EINVAL);
	}
}
END_TEST

START_TEST(field_says_where_it_is)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct segfs_table_field field = {.size = UNTOUCHED};

	ck_assert_int_eq(segfs_table_field(table, 5, &field), -EINVAL);
	ck_assert_uint_eq(field.size, UNTOUCHED);
	ck_assert_int_eq(segfs_table_field(table, NESTED, &field), 0);
	ck_assert_str_eq(field.name, "nested");
	ck_assert_uint_eq(field.size, 9);
	ck_assert_uint_eq(field.offset, offsetof(struct record, x));
	ck_assert_int_eq(segfs_table_find(table, "nested"), NESTED);
	ck_assert_int_eq(segfs_table_find(table, "x"), -ENOENT);
	ck_assert_int_eq(segfs_table_find(table, ""), -ENOENT);
	ck_assert_uint_eq(segfs_table_dtype(table)->itemsize, sizeof(struct record));
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * One process.
 */
START_TEST(read_gives_what_was_written_and_its_number)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd), *other = open_table(fd);
	uint64_t value, count;

	for (uint64_t i = 0; i < 20; i++) {
		ck_assert_int_eq(segfs_table_read(other, B, &value, &count), 0);
		ck_assert_uint_eq(value, i * 3);
		ck_assert_uint_eq(count, i);
		write_u64(table, B, (i + 1) * 3);
	}
	ck_assert_uint_eq(read_u64(other, A), 0);
}
END_TEST

START_TEST(snapshot_lays_out_as_the_dtype)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	const char nested[9] = {7, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x40};
	struct record record;

	write_u64(table, A, 1);
	write_u64(table, C, 3);
	ck_assert_int_eq(segfs_table_write(table, NESTED, nested, 0), 0);
	memset(&record, 0xff, sizeof(record));
	ck_assert_int_eq(segfs_table_snapshot(table, &record, 0), 0);
	ck_assert_uint_eq(record.a, 1);
	ck_assert_uint_eq(record.b, 0);
	ck_assert_uint_eq(record.c, 3);
	ck_assert_mem_eq(record.padding, "\0\0\0", 3);
	ck_assert_uint_eq(record.x, 7);
	ck_assert(record.y[0] == 1 && record.y[1] == 2);
}
END_TEST

START_TEST(large_values_take_memory)
{
	SEGFS_CLOSE int fd = table_file("[('a', '<u8'), ('big', '|u1', (100001,))]");
	TABLE *table = open_table(fd);
	static unsigned char in[100001], out[8 + 100001];
	uint64_t count;

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 31);
	ck_assert_int_eq(segfs_table_write(table, 1, in, 0), 0);
	ck_assert_int_eq(segfs_table_read(table, 1, out, &count), 0);
	ck_assert_mem_eq(out, in, sizeof(in));
	ck_assert_int_eq(segfs_table_snapshot(table, out, 0), 0);
	ck_assert_mem_eq(out + 8, in, sizeof(in));
}
END_TEST

START_TEST(no_such_field_fails_untouched)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	uint64_t value = UNTOUCHED, count = UNTOUCHED;

	ck_assert_int_eq(segfs_table_read(table, 5, &value, &count), -EINVAL);
	ck_assert_int_eq(segfs_table_write(table, 5, &value, 0), -EINVAL);
	ck_assert_uint_eq(value, UNTOUCHED);
	ck_assert_uint_eq(count, UNTOUCHED);
}
END_TEST

START_TEST(read_only_reads_and_refuses_writing)
{
	SEGFS_CLOSE int fd = table_file(RECORD), reading = open_again(fd, O_RDONLY);
	TABLE *table = open_table(fd), *reader = open_table(reading);
	struct record record;

	write_u64(table, A, 5);
	ck_assert_uint_eq(read_u64(reader, A), 5);
	ck_assert_int_eq(segfs_table_snapshot(reader, &record, 0), 0);
	ck_assert_uint_eq(record.a, 5);
	ck_assert_int_eq(segfs_table_write(reader, A, &record, 0), -EACCES);
}
END_TEST

/* Age odd: somebody was killed while it took a snapshot. The next writer helps, and what is read is the same.
 */
START_TEST(write_helps_a_snapshot_to_its_end)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct segfs_layout_table *shared = map(fd);
	struct record record;

	for (uint64_t i = 1; i < 50; i++) {
		for (uint64_t n = 0; n < i % 5; n++)
			write_u64(table, B, i * 10 + n);
		shared->age++;
		write_u64(table, A, i);
		ck_assert_uint_eq(shared->age, 2 * i);
		ck_assert_uint_eq(read_u64(table, A), i);
		ck_assert_int_eq(segfs_table_snapshot(table, &record, 0), 0);
		ck_assert_uint_eq(record.a, i);
		ck_assert_uint_eq(record.b, read_u64(table, B));
	}
}
END_TEST

START_TEST(write_to_a_held_field_times_out)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct segfs_layout_table *shared = map(fd);
	uint64_t value = 7;

	shared->fields[B].owner = 1;
	ck_assert_int_eq(segfs_table_write(table, B, &value, 0), -ETIMEDOUT);
	ck_assert_int_eq(segfs_table_write(table, B, &value, 20 * MS), -ETIMEDOUT);
	ck_assert_uint_eq(read_u64(table, B), 0);
	ck_assert_int_eq(segfs_table_write(table, A, &value, 0), 0);
	ck_assert_uint_eq(read_u64(table, A), 7);
}
END_TEST

START_TEST(write_after_a_death_is_told)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct segfs_layout_table *shared = map(fd);
	uint64_t value = 7;

	shared->fields[B].owner = SEGFS_OWNER_DIED;
	ck_assert_int_eq(segfs_table_write(table, B, &value, 0), 1);
	ck_assert_int_eq(segfs_table_write(table, B, &value, 0), 0);
	ck_assert_uint_eq(shared->fields[B].owner, 0);
	ck_assert_uint_eq(read_u64(table, B), 7);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Strangers: whatever is in the file, calls return.
 */

/* Every call once; nothing is expected but that they return. */
static void use(struct segfs_table *table)
{
	static char bytes[4096], record[4096];
	struct segfs_table_field field;
	uint64_t count;

	for (unsigned i = 0; segfs_table_field(table, i, &field) == 0; i++) {
		segfs_table_write(table, i, bytes, 0);
		segfs_table_read(table, i, bytes, &count);
	}
	segfs_table_snapshot(table, record, 0);
}

/* Bytes of which each value but one is wrong. Letters of the dtype may mean the same: quotes, for one. */
static bool is_constant(size_t at)
{
	size_t in_field = (at - HEADER) % sizeof(struct segfs_layout_field);

	if (at < HEADER)
		return at < 24;
	return in_field >= SEGFS_TABLE_NAME + 16 && in_field < SEGFS_LINE;
}

/* Behind the dtype's text and among the member slots one place is like the next. */
static bool is_dull(size_t at)
{
	return at >= 192 + strlen(RECORD) + 2 && at < HEADER && at % 61;
}

static void open_with_byte(int fd, unsigned char *byte, unsigned char value, bool must_fail)
{
	TABLE *table = NULL;
	unsigned char saved = *byte;
	int r;

	*byte = value;
	r = segfs_table_open(fd, &table);
	ck_assert(r == 0 ? !must_fail : r == -EINVAL);
	if (r == 0)
		use(table);
	*byte = saved;
}

START_TEST(open_after_any_byte_changed_is_safe)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	unsigned char *file = (unsigned char *)map(fd);
	static const unsigned char flips[] = {1, 0x80, 0xff};

	for (size_t at = 0; at < HEADER + 5 * sizeof(struct segfs_layout_field); at++) {
		for (size_t i = 0; !is_dull(at) && i < sizeof(flips); i++)
			open_with_byte(fd, &file[at], file[at] ^ flips[i], is_constant(at));
	}
}
END_TEST

/* Numbers chosen to overflow and to overlap. */
static const uint64_t numbers[] = {
	0,
	1,
	64,
	128,
	4096,
	HEADER + 640,
	HEADER + 640 + 64,
	HEADER + 640 + 256,
	1 << 20,
	UINT32_MAX,
	UINT64_MAX,
	UINT64_MAX - 63,
	UINT64_MAX / 4 + 1,
	(UINT64_MAX / 4 + 1) & ~63ULL,
	INT64_MAX,
	INT64_MIN,
};

START_TEST(open_with_any_entry_is_safe)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	struct segfs_layout_table *shared = map(fd);
	struct segfs_layout_field saved = shared->fields[_i];

	for (size_t i = 0; i < COUNT_OF(numbers) * COUNT_OF(numbers); i++) {
		TABLE *table = NULL;

		shared->fields[_i].offset = numbers[i % COUNT_OF(numbers)];
		shared->fields[_i].stride = numbers[i / COUNT_OF(numbers)];
		if (segfs_table_open(fd, &table) == 0)
			use(table);
		shared->fields[_i] = saved;
		shared->fields[_i].size = shared->fields[_i].at = numbers[i % COUNT_OF(numbers)];
		if (i < COUNT_OF(numbers) && numbers[i] != saved.size)
			ck_assert_int_eq(segfs_table_open(fd, &table), -EINVAL);
		shared->fields[_i] = saved;
	}
}
END_TEST

START_TEST(open_with_values_upon_each_other_fails)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	struct segfs_layout_table *shared = map(fd);
	struct segfs_table *table;

	shared->fields[A].offset = shared->fields[WIDE].offset + 64;
	ck_assert_int_eq(segfs_table_open(fd, &table), -EINVAL);
	shared->fields[A].offset = HEADER;
	ck_assert_int_eq(segfs_table_open(fd, &table), -EINVAL);
}
END_TEST

static void *scribble(void *argument)
{
	struct {
		unsigned char *file;
		size_t size;
		uint32_t stop;
	} *job = argument;
	unsigned seed = 1;

	while (!word_load_relaxed(&job->stop)) {
		size_t at = (size_t)rand_r(&seed) % job->size;

		job->file[at] = (unsigned char)rand_r(&seed);
	}
	return NULL;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

START_TEST(use_while_all_bytes_change_is_safe)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	TABLE *table = open_table(fd);
	struct {
		unsigned char *file;
		size_t size;
		uint32_t stop;
	} job = {
		.file = (unsigned char *)map(fd),
		.size = (size_t)lseek(fd, 0, SEEK_END),
	};
	double end = seconds() + 1;
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &job), 0);
	while (seconds() < end) {
		TABLE *another = NULL;

		use(table);
		if (segfs_table_open(fd, &another) == 0)
			use(another);
	}
	word_store_relaxed(&job.stop, 1);
	pthread_join(thread, NULL);
}
END_TEST

static TCase *alone(void)
{
	TCase *tc = tcase_create("alone");

	tcase_add_test(tc, format_sizes_reserves_and_zeroes);
	tcase_add_loop_test(tc, format_refused_leaves_file_empty, 0, COUNT_OF(refused));
	tcase_add_test(tc, format_refuses_a_dtype_that_is_too_long);
	tcase_add_test(tc, format_refuses_a_file_with_bytes);
	tcase_add_test(tc, format_without_room_leaves_file_empty);
	tcase_add_test(tc, format_name_of_32_bytes_is_found);
	tcase_add_test(tc, open_what_is_no_table_fails_untouched);
	tcase_add_test(tc, open_cut_anywhere_fails);
	tcase_add_test(tc, field_says_where_it_is);
	tcase_add_test(tc, read_gives_what_was_written_and_its_number);
	tcase_add_test(tc, snapshot_lays_out_as_the_dtype);
	tcase_add_test(tc, large_values_take_memory);
	tcase_add_test(tc, no_such_field_fails_untouched);
	tcase_add_test(tc, read_only_reads_and_refuses_writing);
	tcase_add_test(tc, write_helps_a_snapshot_to_its_end);
	tcase_add_test(tc, write_to_a_held_field_times_out);
	tcase_add_test(tc, write_after_a_death_is_told);
	tcase_set_timeout(tc, 60);
	return tc;
}

static TCase *strangers(void)
{
	TCase *tc = tcase_create("strangers");

	tcase_add_test(tc, open_after_any_byte_changed_is_safe);
	tcase_add_loop_test(tc, open_with_any_entry_is_safe, 0, 5);
	tcase_add_test(tc, open_with_values_upon_each_other_fails);
	tcase_add_test(tc, use_while_all_bytes_change_is_safe);
	tcase_set_timeout(tc, 100);
	return tc;
}

int main(void)
{
	Suite *suite = suite_create("table");

	suite_add_tcase(suite, alone());
	suite_add_tcase(suite, strangers());
	return run_suite(suite);
}
