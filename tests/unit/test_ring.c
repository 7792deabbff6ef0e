/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <segfs/ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "bounded.h"
#include "child.h"
#include "ring_frames.h"
#include "suite.h"
#include "util.h"

static struct segfs_ring *open_read_only(int fd)
{
	SEGFS_CLOSE int again = open_again(fd, O_RDONLY);

	return ring_open(again);
}

/* ------------------------------------------------------------------------------------------------------------
 * Format and open.
 */
START_TEST(format_sizes_and_reserves)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	struct segfs_ring_info info;
	struct stat st;

	ck_assert_int_eq(segfs_ring_format(fd, "float32", (uint64_t[]){3, 5}, 2, 10, SEGFS_RING_BLOCK), 0);
	ck_assert_int_eq(segfs_ring_read(fd, &info), 0);
	ck_assert_uint_eq(info.frame_size, 60);
	ck_assert_uint_eq(info.stride, 64);
	ck_assert_uint_eq(info.capacity, 64);
	ck_assert_uint_eq(info.frame.ndim, 2);
	ck_assert_uint_eq(info.frame.shape[1], 5);
	ck_assert_uint_eq(info.frame.dtype->itemsize, 4);
	ck_assert_uint_eq(info.frame.offset, 16384);
	ck_assert_uint_eq(info.policy, SEGFS_RING_BLOCK);
	segfs_ring_info_clear(&info);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(st.st_size, 16384 + 4096);
	ck_assert_int_ge(st.st_blocks * 512, st.st_size);
}
END_TEST

static const struct {
	uint64_t bytes, capacity, rounded;
} roundings[] = {
	{1, 2, 64},	 {64, 65, 128},	 {65, 2, 32},	     {192, 64, 64}, {192, 65, 128},
	{1024, 7, 8},	 {2048, 3, 4},	 {4096, 2, 2},	     {4096, 3, 3},  {4097, 2, 64},
	{6220800, 3, 4}, {921600, 5, 5}, {4096 * 7, 11, 11},
};

START_TEST(format_rounds_capacity_to_whole_pages)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	struct segfs_ring_info info;

	ck_assert_int_eq(segfs_ring_format(fd, "u1", &roundings[_i].bytes, 1, roundings[_i].capacity, 1), 0);
	ck_assert_int_eq(segfs_ring_read(fd, &info), 0);
	ck_assert_uint_eq(info.capacity, roundings[_i].rounded);
	segfs_ring_info_clear(&info);
}
END_TEST

static const struct {
	const char *dtype;
	unsigned ndim;
	uint64_t shape[9], capacity;
	unsigned policy;
	int expected;
} refused[] = {
	{"nonsense", 1, {4}, 4, 0, -EINVAL},
	{"object", 1, {4}, 4, 0, -EINVAL},
	{"", 1, {4}, 4, 0, -EINVAL},
	{"f4", 1, {0}, 4, 0, -EINVAL},
	{"S0", 1, {4}, 4, 0, -EINVAL},
	{"f4", 9, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 4, 0, -EINVAL},
	{"f4", 1, {4}, 0, 0, -EINVAL},
	{"f4", 1, {4}, 1, 0, -EINVAL},
	{"f4", 1, {4}, 4, 2, -EINVAL},
	{"f4", 1, {UINT64_MAX}, 4, 0, -EOVERFLOW},
	{"f4", 1, {INT64_MAX / 4}, 2, 0, -EOVERFLOW},
	{"u1", 1, {INT64_MAX}, 2, 0, -EOVERFLOW},
	{"f4", 1, {4}, UINT64_MAX, 0, -EOVERFLOW},
	{"f4", 1, {4}, UINT64_MAX / 64, 0, -EOVERFLOW},
};

START_TEST(format_nonsense_leaves_the_file_empty)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(segfs_ring_format(fd, refused[_i].dtype, refused[_i].shape, refused[_i].ndim,
					   refused[_i].capacity, refused[_i].policy),
			 refused[_i].expected);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(format_of_no_empty_file_changes_nothing)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("x", 1);
	uint64_t words = 1;

	ck_assert_int_eq(segfs_ring_format(fd, "u8", &words, 1, 2, 0), -ENOTEMPTY);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 1);
}
END_TEST

