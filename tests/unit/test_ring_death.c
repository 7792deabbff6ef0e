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

/* ------------------------------------------------------------------------------------------------------------
 * At full speed, and under fire. Each process says in memory that all share what it has seen.
 */
struct arena {
	int fd;
	unsigned policy;
	uint64_t accepted, refused, mistakes, takeovers;
};

static void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static struct arena *new_arena(uint64_t words, uint64_t capacity, unsigned policy)
{
	struct arena *arena = shared_memory(sizeof(*arena));

	arena->fd = ring_file(words, capacity, policy);
	arena->policy = policy;
	return arena;
}

/* Some frames in one go, as many as chance will have it. */
static bool produce_once(struct segfs_ring *ring, uint64_t i)
{
	uint64_t capacity = segfs_ring_info(ring)->capacity, n = 1 + i * i % 5 % capacity;
	void *frames;
	ssize_t got = segfs_ring_reserve(ring, n, 0, -1, &frames);

	for (ssize_t k = 0; k < got; k++)
		frame_fill((char *)frames + (size_t)k * segfs_ring_info(ring)->stride, ring_words(ring),
			   segfs_ring_next_write(ring) + (uint64_t)k);
	return got > 0 && segfs_ring_commit(ring, (uint64_t)got) == 0;
}

static void produce(void *data)
{
	struct arena *arena = data;
	struct segfs_ring *ring = ring_open(arena->fd);
	int r;

	while ((r = segfs_ring_attach(ring)) == -EBUSY)
		sleep_us(200);
	if (r == 1)
		add(&arena->takeovers, 1);
	for (uint64_t i = 0; r >= 0 && produce_once(ring, i); i++)
		;
	add(&arena->mistakes, 1);
}

/* Whatever release() lets pass was whole; in a `block` ring that is all of it, and nothing is missing. */
static bool consume_once(struct arena *arena, struct segfs_ring *ring, uint64_t i)
{
	uint64_t capacity = segfs_ring_info(ring)->capacity, min = 1 + i % 7 % capacity, lost;
	const void *frames;
	ssize_t n = segfs_ring_acquire(ring, min, capacity, 0, -1, &frames, &lost), torn, whole = 0;

	if (n < (ssize_t)min || (lost > 0 && arena->policy == SEGFS_RING_BLOCK))
		return false;
	while (whole < n &&
	       frame_is_whole((const char *)frames + (size_t)(n - 1 - whole) * segfs_ring_info(ring)->stride,
			      ring_words(ring), segfs_ring_next_read(ring) + (uint64_t)(n - 1 - whole)))
		whole++;
	torn = segfs_ring_release(ring, (uint64_t)n);
	if (torn < 0 || n - torn > whole || (torn > 0 && arena->policy == SEGFS_RING_BLOCK))
		return false;
	add(&arena->accepted, (uint64_t)(n - torn));
	add(&arena->refused, (uint64_t)torn);
	return true;
}

static void consume(void *data)
{
	struct arena *arena = data;
	struct segfs_ring *ring = ring_open(arena->fd);
	int r;

	r = segfs_ring_join(ring, SEGFS_RING_NEXT);
	for (uint64_t i = 0; r == 0 && consume_once(arena, ring, i); i++)
		;
	add(&arena->mistakes, 1);
}

static void follow(void *data)
{
	struct arena *arena = data, mine = {.policy = SEGFS_RING_OVERWRITE};
	SEGFS_CLOSE int fd = open_again(arena->fd, O_RDONLY);
	struct segfs_ring *ring = ring_open(fd);
	int r = segfs_ring_follow(ring, SEGFS_RING_OLDEST);

	for (uint64_t i = 0; r == 0 && consume_once(&mine, ring, i); i++)
		add(&arena->refused, mine.refused > 0);
	add(&arena->mistakes, 1);
}

static void (*const actors[])(void *arena) = {produce, produce, consume, consume, follow};

static void spawn_all(struct arena *arena, pid_t pids[COUNT_OF(actors)])
{
	for (size_t i = 0; i < COUNT_OF(actors); i++)
		pids[i] = spawn(actors[i], arena);
}

static void kill_all(pid_t pids[COUNT_OF(actors)])
{
	for (size_t i = 0; i < COUNT_OF(actors); i++)
		kill_child(pids[i]);
}

/* After everybody is dead: the ring works, and nobody is waited for. */
static void check_ring(struct arena *arena)
{
	RING_CLOSE struct segfs_ring *ring = ring_open(arena->fd);
	uint64_t capacity = segfs_ring_info(ring)->capacity;
	struct segfs_ring_status status;

	ck_assert_int_ge(segfs_ring_attach(ring), 0);
	for (uint64_t i = 0; i < 3; i++)
		ck_assert_int_eq(ring_write(ring, capacity), (ssize_t)capacity);
	ck_assert_int_eq(segfs_ring_status(arena->fd, &status), 0);
	ck_assert_uint_eq(status.n_consumers, 0);
	segfs_ring_info_clear(&status.info);
}

static const struct {
	uint64_t words, capacity;
} sizes[] = {{PAGE, 2}, {PAGE, 7}, {8, 64}, {PAGE * 16, 3}};

START_TEST(frames_at_full_speed_are_whole_or_refused)
{
	struct arena *arena = new_arena(sizes[_i / 2].words, sizes[_i / 2].capacity, (unsigned)_i % 2);
	pid_t pids[COUNT_OF(actors)];

	spawn_all(arena, pids);
	sleep_us(storm_length(400000));
	kill_all(pids);
	ck_assert_uint_eq(arena->mistakes, 0);
	ck_assert_uint_gt(arena->accepted, 10);
	check_ring(arena);
}
END_TEST

START_TEST(kills_at_any_instruction_harm_nobody_else)
{
	struct arena *arena = new_arena(sizes[_i / 2].words, sizes[_i / 2].capacity, (unsigned)_i % 2);
	pid_t pids[COUNT_OF(actors)];
	int kills = storm_length(60);
	uint64_t before = 0;

	spawn_all(arena, pids);
	for (int i = 0; i < kills; i++) {
		size_t victim = (size_t)rand() % COUNT_OF(actors);

		sleep_us(rand() % 5000);
		kill_child(pids[victim]);
		pids[victim] = spawn(actors[victim], arena);
		ck_assert_uint_eq(arena->mistakes, 0);
		if (i % 20 == 19) { /* somebody still gets through */
			ck_assert_uint_gt(arena->accepted, before);
			before = arena->accepted;
		}
	}
	kill_all(pids);
	ck_assert_uint_eq(arena->mistakes, 0);
	ck_assert_uint_gt(arena->takeovers, 0);
	check_ring(arena);
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
	tcase_add_loop_test(tc, frames_at_full_speed_are_whole_or_refused, 0, 2 * COUNT_OF(sizes));
	tcase_add_loop_test(tc, kills_at_any_instruction_harm_nobody_else, 0, 2 * COUNT_OF(sizes));
	tcase_set_timeout(tc, 600); /* SEGFS_STORM */
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
