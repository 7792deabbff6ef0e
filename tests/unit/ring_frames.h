/* SPDX-License-Identifier: MIT */
#pragma once

/* Rings to test with, and frames of which one can see whether they are whole: each word of frame i is i times
 * an odd number, plus its place. */
#include <check.h>
#include <segfs/ring.h>
#include <stdint.h>
#include <time.h>

#include "file_on_tmpfs.h"
#include "util.h"

#define RING_CLOSE SEGFS_CLEANUP(ring_close)
#define PAGE	   512 /* words: the smallest frame of which any number fills whole pages */
#define SOON_NS	   1000000
#define LATER_NS   10000000000

#define WORD(number, at) ((number)*UINT64_C(0x9e3779b97f4a7c15) + (at))

static inline void frame_fill(void *frame, uint64_t words, uint64_t number)
{
	volatile uint64_t *word = frame;

	for (uint64_t i = 0; i < words; i++)
		word[i] = WORD(number, i);
}

static inline bool frame_is_whole(const void *frame, uint64_t words, uint64_t number)
{
	const volatile uint64_t *word = frame;

	for (uint64_t i = 0; i < words; i++)
		if (word[i] != WORD(number, i))
			return false;
	return true;
}

static inline int ring_file(uint64_t words, uint64_t capacity, unsigned policy)
{
	int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(segfs_ring_format(fd, "<u8", &words, 1, capacity, policy), 0);
	return fd;
}

static inline struct segfs_ring *ring_open(int fd)
{
	struct segfs_ring *ring;

	ck_assert_int_eq(segfs_ring_open(fd, &ring), 0);
	return ring;
}

static inline uint64_t ring_words(const struct segfs_ring *ring)
{
	return segfs_ring_info(ring)->frame_size / sizeof(uint64_t);
}

/* Write up to `n` frames, those for which there is room at once; how many, or -errno. Nothing is asserted: a
 * process that is killed here would be cut short in what it tells Check. */
static inline ssize_t ring_write(struct segfs_ring *ring, uint64_t n)
{
	void *frames;
	ssize_t got = segfs_ring_reserve(ring, n, 0, 0, &frames);

	for (ssize_t i = 0; i < got; i++)
		frame_fill((char *)frames + (size_t)i * segfs_ring_info(ring)->stride, ring_words(ring),
			   segfs_ring_next_write(ring) + (uint64_t)i);
	if (got > 0) {
		int r = segfs_ring_commit(ring, (uint64_t)got);

		if (r < 0)
			return r;
	}
	return got;
}

static inline bool frames_are_whole(const struct segfs_ring *ring, const void *frames, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++)
		if (!frame_is_whole((const char *)frames + (size_t)i * segfs_ring_info(ring)->stride,
				    ring_words(ring), segfs_ring_next_read(ring) + (uint64_t)i))
			return false;
	return true;
}

static inline void ring_close(struct segfs_ring **ring)
{
	*ring = segfs_ring_close(*ring);
}

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}