START_TEST(format_too_large_for_the_store_is_enospc)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	struct statvfs st;
	uint64_t bytes;

	ck_assert_int_eq(fstatvfs(fd, &st), 0);
	if (st.f_blocks == 0) /* a tmpfs without limit */
		return;
	bytes = (st.f_blocks + 1) * st.f_frsize;
	ck_assert_int_eq(segfs_ring_format(fd, "u1", &bytes, 1, 2, 0), -ENOSPC);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(format_descr_too_long_is_e2big)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("", 0);
	char descr[8192] = "[";

	for (int i = 0; i < 200; i++)
		sprintf(descr + strlen(descr), "%s('field_%03d', '<f4')", i ? ", " : "", i);
	strcat(descr, "]");
	ck_assert_int_eq(segfs_ring_format(fd, descr, NULL, 0, 2, 0), -E2BIG);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
}
END_TEST

START_TEST(open_cut_anywhere_is_no_ring)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 2, SEGFS_RING_BLOCK);
	struct segfs_ring *ring = (struct segfs_ring *)UNTOUCHED;

	for (off_t size = 16384 + 2 * 4096 - 1; size >= 0; size -= size > 200 ? 97 : 1) {
		ck_assert_int_eq(ftruncate(fd, size), 0);
		ck_assert_int_eq(segfs_ring_open(fd, &ring), -EINVAL);
		ck_assert_ptr_eq(ring, (void *)UNTOUCHED);
	}
}
END_TEST

START_TEST(open_for_writing_only_is_eacces)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 2, SEGFS_RING_BLOCK), again = open_again(fd, O_WRONLY);
	struct segfs_ring *ring;

	ck_assert_int_eq(segfs_ring_open(again, &ring), -EACCES);
	ck_assert_int_eq(segfs_ring_open(-1, &ring), -EBADF);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Who may do what.
 */
START_TEST(read_only_handle_follows_and_no_more)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, (unsigned)_i);
	RING_CLOSE struct segfs_ring *writer = ring_open(fd), *reader = open_read_only(fd);
	const void *frames;

	ck_assert_int_eq(segfs_ring_attach(reader), -EROFS);
	ck_assert_int_eq(segfs_ring_join(reader, SEGFS_RING_NEXT), -EROFS);
	ck_assert_int_eq(segfs_ring_follow(reader, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(segfs_ring_follow(reader, SEGFS_RING_NEXT), -EALREADY);
	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	ck_assert_int_eq(ring_write(writer, 1), 1);
	ck_assert_int_eq(segfs_ring_acquire(reader, 1, 4, 0, LATER_NS, &frames, NULL), 1);
	ck_assert(frames_are_whole(reader, frames, 1));
	ck_assert_int_eq(segfs_ring_acquire(reader, 2, 2, 0, SOON_NS, &frames, NULL), -ETIMEDOUT);
	ck_assert_int_eq(segfs_ring_release(reader, 1), 0);
	for (int i = 0; i < 9; i++)
		ck_assert_int_eq(ring_write(writer, 1), 1); /* nobody is waited for */
}
END_TEST

START_TEST(calls_of_who_has_not_come_are_enotconn)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	void *mine = (void *)UNTOUCHED;
	const void *frames = mine;

	ck_assert_int_eq(segfs_ring_reserve(ring, 1, 0, 0, &mine), -ENOTCONN);
	ck_assert_int_eq(segfs_ring_commit(ring, 0), -ENOTCONN);
	ck_assert_int_eq(segfs_ring_detach(ring), -ENOTCONN);
	ck_assert_int_eq(segfs_ring_acquire(ring, 1, 1, 0, 0, &frames, NULL), -ENOTCONN);
	ck_assert_int_eq(segfs_ring_release(ring, 0), -ENOTCONN);
	ck_assert_int_eq(segfs_ring_leave(ring), -ENOTCONN);
	ck_assert_ptr_eq(mine, (void *)UNTOUCHED);
	ck_assert_ptr_eq(frames, (void *)UNTOUCHED);
}
END_TEST

