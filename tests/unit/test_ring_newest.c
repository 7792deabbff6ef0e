/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <segfs/ring.h>
#include <string.h>

#include "bounded.h"
#include "child.h"
#include "ring_frames.h"
#include "suite.h"
#include "util.h"

#define INFO_CLEAR SEGFS_CLEANUP(segfs_ring_info_clear) struct segfs_ring_info

enum { AT_BEGUN = offsetof(struct segfs_layout_ring, begun) };
enum { AT_COMMITTED = offsetof(struct segfs_layout_ring, committed) };

static struct segfs_ring_info info_of(int fd)
{
	struct segfs_ring_info info;

	ck_assert_int_eq(segfs_ring_read(fd, &info), 0);
	return info;
}

static void put(int fd, off_t at, uint64_t value)
{
	ck_assert_int_eq(pwrite(fd, &value, sizeof(value), at), sizeof(value));
}

START_TEST(newest_is_the_last_committed)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 3, (unsigned)_i), again = open_again(fd, O_RDONLY);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	INFO_CLEAR info = info_of(again);
	uint64_t frame[PAGE], number = UNTOUCHED;
	void *reserved;

	ck_assert_int_eq(segfs_ring_newest(again, &info, frame, &number), -ENODATA);
	ck_assert_uint_eq(number, UNTOUCHED);
	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	for (uint64_t i = 0; i < 10; i++) {
		ck_assert_int_eq(ring_write(ring, 1), 1);
		ck_assert_int_eq(segfs_ring_newest(again, &info, frame, &number), 0);
		ck_assert_uint_eq(number, i);
		ck_assert(frame_is_whole(frame, PAGE, i));
	}
	ck_assert_int_eq(segfs_ring_reserve(ring, 2, 0, 0, &reserved), 2);
	memset(reserved, 0, sizeof(frame));
	ck_assert_int_eq(segfs_ring_newest(again, &info, frame, &number), 0);
	ck_assert_uint_eq(number, 9);
	ck_assert(frame_is_whole(frame, PAGE, 9));
}
END_TEST

START_TEST(newest_that_is_being_overwritten_is_eagain)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 3, SEGFS_RING_OVERWRITE);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	INFO_CLEAR info = info_of(fd);
	uint64_t frame[PAGE], number = UNTOUCHED;
	void *reserved;

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(ring_write(ring, 3), 3);
	ck_assert_int_eq(segfs_ring_reserve(ring, 3, 0, 0, &reserved), 3);
	ck_assert_int_eq(segfs_ring_newest(fd, &info, frame, &number), -EAGAIN);
	ck_assert_uint_eq(number, UNTOUCHED);
}
END_TEST

static const struct {
	uint64_t committed, begun;
} nonsense[] = {
	{UINT64_MAX, UINT64_MAX}, {INT64_MAX + 1ull, INT64_MAX}, {5, 4}, {1, 0}, {1, UINT64_MAX},
};

START_TEST(newest_by_counters_that_make_no_sense_is_euclean)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 3, SEGFS_RING_OVERWRITE);
	INFO_CLEAR info = info_of(fd);
	uint64_t frame[PAGE], number = UNTOUCHED;

	put(fd, AT_COMMITTED, nonsense[_i].committed);
	put(fd, AT_BEGUN, nonsense[_i].begun);
	ck_assert_int_eq(segfs_ring_newest(fd, &info, frame, &number), -EUCLEAN);
	ck_assert_uint_eq(number, UNTOUCHED);
}
END_TEST

/* The header is as it was, the file is not. */
START_TEST(newest_of_a_file_cut_anywhere_is_estale)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 2, SEGFS_RING_BLOCK);
	INFO_CLEAR info = info_of(fd);
	uint64_t frame[PAGE], number = UNTOUCHED;

	put(fd, AT_BEGUN, 2);
	put(fd, AT_COMMITTED, 2);
	ck_assert_int_eq(segfs_ring_newest(fd, &info, frame, &number), 0);
	number = UNTOUCHED;
	for (off_t size = lseek(fd, 0, SEEK_END) - 1; size >= 0; size -= size > 100 ? 61 : 1) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(segfs_ring_newest(fd, &info, frame, &number), -ESTALE);
	}
	ck_assert_uint_eq(number, UNTOUCHED);
}
END_TEST

static void produce(int fd)
{
	struct segfs_ring *ring;

	if (fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ring = ring_open(fd);
	segfs_ring_attach(ring);
	for (;;)
		ring_write(ring, 1);
}

/* Enough that were there to be had, however slow this process: each is whole. */
START_TEST(newest_of_a_producer_at_full_speed_is_whole)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 16, (unsigned)_i);
	INFO_CLEAR info = info_of(fd);
	pid_t producer = child(fd, produce);
	uint64_t frame[PAGE], number, last = 0;

	for (int n = 0; n < 1000;) {
		int r = segfs_ring_newest(fd, &info, frame, &number);

		if (r == -EAGAIN || r == -ENODATA)
			continue;
		ck_assert_int_eq(r, 0);
		ck_assert_uint_ge(number, last);
		ck_assert(frame_is_whole(frame, PAGE, number));
		last = number;
		n++;
	}
	end(producer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring-newest");
	TCase *tc = tcase_create("ring-newest");

	tcase_add_loop_test(tc, newest_is_the_last_committed, 0, 2);
	tcase_add_test(tc, newest_that_is_being_overwritten_is_eagain);
	tcase_add_loop_test(tc, newest_by_counters_that_make_no_sense_is_euclean, 0, COUNT_OF(nonsense));
	tcase_add_test(tc, newest_of_a_file_cut_anywhere_is_estale);
	tcase_add_loop_test(tc, newest_of_a_producer_at_full_speed_is_whole, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
