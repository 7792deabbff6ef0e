/* SPDX-License-Identifier: MIT */

/*
 * An acquisition process with a frame every few milliseconds, and readers that take them in fixed steps.
 *
 *	acquire consume /mnt/shm/NAME block|overwrite FRAMES [PAUSE_MS]
 *	acquire produce /mnt/shm/NAME block|overwrite FRAMES [PERIOD_MS]
 *
 * In a `block` ring no frame is lost: the producer waits for the slowest reader, and notices. In an
 * `overwrite` ring it waits for nobody, and a reader that is too slow learns how many frames it has lost.
 */
#include <segfs/ring.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 64, COLUMNS = 64, PIXELS = ROWS * COLUMNS, CAPACITY = 16, STEP = 4 };

#define MS INT64_C(1000000)

static int fail(const char *what, int error)
{
	fprintf(stderr, "acquire: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

static void pause_ms(int64_t ms)
{
	if (ms > 0) /* of none, nanosleep(2) makes some 50 us */
		nanosleep(&(struct timespec){ms / 1000, ms % 1000 * MS}, NULL);
}

/* Both sides make the same call: whoever is first makes the ring. */
static int open_ring(const char *path, const char *policy, struct segfs_ring **ret_ring)
{
	static const uint64_t shape[] = {ROWS, COLUMNS};

	return segfs_ring_create(path, 0, 0644, "<u4", shape, 2, CAPACITY,
				 strcmp(policy, "block") == 0 ? SEGFS_RING_BLOCK : SEGFS_RING_OVERWRITE,
				 ret_ring);
}

static int produce(struct segfs_ring *ring, uint64_t n_frames, int64_t period_ms)
{
	uint64_t n_late = 0;
	void *frame;
	int r = segfs_ring_attach(ring);

	if (r < 0)
		return fail("attach", r);
	for (uint64_t i = 0; i < n_frames; i++) {
		ssize_t n = segfs_ring_reserve(ring, 1, 0, 0, &frame);

		if (n == -ETIMEDOUT) { /* the ring is full: some reader is too slow */
			n_late++;
			n = segfs_ring_reserve(ring, 1, 0, -1, &frame);
		}
		if (n < 0)
			return fail("reserve", (int)n);
		for (int k = 0; k < PIXELS; k++) /* here: from a camera or a converter, in place */
			((uint32_t *)frame)[k] = (uint32_t)i;
		segfs_ring_commit(ring, 1);
		pause_ms(period_ms);
	}
	printf("frames %" PRIu64 " late %" PRIu64 "\n", n_frames, n_late);
	return EXIT_SUCCESS;
}

/* What is made of frames counts once they are released, if they were whole until then. */
static bool are_whole(const struct segfs_ring *ring, const char *frames, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++) {
		const uint32_t *frame = (const void *)(frames + (uint64_t)i * segfs_ring_info(ring)->stride);

		for (int k = 0; k < PIXELS; k++)
			if (frame[k] != (uint32_t)(segfs_ring_next_read(ring) + (uint64_t)i))
				return false;
	}
	return true;
}

static int consume(struct segfs_ring *ring, uint64_t n_frames, int64_t pause)
{
	uint64_t n_read = 0, n_lost = 0, next, lost;
	const void *frames;
	int r = segfs_ring_join(ring, SEGFS_RING_OLDEST);

	if (r < 0)
		return fail("join", r);
	puts("ready");
	fflush(stdout);
	while ((next = segfs_ring_next_read(ring)) < n_frames) {
		uint64_t step = n_frames - next < STEP ? n_frames - next : STEP;
		ssize_t n = segfs_ring_acquire(ring, step, step, 0, 100 * MS, &frames, &lost), n_torn;
		bool whole;

		if (n == -ETIMEDOUT) /* nothing new, or the last step has become a shorter one */
			continue;
		if (n < 0)
			return fail("acquire", (int)n);
		whole = are_whole(ring, frames, n);
		pause_ms(pause);
		n_torn = segfs_ring_release(ring, (uint64_t)n);
		if (n_torn == 0 && !whole)
			return fail("a torn frame", -EILSEQ);
		n_read += (uint64_t)(n - n_torn);
		n_lost += lost + (uint64_t)n_torn;
	}
	printf("frames %" PRIu64 " lost %" PRIu64 "\n", n_read, n_lost);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	bool produces = argc > 1 && strcmp(argv[1], "produce") == 0;
	struct segfs_ring *ring;
	int r;

	if (argc < 5 || (!produces && strcmp(argv[1], "consume") != 0)) {
		fputs("usage: acquire produce|consume SEGMENT block|overwrite FRAMES [MILLISECONDS]\n",
		      stderr);
		return 2;
	}
	r = open_ring(argv[2], argv[3], &ring);
	if (r < 0)
		return fail(argv[2], r);
	r = (produces ? produce : consume)(ring, strtoull(argv[4], NULL, 10),
					   argc > 5 ? strtoll(argv[5], NULL, 10) : 0);
	segfs_ring_close(ring);
	return r;
}
