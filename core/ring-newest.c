/* SPDX-License-Identifier: MIT */

/* The newest frame, for who does not map the file: as a follower reads it (segfs/layout.h), with pread(2). */
#include <segfs/ring.h>

#include "array-read.h"
#include "atomics.h"
#include "futex.h"
#include "util.h"

/* A producer at full speed laps a slow reader many times; few frames are small enough to be tried as often.
 */
#define TRIES	 1000
#define TRIES_NS 20000000

static int read_count(int fd, size_t at, uint64_t *ret_count)
{
	return segfs_read_whole(fd, ret_count, sizeof(*ret_count), at);
}

static int read_committed(int fd, uint64_t *ret_committed)
{
	size_t at =
		offsetof(struct segfs_layout_ring, committed) + offsetof(struct segfs_layout_event, count);
	int r = read_count(fd, at, ret_committed);

	return r == 0 && *ret_committed > INT64_MAX ? -EUCLEAN : r;
}

static int copy_frame(int fd, const struct segfs_ring_info *info, uint64_t number, void *to)
{
	uint64_t at = info->frame.offset + number % info->capacity * info->stride;

	return segfs_read_whole(fd, to, info->frame_size, at);
}

/* The frame was read before `begun` is: it was whole if it had not been begun anew by then. -EAGAIN if it
 * had. */
static int check_frame(int fd, const struct segfs_ring_info *info, uint64_t number)
{
	uint64_t begun;
	int r;

	fence_acquire();
	r = read_count(fd, offsetof(struct segfs_layout_ring, begun), &begun);
	if (r < 0)
		return r;
	if (begun > INT64_MAX || begun <= number)
		return -EUCLEAN;
	return begun > number + info->capacity ? -EAGAIN : 0;
}

static int try_newest(int fd, const struct segfs_ring_info *info, void *to, uint64_t *ret_number)
{
	uint64_t committed = 0;
	int r;

	r = read_committed(fd, &committed);
	if (r < 0)
		return r;
	if (committed == 0)
		return -ENODATA;
	r = copy_frame(fd, info, committed - 1, to);
	if (r == 0)
		r = check_frame(fd, info, committed - 1);
	if (r == 0)
		*ret_number = committed - 1;
	return r;
}

SEGFS_PUBLIC int segfs_ring_newest(int fd, const struct segfs_ring_info *info, void *ret_frame,
				   uint64_t *ret_number)
{
	int64_t deadline = segfs_futex_deadline(TRIES_NS);
	int r;

	for (int i = 0; i < TRIES; i++) {
		r = try_newest(fd, info, ret_frame, ret_number);
		if (r != -EAGAIN || (i > 1 && segfs_futex_is_over(deadline)))
			break;
	}
	return r;
}
