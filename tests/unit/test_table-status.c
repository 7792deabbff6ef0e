/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <segfs/table.h>

#include "bounded.h"
#include "child.h"
#include "suite.h"
#include "table_on_tmpfs.h"

#define STATUS SEGFS_CLEANUP(segfs_table_status_clear) struct segfs_table_status

static uint64_t seed = 4711;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

START_TEST(status_has_the_values_and_how_often_each_was_written)
{
	SEGFS_CLOSE int fd = table_file(RECORD), again = open_again(fd, O_RDONLY);
	TABLE *table = open_table(fd);
	STATUS status = {};
	struct record record;
	char text[128];

	write_u64(table, B, 7);
	write_u64(table, B, 8);
	write_u64(table, C, 9);
	ck_assert_int_eq(segfs_table_status(again, sizeof(record), &status), 0);
	ck_assert_uint_eq(status.n_fields, 5);
	ck_assert_uint_eq(status.counts[A], 0);
	ck_assert_uint_eq(status.counts[B], 2);
	ck_assert_uint_eq(status.counts[C], 1);
	ck_assert_uint_eq(status.dtype->itemsize, sizeof(record));
	memcpy(&record, status.record, sizeof(record));
	ck_assert(record.a == 0 && record.b == 8 && record.c == 9 && record.padding[2] == 0);
	segfs_table_status_format(&status, text, sizeof(text));
	ck_assert_str_eq(text, "fields 5 record 228 writes 3 snapshots 0");
}
END_TEST

START_TEST(status_leaves_out_a_record_that_is_too_large)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	STATUS status = {};

	ck_assert_int_eq(segfs_table_status(fd, sizeof(struct record) - 1, &status), 0);
	ck_assert_ptr_null(status.record);
	ck_assert_uint_eq(status.counts[A], 0);
}
END_TEST

START_TEST(status_of_a_file_cut_anywhere_fails_untouched)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	struct segfs_table_status status = {.n_fields = UNTOUCHED};

	for (off_t size = lseek(fd, 0, SEEK_END) - 1; size >= 0; size -= size > 100 ? 61 : 1) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(segfs_table_status(fd, SIZE_MAX, &status), -EINVAL);
	}
	ck_assert_uint_eq(status.n_fields, UNTOUCHED);
}
END_TEST

/* The words that change while a table is in use can be anything. */
START_TEST(status_of_random_states_is_some_value)
{
	SEGFS_CLOSE int fd = table_file(RECORD);

	for (int i = 0; i < 2000; i++) {
		size_t field = draw() % 5, at = SEGFS_LINE + draw() % SEGFS_LINE;
		struct segfs_table_status status;
		uint8_t byte = (uint8_t)draw();

		ck_assert_int_eq(pwrite(fd, &byte, 1,
					(off_t)(HEADER + field * sizeof(struct segfs_layout_field) + at)),
				 1);
		ck_assert_int_eq(segfs_table_status(fd, SIZE_MAX, &status), 0);
		segfs_table_status_clear(&status);
	}
}
END_TEST

static void scribble(int fd)
{
	uint8_t *file = (uint8_t *)map(fd);
	size_t size = (size_t)lseek(fd, 0, SEEK_END);

	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		file[draw() % size] = (uint8_t)draw();
}

START_TEST(status_while_all_bytes_change_is_safe)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	pid_t scribbler = child(fd, scribble);

	for (int i = 0; i < 20000; i++) {
		struct segfs_table_status status;

		if (segfs_table_status(fd, 1 << 20, &status) == 0)
			segfs_table_status_clear(&status);
	}
	end(scribbler);
}
END_TEST

/* `wide` holds one number, and `b` follows `a`; with a pause now and then, in which a look succeeds. Nothing
 * is asserted: killed, it would be cut short in what it tells Check. */
static void write_all(int fd)
{
	struct segfs_table *table;
	uint64_t wide[N_WIDE];

	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	table = open_table(fd);
	for (uint64_t n = 1;; n++) {
		for (size_t i = 0; i < N_WIDE; i++)
			wide[i] = n;
		segfs_table_write(table, A, &n, -1);
		segfs_table_write(table, WIDE, wide, -1);
		segfs_table_write(table, B, &n, -1);
		if (n % 100 == 0)
			usleep(100);
	}
}

START_TEST(status_under_a_writer_is_of_one_moment)
{
	SEGFS_CLOSE int fd = table_file(RECORD);
	pid_t writer = child(fd, write_all);

	for (int n = 0; n < 300;) {
		struct segfs_table_status status;
		struct record record;
		int r = segfs_table_status(fd, sizeof(record), &status);

		if (r == -EAGAIN)
			continue;
		ck_assert_int_eq(r, 0);
		memcpy(&record, status.record, sizeof(record));
		ck_assert(record.a == status.counts[A] && record.b == status.counts[B]);
		for (size_t i = 0; i < N_WIDE; i++)
			ck_assert_uint_eq(record.wide[i], status.counts[WIDE]);
		ck_assert(record.b <= record.wide[0] && record.wide[0] <= record.a &&
			  record.a <= record.b + 1);
		segfs_table_status_clear(&status);
		n++;
	}
	end(writer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("table-status");
	TCase *tc = tcase_create("table-status");

	tcase_add_test(tc, status_has_the_values_and_how_often_each_was_written);
	tcase_add_test(tc, status_leaves_out_a_record_that_is_too_large);
	tcase_add_test(tc, status_of_a_file_cut_anywhere_fails_untouched);
	tcase_add_test(tc, status_of_random_states_is_some_value);
	tcase_add_test(tc, status_while_all_bytes_change_is_safe);
	tcase_add_test(tc, status_under_a_writer_is_of_one_moment);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
