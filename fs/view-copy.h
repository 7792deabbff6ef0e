/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A moment of a segment that changes as it is read: the newest frame of a ring, the record of a table. It is
 * copied when a view is opened, so that whoever reads the view, however slowly, sees one frame and no parts
 * of two.
 */
#include <segfs/segment.h>
#include <stdbool.h>

/* Is this segment shown by a copy? */
static inline bool view_copy_is_needed(const struct segfs_segment *segment)
{
	return segment->kind == SEGFS_KIND_RING || segment->kind == SEGFS_KIND_TABLE;
}

/* Bytes of the copy. */
uint64_t view_copy_size(const struct segfs_segment *segment);

/*
 * Copy what is shown of the open segment `fd` into a memory file of our own, and let `segment` describe that:
 * an array at offset 0. The descriptor, or -ENODATA (a ring without any frame yet), -EAGAIN (its producer, or
 * a table's writers, were faster for some 20 ms), -EUCLEAN (its counters make no sense), -ESTALE (it is
 * another than it was, or has been cut), -ENOMEM, or another -errno. *segment is untouched on failure.
 */
int view_copy_take(int fd, struct segfs_segment *segment);

/* A memory file that holds these bytes, as files are what views are made from. The descriptor, or -ENOMEM, or
 * another -errno. */
int view_copy_of(const void *bytes, size_t size);