START_TEST(counts_out_of_range_are_einval)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	const void *frames;
	void *mine;

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(segfs_ring_attach(ring), -EALREADY);
	ck_assert_int_eq(segfs_ring_join(ring, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(segfs_ring_join(ring, SEGFS_RING_NEXT), -EALREADY);
	ck_assert_int_eq(segfs_ring_reserve(ring, 0, 0, 0, &mine), -EINVAL);
	ck_assert_int_eq(segfs_ring_reserve(ring, 5, 0, 0, &mine), -EINVAL);
	ck_assert_int_eq(segfs_ring_commit(ring, 1), -EINVAL);
	ck_assert_int_eq(segfs_ring_acquire(ring, 0, 1, 0, 0, &frames, NULL), -EINVAL);
	ck_assert_int_eq(segfs_ring_acquire(ring, 2, 1, 0, 0, &frames, NULL), -EINVAL);
	ck_assert_int_eq(segfs_ring_acquire(ring, 5, 5, 0, 0, &frames, NULL), -EINVAL);
	ck_assert_int_eq(ring_write(ring, 2), 2);
	ck_assert_int_eq(segfs_ring_release(ring, 1), -EINVAL);
	ck_assert_int_eq(segfs_ring_acquire(ring, 1, 9, 0, 0, &frames, NULL), 2);
	ck_assert_int_eq(segfs_ring_release(ring, 3), -EINVAL);
	ck_assert_int_eq(segfs_ring_release(ring, 2), 0);
}
END_TEST

static void attach_and_hold(int fd)
{
	ck_assert_int_ge(segfs_ring_attach(ring_open(fd)), 0);
}

START_TEST(attach_beside_another_is_ebusy)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	pid_t pid = child(fd, attach_and_hold);

	ck_assert_int_eq(segfs_ring_attach(ring), -EBUSY);
	end(pid);
	ck_assert_int_eq(segfs_ring_attach(ring), 1);
	ck_assert_int_eq(segfs_ring_detach(ring), 0);
	ck_assert_int_eq(segfs_ring_attach(ring), 0);
}
END_TEST

START_TEST(join_more_than_there_are_places_is_eusers)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	struct segfs_ring *rings[SEGFS_RING_CONSUMERS + 1];

	for (int i = 0; i <= SEGFS_RING_CONSUMERS; i++) {
		rings[i] = ring_open(fd);
		ck_assert_int_eq(segfs_ring_join(rings[i], SEGFS_RING_NEXT),
				 i < SEGFS_RING_CONSUMERS ? 0 : -EUSERS);
	}
	ck_assert_int_eq(segfs_ring_leave(rings[7]), 0);
	ck_assert_int_eq(segfs_ring_join(rings[SEGFS_RING_CONSUMERS], SEGFS_RING_NEXT), 0);
	for (int i = 0; i <= SEGFS_RING_CONSUMERS; i++)
		segfs_ring_close(rings[i]);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Frames.
 */
START_TEST(views_are_contiguous_across_the_end)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 5, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	const void *frames;
	uint64_t lost = UNTOUCHED;

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(segfs_ring_join(ring, SEGFS_RING_NEXT), 0);
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(ring_write(ring, 3), 3);
		ck_assert_int_eq(segfs_ring_acquire(ring, 3, 3, 0, 0, &frames, &lost), 3);
		ck_assert(frames_are_whole(ring, frames, 3));
		ck_assert_uint_eq(lost, 0);
		ck_assert_int_eq(segfs_ring_release(ring, 3), 0);
	}
	ck_assert_uint_eq(segfs_ring_next_read(ring), 120);
}
END_TEST

