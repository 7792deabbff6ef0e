/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Rings: frames of fixed size, from one producer to many consumers, in a segment. Frames are written and read
 * in place, in the mapping; nothing is copied. layout.h has the bytes, for readers in other languages.
 *
 * A ring has one of two policies. `block`: the producer waits for the slowest of the consumers that have
 * joined, and none of them misses a frame; one that dies is no longer waited for. `overwrite`: it waits for
 * nobody, and a consumer that falls behind is told how many frames it has lost.
 *
 * Anybody may be killed at any instruction. A producer's successor goes on where it ended: with the first
 * frame that was not committed. What others have written into the header is never trusted: it may keep one
 * waiting (give a timeout) and may be answered with -EUCLEAN, no more than that. A file that is cut short
 * while it is mapped raises SIGBUS, as shared memory does.
 *
 * A handle is one producer, one consumer, or both; these two may be different threads, each one thread at a
 * time. After fork(2) the child opens its own and does not use its parent's, except to close it.
 *
 * Times are in nanoseconds. A wait first looks again and again for `spin_ns`, which answers soonest and keeps
 * a processor busy, then sleeps; `timeout_ns` counts both, 0 does not wait at all, and less than 0 waits for
 * ever. Waits go on after a
 * signal has been handled, as pthread_mutex_lock(3) does.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <segfs/array.h>
#include <segfs/export.h>
#include <segfs/layout.h>

SEGFS_BEGIN

/* What a ring is; never changes. */
struct segfs_ring_info {
	struct segfs_array
		frame;	     /* of one frame; its offset is that of frame 0 in the file. Owns the dtype */
	unsigned policy;     /* SEGFS_RING_BLOCK or SEGFS_RING_OVERWRITE */
	uint64_t frame_size; /* bytes of data in a frame */
	uint64_t stride;     /* bytes from a frame to the next */
	uint64_t capacity;   /* frames */
};

/*
 * Make an empty file a ring: set its size, get its pages, write its header. Frames are C-ordered arrays of
 * `dtype` (any text that segfs_dtype_parse() takes) and this shape, ndim 0 to SEGFS_RING_NDIM, not empty.
 * They lie a multiple of 64 bytes apart. `capacity` is rounded up until they fill whole pages: by less than
 * 64 of them, less than a page of bytes each; segfs_ring_read() tells.
 *
 * 0, or -EINVAL (dtype, shape, policy, a capacity below 2), -E2BIG (the dtype's text is longer than the
 * header has room for), -EOVERFLOW (too large for a file), -ENOTEMPTY (the file), -ENOSPC (no room for the
 * pages; nothing changed), or -errno of fstat(2), fallocate(2) or pwrite(2). `fd` is open for writing. Who
 * opens the file before this has returned finds no ring.
 */
SEGFS_PUBLIC int segfs_ring_format(int fd, const char *dtype, const uint64_t *shape, unsigned ndim,
				   uint64_t capacity, unsigned policy);

/*
 * What the ring in an open file is. 0, or -EINVAL (no ring, or one whose header contradicts itself or the
 * file's size), -ENOTSUP (a version or a page size that this library does not know), -ENOMEM, or -errno of
 * fstat(2) or pread(2). *ret_info is untouched on failure; free what it owns with segfs_ring_info_clear().
 */
SEGFS_PUBLIC int segfs_ring_read(int fd, struct segfs_ring_info *ret_info);

SEGFS_PUBLIC void segfs_ring_info_clear(struct segfs_ring_info *info);

struct segfs_ring;

/*
 * Map the ring in an open file; `fd` can be closed then. Open for reading only, it can be followed, with
 * segfs_ring_follow(); open for reading and writing, everything. Errors as of segfs_ring_read(), and -EACCES
 * (open for writing only), or -errno of mmap(2).
 */
SEGFS_PUBLIC int segfs_ring_open(int fd, struct segfs_ring **ret_ring);

