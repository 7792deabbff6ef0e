/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the ring share: a handle, and how it waits. */
#include <segfs/ring.h>

#include "robust.h"

/*
 * `info` is a copy, checked when the ring was opened: where frames lie is computed from it and from our own
 * counters alone. Of `header` only the words in ring-words.h are used from then on.
 */
struct segfs_ring {
	struct segfs_ring_info info; /* owns its dtype */
	bool writable;
	struct segfs_robust *area;	  /* owned */
	struct segfs_layout_ring *header; /* in `area` */
	char *frames;			  /* mapped twice, one behind the other; owned */
	size_t length;			  /* of one of the two */

	/* The producer's thread's. */
	struct {
		uint32_t owner;	   /* what it has put into the word; 0: not attached */
		uint64_t head;	   /* frames committed */
		uint64_t begun;	   /* as in the header */
		uint64_t limit;	   /* frames before it may be begun; not before it has looked again */
		uint64_t reserved; /* frames from `head` on */
	} producer __attribute__((aligned(SEGFS_LINE)));

	/* The consumer's thread's. */
	struct {
		bool active;
		uint32_t owner; /* what it has put into its place; 0: follows without one */
		struct segfs_layout_consumer *place;
		uint64_t next;	   /* the first frame not released */
		uint64_t acquired; /* frames from `next` on */
		uint64_t skipped;  /* lost since the last successful acquire */
		uint64_t lost;	   /* in all */
	} consumer __attribute__((aligned(SEGFS_LINE)));
};

/* A copy of a header: is it that of a ring which fits a file of `file_size` bytes? Errors as of
 * segfs_ring_read(). */
int segfs_ring_check(const struct segfs_layout_ring *header, uint64_t file_size,
		     struct segfs_ring_info *ret_info);

/* The two as one would find them: the header's bytes and the file's size. 0 or -errno; -EINVAL for a file
 * that is shorter than a header. */
int segfs_ring_read_header(int fd, struct segfs_layout_ring *ret_header, uint64_t *ret_file_size);

static inline void *segfs_ring_frame(const struct segfs_ring *ring, uint64_t number)
{
	return ring->frames + number % ring->info.capacity * ring->info.stride;
}

/* Does this process hold a word that was taken with `owner`? Not in the child of a fork. */
bool segfs_ring_holds(const struct segfs_ring *ring, uint32_t owner);

/* How long a call may still wait. */
struct segfs_patience {
	int64_t spin_end, end; /* by CLOCK_MONOTONIC, ns; INT64_MAX: for ever */
};

struct segfs_patience segfs_patience_start(int64_t spin_ns, int64_t timeout_ns);
bool segfs_patience_ended(const struct segfs_patience *patience);

/*
 * Wait until `ready` says so. `event` is what others add to when that may have become true; without
 * `wakeable` it cannot be told that somebody sleeps, and is looked at every millisecond.
 * 0 or -ETIMEDOUT, -EFAULT (the file has been cut).
 */
int segfs_ring_wait(struct segfs_layout_event *event, bool wakeable,
		    bool (*ready)(struct segfs_ring *ring, uint64_t wanted), uint64_t wanted,
		    struct segfs_ring *ring, const struct segfs_patience *patience);

/* Let SEGFS_RING_SETTLE_NS pass. */
void segfs_ring_settle(void);

/* Wake those who sleep, if there are any. */
void segfs_ring_wake(struct segfs_layout_event *event);
