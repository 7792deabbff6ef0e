/* SPDX-License-Identifier: MIT */
/* Producers and consumers that are killed. */
#include <errno.h>
#include <segfs/ring.h>
#include <string.h>
#include <time.h>

#include "child.h"
#include "ring_frames.h"
#include "storm.h"
#include "suite.h"
#include "util.h"

static void produce_some_and_begin_more(int fd)
{
	struct segfs_ring *ring = ring_open(fd);
	void *mine;

	ck_assert_int_ge(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(ring_write(ring, 3), 3);
	ck_assert_int_eq(segfs_ring_reserve(ring, 2, 0, 0, &mine), 2);
	memset(mine, 0xee, 4096);
}

START_TEST(successor_goes_on_where_the_dead_one_ended)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_OVERWRITE);
	RING_CLOSE struct segfs_ring *reader = ring_open(fd), *writer = ring_open(fd);
	struct segfs_ring_status status;
	const void *frames;
	uint64_t lost;

	ck_assert_int_eq(segfs_ring_join(reader, SEGFS_RING_NEXT), 0);
	end(child(fd, produce_some_and_begin_more));
	ck_assert_int_eq(segfs_ring_status(fd, &status), 0);
	ck_assert_uint_eq(status.committed, 3);
	ck_assert_uint_eq(status.begun, 5);
	ck_assert_uint_eq(status.producer, 0);
	ck_assert(status.producer_died);
	segfs_ring_info_clear(&status.info);

	ck_assert_int_eq(segfs_ring_attach(writer), 1);
	ck_assert_uint_eq(segfs_ring_next_write(writer), 3);
	ck_assert_int_eq(ring_write(writer, 1), 1);
	/* Frame 0 was begun over, so the reader has fallen behind. */
	ck_assert_int_eq(segfs_ring_acquire(reader, 1, 4, 0, 0, &frames, &lost), 1);
	ck_assert_uint_eq(lost, 3);
	ck_assert(frames_are_whole(reader, frames, 1));
	ck_assert_int_eq(segfs_ring_release(reader, 1), 0);
	ck_assert_int_eq(segfs_ring_status(fd, &status), 0);
	ck_assert_uint_eq(status.begun, 5);
	ck_assert_uint_eq(status.epoch, 2);
	segfs_ring_info_clear(&status.info);
}
END_TEST

static void join_and_hold(int fd)
{
	ck_assert_int_eq(segfs_ring_join(ring_open(fd), SEGFS_RING_NEXT), 0);
}

START_TEST(dead_consumer_is_dropped_and_counted)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *writer = ring_open(fd);
	pid_t pid = child(fd, join_and_hold);
	struct segfs_ring_status status;

	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	ck_assert_int_eq(ring_write(writer, 4), 4);
	ck_assert_int_eq(ring_write(writer, 1), -ETIMEDOUT);
	end(pid);
	ck_assert_int_eq(ring_write(writer, 4), 4);
	ck_assert_int_eq(segfs_ring_status(fd, &status), 0);
	ck_assert_uint_eq(status.dropped, 1);
	ck_assert_uint_eq(status.n_consumers, 0);
	segfs_ring_info_clear(&status.info);
}
END_TEST

static void kill_parent_later(int fd)
{
	join_and_hold(fd);
	if (fork() == 0) {
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		kill(getppid(), SIGKILL);
		_exit(0);
	}
}

START_TEST(sleeping_producer_learns_of_a_death)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *writer = ring_open(fd);
	pid_t pid = child(fd, kill_parent_later);
	void *mine;

	ck_assert_int_eq(segfs_ring_attach(writer), 0);
	ck_assert_int_eq(ring_write(writer, 4), 4);
	ck_assert_int_gt(segfs_ring_reserve(writer, 1, 0, LATER_NS, &mine), 0);
	end(pid);
}
END_TEST

START_TEST(close_in_the_child_of_a_fork_leaves_the_parents_places)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	struct segfs_ring_status status;
	int wstatus;
	pid_t pid;

	ck_assert_int_eq(segfs_ring_attach(ring), 0);
	ck_assert_int_eq(segfs_ring_join(ring, SEGFS_RING_NEXT), 0);
	pid = fork();
	if (pid == 0) {
		segfs_ring_close(ring);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &wstatus, 0), pid);
	ck_assert_int_eq(wstatus, 0);
	ck_assert_int_eq(segfs_ring_status(fd, &status), 0);
	ck_assert_uint_ne(status.producer, 0);
	ck_assert_uint_eq(status.n_consumers, 1);
	segfs_ring_info_clear(&status.info);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring-death");
	TCase *tc = tcase_create("ring-death");

	tcase_add_test(tc, successor_goes_on_where_the_dead_one_ended);
	tcase_add_test(tc, dead_consumer_is_dropped_and_counted);
	tcase_add_test(tc, sleeping_producer_learns_of_a_death);
	tcase_add_test(tc, close_in_the_child_of_a_fork_leaves_the_parents_places);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