/*
 * Make a ring at `path`, as segfs_ring_format(), and open it; or open the one that is there. A new file gets
 * the permissions `mode`, less the umask, and its name last: nobody finds half of a ring. `flags`: O_EXCL,
 * there must be no file yet; or 0, and then all processes can make the same call, whoever is first.
 *
 * Errors as of segfs_ring_format() and segfs_ring_open(), and -EEXIST (there is a file, and there must not
 * be), -EMEDIUMTYPE (the ring that is there has another dtype, shape or policy, or less capacity), -EINVAL
 * (also: other flags, or what is there is no ring), or -errno of open(2) or linkat(2).
 */
SEGFS_PUBLIC int segfs_ring_create(const char *path, int flags, mode_t mode, const char *dtype,
				   const uint64_t *shape, unsigned ndim, uint64_t capacity, unsigned policy,
				   struct segfs_ring **ret_ring);

/* Detach, leave and unmap: pointers to frames end here. Takes NULL, returns NULL. */
SEGFS_PUBLIC struct segfs_ring *segfs_ring_close(struct segfs_ring *ring);

/* What it was when it was opened: what this handle goes by. */
SEGFS_PUBLIC const struct segfs_ring_info *segfs_ring_info(const struct segfs_ring *ring);

/*
 * Become the producer. 0, or 1 if the predecessor died without detaching (what it had reserved and not
 * committed is gone; this takes SEGFS_RING_SETTLE_NS), or -EBUSY (there is one), -EALREADY (it is this
 * handle), -EROFS (open for reading only), -EUCLEAN (the counters make no sense).
 */
SEGFS_PUBLIC int segfs_ring_attach(struct segfs_ring *ring);

/* Cease to be. What is not committed is dropped. 0 or -ENOTCONN (was not attached). */
SEGFS_PUBLIC int segfs_ring_detach(struct segfs_ring *ring);

/*
 * Frames to write: the next that follow what was committed, `n` of them or, in a `block` ring that has no
 * room for so many, as many as there are, at least 1. They lie `stride` bytes apart from *ret_frames on,
 * across the ring's end as well, and hold whatever was in them. Again without a commit: the same frames.
 *
 * In an `overwrite` ring, and for who follows, the oldest frames are gone from this call on, not from the
 * commit on: a small `n` leaves more to read.
 *
 * The number of frames, or -ETIMEDOUT, -EINVAL (`n` is 0 or more than the capacity), -ENOTCONN.
 */
SEGFS_PUBLIC ssize_t segfs_ring_reserve(struct segfs_ring *ring, uint64_t n, int64_t spin_ns,
					int64_t timeout_ns, void **ret_frames);

/* The first `n` reserved frames are written: consumers may have them. What is reserved beyond stays so.
 * 0, or -EINVAL (more than are reserved), -ENOTCONN. */
SEGFS_PUBLIC int segfs_ring_commit(struct segfs_ring *ring, uint64_t n);

/* Where a consumer begins. What was committed before it came is not kept for it, in a `block` ring either: a
 * producer at full speed may overwrite some, which then count as lost. */
enum segfs_ring_start {
	SEGFS_RING_NEXT,   /* with what is committed from now on */
	SEGFS_RING_NEWEST, /* with the last frame committed; the next, if there is none */
	SEGFS_RING_OLDEST, /* with the first that has not been overwritten */
};

/*
 * Become a consumer that is seen, and in a `block` ring waited for. 0, or -EUSERS (all SEGFS_RING_CONSUMERS
 * places are taken), -EALREADY (has joined or follows), -EROFS, -EUCLEAN.
 */
SEGFS_PUBLIC int segfs_ring_join(struct segfs_ring *ring, enum segfs_ring_start start);

/*
 * Read without a place: unseen, and waited for by nobody, whatever the policy. It works on what is open for
 * reading only; then nobody can wake this reader either, and waits are short sleeps, a millisecond too long
 * at most. 0, or -EALREADY, -EUCLEAN.
 */
SEGFS_PUBLIC int segfs_ring_follow(struct segfs_ring *ring, enum segfs_ring_start start);

/* No longer be a consumer. What it has not released is left to the producer. 0 or -ENOTCONN. */
SEGFS_PUBLIC int segfs_ring_leave(struct segfs_ring *ring);