START_TEST(window_moves_by_one)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	const void *frames;

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(segfs_ring_join(ring, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(ring_write(ring, 2), 2);
	for (uint64_t i = 0; i < 20; i++) {
		ck_assert_int_eq(ring_write(ring, 1), 1);
		ck_assert_int_eq(segfs_ring_acquire(ring, 3, 3, 0, 0, &frames, NULL), 3);
		ck_assert_uint_eq(segfs_ring_next_read(ring), i);
		ck_assert(frames_are_whole(ring, frames, 3));
		ck_assert_int_eq(segfs_ring_release(ring, 1), 0);
	}
}
END_TEST

START_TEST(commit_of_some_keeps_the_rest_reserved)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	void *first, *again;

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(segfs_ring_reserve(ring, 3, 0, 0, &first), 3);
	ck_assert_int_eq(segfs_ring_reserve(ring, 3, 0, 0, &again), 3);
	ck_assert_ptr_eq(first, again);
	ck_assert_int_eq(segfs_ring_commit(ring, 1), 0);
	ck_assert_int_eq(segfs_ring_reserve(ring, 2, 0, 0, &again), 2);
	ck_assert_ptr_eq(again, (char *)first + 4096);
	ck_assert_uint_eq(segfs_ring_next_write(ring), 1);
}
END_TEST

START_TEST(block_waits_for_the_slowest)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *slow = ring_open(fd), *fast = ring_open(fd), *writer = ring_open(fd);
	const void *frames;
	void *mine = (void *)UNTOUCHED;

	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	ck_assert_int_eq(ring_write(writer, 4), 4);
	ck_assert_int_eq(ring_write(writer, 4), 4); /* nobody has joined */
	ck_assert_int_eq(segfs_ring_join(slow, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(segfs_ring_join(fast, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(ring_write(writer, 3), 3);
	ck_assert_int_eq(segfs_ring_acquire(fast, 1, 4, 0, 0, &frames, NULL), 3);
	ck_assert_int_eq(segfs_ring_release(fast, 3), 0);
	ck_assert_int_eq(ring_write(writer, 4), 1);
	ck_assert_int_eq(segfs_ring_reserve(writer, 1, 0, SOON_NS, &mine), -ETIMEDOUT);
	ck_assert_ptr_eq(mine, (void *)UNTOUCHED);
	ck_assert_int_eq(segfs_ring_acquire(slow, 1, 2, 0, 0, &frames, NULL), 2);
	ck_assert_int_eq(ring_write(writer, 1), -ETIMEDOUT);
	ck_assert_int_eq(segfs_ring_release(slow, 2), 0);
	ck_assert_int_eq(ring_write(writer, 4), 2);
	ck_assert_int_eq(segfs_ring_leave(slow), 0);
	ck_assert_int_eq(ring_write(writer, 4), 1);
}
END_TEST

START_TEST(overwrite_tells_what_was_lost)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 8, SEGFS_RING_OVERWRITE);
	RING_CLOSE struct segfs_ring *reader = ring_open(fd), *writer = ring_open(fd);
	struct segfs_ring_status status;
	const void *frames;
	uint64_t lost;

	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	ck_assert_int_eq(segfs_ring_join(reader, SEGFS_RING_NEXT), 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(ring_write(writer, 1), 1);
	ck_assert_int_eq(segfs_ring_acquire(reader, 1, 8, 0, 0, &frames, &lost), 4);
	ck_assert_uint_eq(lost, 96);
	ck_assert(frames_are_whole(reader, frames, 4));
	ck_assert_int_eq(segfs_ring_release(reader, 1), 0);
	ck_assert_int_eq(segfs_ring_acquire(reader, 1, 8, 0, 0, &frames, &lost), 3);
	ck_assert_uint_eq(lost, 0);
	ck_assert_int_eq(segfs_ring_status(fd, &status), 0);
	ck_assert_uint_eq(status.consumers[0].lost, 96);
	ck_assert_uint_eq(status.consumers[0].lag, 3);
	segfs_ring_info_clear(&status.info);
}
END_TEST

START_TEST(release_tells_what_was_overwritten)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_OVERWRITE);
	RING_CLOSE struct segfs_ring *reader = ring_open(fd), *writer = ring_open(fd);
	const void *frames;
	uint64_t lost;
	void *mine;

	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	ck_assert_int_eq(segfs_ring_join(reader, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(ring_write(writer, 4), 4);
	ck_assert_int_eq(segfs_ring_acquire(reader, 4, 4, 0, 0, &frames, &lost), 4);
	ck_assert_int_eq(segfs_ring_reserve(writer, 2, 0, 0, &mine), 2);
	ck_assert_int_eq(segfs_ring_release(reader, 3), 2); /* begun is enough */
	ck_assert_int_eq(segfs_ring_acquire(reader, 1, 1, 0, 0, &frames, &lost), 1);
	ck_assert_uint_eq(lost, 0);
	ck_assert(frames_are_whole(reader, frames, 1));
	ck_assert_int_eq(segfs_ring_release(reader, 1), 0);
}
END_TEST

START_TEST(joining_begins_where_asked)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, (unsigned)_i);
	RING_CLOSE struct segfs_ring *reader = ring_open(fd), *writer = ring_open(fd);

	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	for (uint64_t written = 0; written < 10; written++) {
		uint64_t expected[] = {written, written > 0 ? written - 1 : 0, written > 4 ? written - 4 : 0};

		for (unsigned start = SEGFS_RING_NEXT; start <= SEGFS_RING_OLDEST; start++) {
			ck_assert_int_eq(segfs_ring_join(reader, start), 0);
			ck_assert_uint_eq(segfs_ring_next_read(reader), expected[start]);
			ck_assert_int_eq(segfs_ring_leave(reader), 0);
			ck_assert_int_eq(segfs_ring_follow(reader, start), 0);
			ck_assert_uint_eq(segfs_ring_next_read(reader), expected[start]);
			ck_assert_int_eq(segfs_ring_leave(reader), 0);
		}
		ck_assert_int_eq(ring_write(writer, 1), 1);
	}
}
END_TEST

