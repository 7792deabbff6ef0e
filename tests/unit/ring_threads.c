/* SPDX-License-Identifier: MIT */

/*
 * A producer and a consumer of a `block` ring, as two threads on one handle, for ThreadSanitizer: frames and
 * counters then have the same addresses for both, and it sees whether `committed` and `next` order what they
 * should. In an `overwrite` ring reading what is being written is the method, and no report would mean
 * anything; tests/model is for that. Frames are taken one by one, as it does not know that the second mapping
 * is the first once more.
 */
#include <pthread.h>
#include <stdio.h>

#include "ring_frames.h"

enum { FRAMES = 20000 };

static void *produce(void *data)
{
	struct segfs_ring *ring = data;
	uint64_t *frame;
	void *at;

	for (uint64_t i = 0; i < FRAMES; i++) {
		if (segfs_ring_reserve(ring, 1, 1000, -1, &at) != 1)
			abort();
		frame = at;
		for (uint64_t k = 0; k < 8; k++)
			frame[k] = WORD(i, k);
		segfs_ring_commit(ring, 1);
	}
	return NULL;
}

static void consume(struct segfs_ring *ring)
{
	const uint64_t *frame;
	const void *at;

	for (uint64_t i = 0; i < FRAMES; i++) {
		if (segfs_ring_acquire(ring, 1, 1, 1000, -1, &at, NULL) != 1)
			abort();
		frame = at;
		for (uint64_t k = 0; k < 8; k++)
			if (frame[k] != WORD(i, k))
				abort();
		if (segfs_ring_release(ring, 1) != 0)
			abort();
	}
}

int main(void)
{
	uint64_t words = 8;
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct segfs_ring *ring;
	pthread_t thread;

	if (segfs_ring_format(fd, "<u8", &words, 1, 64, SEGFS_RING_BLOCK) < 0 ||
	    segfs_ring_open(fd, &ring) < 0)
		return 1;
	if (segfs_ring_attach(ring) < 0 || segfs_ring_join(ring, SEGFS_RING_NEXT) < 0)
		return 1;
	if (pthread_create(&thread, NULL, produce, ring) != 0)
		return 1;
	consume(ring);
	pthread_join(thread, NULL);
	segfs_ring_close(ring);
	return 0;
}
