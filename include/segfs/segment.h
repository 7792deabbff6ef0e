/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a segment's file holds: its description, as its extended attributes or its own header give it, that
 * of a .npy file, a ring or a table.
 *
 * Works on any file of a store or of a mount alike. What this module does not do: it neither maps nor locks,
 * and it takes no word for granted: attributes that contradict each other or the size of the file describe
 * nothing.
 */
#include <stdint.h>
#include <sys/types.h>

#include <segfs/array.h>
#include <segfs/export.h>

SEGFS_BEGIN

/* The stored attributes; their values are text. */
#define SEGFS_ATTR_DTYPE  "user.shm.dtype"
#define SEGFS_ATTR_SHAPE  "user.shm.shape"
#define SEGFS_ATTR_ORDER  "user.shm.order"
#define SEGFS_ATTR_OFFSET "user.shm.offset"

enum segfs_kind {
	SEGFS_KIND_RAW,	  /* bytes; nothing valid says what they are */
	SEGFS_KIND_ARRAY, /* described by its attributes */
	/* Described by the .npy header it begins with, whatever its attributes say. Its elements may be
	 * misaligned, if an unusual program wrote that header: see segfs_array_check(). */
	SEGFS_KIND_NPY,
	/* A ring, by its own header (segfs/ring.h). The description is that of one frame: its dtype, its
	 * shape, order C, and the offset of frame 0; the others follow at the ring's stride. */
	SEGFS_KIND_RING,
	/* A table, by its own header (segfs/table.h). The dtype is that of the record, which is a scalar
	 * (ndim 0) and does not lie in the file as a whole: what is behind `offset`, 0, is the header. */
	SEGFS_KIND_TABLE,
};

struct segfs_segment {
	enum segfs_kind kind;
	uint64_t size;		  /* of the file, bytes */
	struct segfs_array array; /* unless raw; owned */
};

/*
 * Describe the open file `fd` (open for reading, a regular file). The description is one moment's: another
 * process can change file and attributes at any time. 0, or -errno of fstat(2), pread(2) or fgetxattr(2).
 * *ret_segment is untouched on failure.
 */
SEGFS_PUBLIC int segfs_segment_read(int fd, struct segfs_segment *ret_segment);

/* Free what a description owns, not the struct itself. */
SEGFS_PUBLIC void segfs_segment_clear(struct segfs_segment *segment);

/* "raw", "array", "npy", "ring", "table". */
SEGFS_PUBLIC const char *segfs_kind_name(enum segfs_kind kind);

/*
 * One of the four stored attributes of a described segment, as text. Returns as snprintf(3): the length
 * without NUL; -ENODATA if the name is none of the four, or the segment is raw, or a table, which has but a
 * dtype.
 */
SEGFS_PUBLIC ssize_t segfs_segment_format(const struct segfs_segment *segment, const char *name, char *buf,
					  size_t size);

/* The same as a string of its own: the caller's to free. Its length, -ENOMEM, or -ENODATA. */
SEGFS_PUBLIC ssize_t segfs_segment_text(const struct segfs_segment *segment, const char *name,
					char **ret_text);

/*
 * Check a value for one of the four and store it in canonical form on the open file `fd` (open for writing
 * and reading; its attributes are set with the caller's credentials). `flags` as of setxattr(2). On an empty
 * file the attribute that completes dtype and shape also gives the file its size, and its pages at once. On a
 * .npy file, a ring or a table only what the header says already is accepted, and nothing is stored.
 *
 * 0, or -EINVAL (no such value; it does not fit the other attributes, the file's size or the element's
 * alignment), -ENOSPC (no room for the pages; nothing changed), or -errno of fsetxattr(2). Calls for one file
 * must not overlap.
 */
SEGFS_PUBLIC int segfs_segment_set(int fd, const char *name, const char *value, size_t len, int flags);

SEGFS_END