/*
 * Frames to read: wait until there are `min`, take as many as there are up to `max`. They are contiguous,
 * `stride` bytes apart, across the ring's end as well: with min = max = n, each call gives n. *ret_lost is
 * how many were lost since the last call that succeeded, before the first of these; a consumer that fell
 * behind goes on in the middle of what is left, so as not to fall behind again at once. May be NULL.
 *
 * Frames stay the consumer's until released; the next call begins with the first that is not. So acquiring 10
 * and releasing 1 each time is a window that moves by one.
 *
 * The number of frames, or -ETIMEDOUT, -EINVAL (not 1 <= min <= max, min more than the capacity),
 * -ENOTCONN, -EUCLEAN.
 */
SEGFS_PUBLIC ssize_t segfs_ring_acquire(struct segfs_ring *ring, uint64_t min, uint64_t max, int64_t spin_ns,
					int64_t timeout_ns, const void **ret_frames, uint64_t *ret_lost);

/*
 * Done with the first `n` frames acquired. 0: they were whole all the time. More than 0: so many of them, the
 * first ones, have been overwritten, or begun to be, while they were being read: what was made of them is
 * worth nothing; they count as lost, too. -EINVAL (more than are acquired), -ENOTCONN.
 */
SEGFS_PUBLIC ssize_t segfs_ring_release(struct segfs_ring *ring, uint64_t n);

/* Frames are numbered from 0, for the whole life of the ring. The number of the first frame that this
 * consumer has not released, and of the first that this producer has not committed. */
SEGFS_PUBLIC uint64_t segfs_ring_next_read(const struct segfs_ring *ring);
SEGFS_PUBLIC uint64_t segfs_ring_next_write(const struct segfs_ring *ring);

/* A ring as it was at one moment, more or less: for people and programs that look on. */
struct segfs_ring_status {
	struct segfs_ring_info info;
	uint64_t committed; /* frames, since the ring was made */
	uint64_t begun;	    /* those, and the ones being written */
	uint64_t dropped;   /* consumers that died without leaving */
	uint32_t producer;  /* thread id in its own pid namespace; 0: none */
	bool producer_died; /* the last one, without detaching */
	uint32_t epoch;	    /* how many producers there have been */
	unsigned n_consumers;
	struct {
		uint32_t place;	   /* among SEGFS_RING_CONSUMERS */
		uint32_t consumer; /* thread id in its own pid namespace */
		uint64_t lag;	   /* frames committed that it has not released */
		uint64_t lost;
	} consumers[SEGFS_RING_CONSUMERS];
};

/* Look at the ring in an open file, with pread(2), without mapping it. Errors as of segfs_ring_read().
 * *ret_status is untouched on failure; free what it owns with segfs_ring_info_clear(&status.info). */
SEGFS_PUBLIC int segfs_ring_status(int fd, struct segfs_ring_status *ret_status);

/* Write a status in one line, without the end of the line:
 *	block capacity 64 committed 812 producer 4711 consumers 4712 lag 3 lost 0,4713 lag 0 lost 2 dropped 1
 * Returns as segfs_dtype_format(). */
SEGFS_PUBLIC size_t segfs_ring_status_format(const struct segfs_ring_status *status, char *buf, size_t size);

/*
 * Copy the newest committed frame out of an open file, with pread(2), without mapping it: for who reads a
 * frame now and then, of files that somebody may cut. `info` is what segfs_ring_read() said of this file;
 * *ret_frame takes its `frame_size` bytes, *ret_number the frame's number. The frame is whole: where a
 * producer has begun to overwrite it, the next one is tried, for some 20 ms.
 *
 * 0, or -ENODATA (no frame has been committed yet), -EAGAIN (each was overwritten before it was read),
 * -EUCLEAN (the counters make no sense), -ESTALE (the file has become too short), or -errno of pread(2).
 * After a failure *ret_frame may hold anything; *ret_number is untouched. Any thread.
 */
SEGFS_PUBLIC int segfs_ring_newest(int fd, const struct segfs_ring_info *info, void *ret_frame,
				   uint64_t *ret_number);

SEGFS_END