START_TEST(joined_at_the_oldest_is_waited_for)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *reader = ring_open(fd), *writer = ring_open(fd);
	const void *frames;
	uint64_t lost;

	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	ck_assert_int_eq(ring_write(writer, 1), 1); /* it has looked: there is room for 3 more */
	ck_assert_int_eq(ring_write(writer, 3), 3);
	ck_assert_int_eq(segfs_ring_join(reader, SEGFS_RING_OLDEST), 0);
	ck_assert_int_eq(ring_write(writer, 1), -ETIMEDOUT);
	ck_assert_int_eq(segfs_ring_acquire(reader, 4, 4, 0, 0, &frames, &lost), 4);
	ck_assert_uint_eq(lost, 0);
	ck_assert_int_eq(segfs_ring_release(reader, 4), 0);
	ck_assert_int_eq(ring_write(writer, 4), 4);
}
END_TEST

START_TEST(waits_end_in_time)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 2, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	int64_t begin = now_ns();
	const void *frames = (void *)UNTOUCHED;
	uint64_t lost = UNTOUCHED;
	void *mine;

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(segfs_ring_join(ring, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(segfs_ring_acquire(ring, 1, 1, LATER_NS, 3 * SOON_NS, &frames, &lost), -ETIMEDOUT);
	ck_assert_int_eq(segfs_ring_acquire(ring, 1, 1, 0, 3 * SOON_NS, &frames, &lost), -ETIMEDOUT);
	ck_assert_int_eq(ring_write(ring, 2), 2);
	ck_assert_int_eq(segfs_ring_reserve(ring, 1, LATER_NS, 3 * SOON_NS, &mine), -ETIMEDOUT);
	ck_assert_int_eq(segfs_ring_reserve(ring, 1, 0, 3 * SOON_NS, &mine), -ETIMEDOUT);
	ck_assert_int_ge(now_ns() - begin, 12 * SOON_NS);
	ck_assert_ptr_eq(frames, (void *)UNTOUCHED);
	ck_assert_uint_eq(lost, UNTOUCHED);
}
END_TEST

/* ------------------------------------------------------------------------------------------------------------
 * Status.
 */
START_TEST(status_of_a_read_only_file_says_who_is_there)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK), again = open_again(fd, O_RDONLY);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd), *other = ring_open(fd);
	struct segfs_ring_status status;
	char text[256], expected[256];

	ck_assert_int_eq(segfs_ring_status(again, &status), 0);
	segfs_ring_status_format(&status, text, sizeof(text));
	ck_assert_str_eq(text, "block capacity 4 committed 0 producer none consumers none");
	segfs_ring_info_clear(&status.info);

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(segfs_ring_join(ring, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(ring_write(ring, 3), 3);
	ck_assert_int_eq(segfs_ring_join(other, SEGFS_RING_NEXT), 0);
	ck_assert_int_eq(segfs_ring_status(again, &status), 0);
	ck_assert_uint_ne(status.producer, 0);
	ck_assert_uint_eq(status.epoch, 1);
	ck_assert_uint_eq(status.n_consumers, 2);
	snprintf(expected, sizeof(expected),
		 "block capacity 4 committed 3 producer %u consumers %u lag 3 lost 0,%u lag 0 lost 0",
		 status.producer, status.consumers[0].consumer, status.consumers[1].consumer);
	ck_assert_uint_eq(segfs_ring_status_format(&status, text, sizeof(text)), strlen(expected));
	ck_assert_str_eq(text, expected);
	segfs_ring_info_clear(&status.info);
}
END_TEST

START_TEST(status_of_no_ring_is_einval_and_untouched)
{
	SEGFS_CLOSE int fd = file_on_tmpfs("hello", 5);
	struct segfs_ring_status status = {.committed = UNTOUCHED};

	ck_assert_int_eq(segfs_ring_status(fd, &status), -EINVAL);
	ck_assert_uint_eq(status.committed, UNTOUCHED);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring");
	TCase *tc = tcase_create("ring");

	tcase_add_test(tc, format_sizes_and_reserves);
	tcase_add_loop_test(tc, format_rounds_capacity_to_whole_pages, 0, COUNT_OF(roundings));
	tcase_add_loop_test(tc, format_nonsense_leaves_the_file_empty, 0, COUNT_OF(refused));
	tcase_add_test(tc, format_of_no_empty_file_changes_nothing);
	tcase_add_test(tc, format_too_large_for_the_store_is_enospc);
	tcase_add_test(tc, format_descr_too_long_is_e2big);
	tcase_add_test(tc, open_cut_anywhere_is_no_ring);
	tcase_add_test(tc, open_for_writing_only_is_eacces);
	tcase_add_loop_test(tc, read_only_handle_follows_and_no_more, 0, 2);
	tcase_add_test(tc, calls_of_who_has_not_come_are_enotconn);
	tcase_add_test(tc, counts_out_of_range_are_einval);
	tcase_add_test(tc, attach_beside_another_is_ebusy);
	tcase_add_test(tc, join_more_than_there_are_places_is_eusers);
	tcase_add_test(tc, views_are_contiguous_across_the_end);
	tcase_add_test(tc, window_moves_by_one);
	tcase_add_test(tc, commit_of_some_keeps_the_rest_reserved);
	tcase_add_test(tc, block_waits_for_the_slowest);
	tcase_add_test(tc, overwrite_tells_what_was_lost);
	tcase_add_test(tc, release_tells_what_was_overwritten);
	tcase_add_loop_test(tc, joining_begins_where_asked, 0, 2);
	tcase_add_test(tc, joined_at_the_oldest_is_waited_for);
	tcase_add_test(tc, waits_end_in_time);
	tcase_add_test(tc, status_of_a_read_only_file_says_who_is_there);
	tcase_add_test(tc, status_of_no_ring_is_einval_and_untouched);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
