/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Slots: an array with a row for each worker, in which no two workers write to the same cache lines. Two
 * counters on one line, written by two processors, are several times slower than on two, though neither
 * processor ever looks at the other's.
 *
 * That is all in the element type: "[('value', '<f8', (3,)), ('', '|V104')]" is a row of three numbers padded
 * to 128 bytes (two lines, as processors fetch them in pairs), and an array of these with the shape
 * (n_workers,) is an ordinary segment. Every client reads it by its attributes, numpy as `a["value"][i]`.
 * What this module does not do: it makes nothing atomic. A row has one writer; its readers may see half of a
 * change, unless they read single aligned numbers.
 */
#include <stdint.h>
#include <sys/types.h>

#include <segfs/array.h>
#include <segfs/export.h>
#include <segfs/mapping.h>

SEGFS_BEGIN

#define SEGFS_SLOTS_ALIGNMENT 128 /* bytes; an element is a multiple of it */

/*
 * The type of a row with elements of the type `element` in the shape of `ndim` lengths (0: one element), in C
 * order. 0, or -EINVAL (a row of no bytes, more than SEGFS_MAX_NDIM dimensions), -EOVERFLOW (2^31 bytes or
 * more), -ENOMEM. Free it with segfs_dtype_free(). Any thread.
 */
SEGFS_PUBLIC int segfs_slots_dtype(const struct segfs_dtype *element, const uint64_t *row_shape,
				   unsigned ndim, struct segfs_dtype **ret_dtype);

/*
 * Make the empty file `fd` (open for reading and writing) an array of `n_workers` such rows, all zero: its
 * attributes, whatever they were, its size and its pages. 0, or as segfs_slots_dtype() and
 * segfs_segment_set(), or -EEXIST (the file is not empty). After a failure it is empty and without attributes
 * again. Calls for one file must not overlap.
 */
SEGFS_PUBLIC int segfs_slots_format(int fd, const struct segfs_dtype *element, const uint64_t *row_shape,
				    unsigned ndim, uint64_t n_workers);

/*
 * The same at `path`, mapped; or attach to what is there. `element` is the text of a dtype. Flags, mode and
 * errors are those of segfs_mapping_create(), and segfs_slots_dtype()'s.
 */
SEGFS_PUBLIC int segfs_slots_create(const char *path, int flags, mode_t mode, const char *element,
				    const uint64_t *row_shape, unsigned ndim, uint64_t n_workers,
				    struct segfs_mapping **ret_mapping);

/*
 * The row of worker `i` in `file`, the mapping of a whole file that `array` describes. NULL if there is no
 * such row, or if this is no array of slots: not one dimension, or rows that share lines. Check that the
 * array lies within the file before (segfs_segment_read() does).
 */
SEGFS_PUBLIC void *segfs_slots_row(const struct segfs_array *array, void *file, uint64_t i);

/* What an array of slots is; the type is the array's and lives as long. */
struct segfs_slots_info {
	uint64_t n_workers;
	size_t row;			 /* bytes from one worker's to the next, a multiple of 128 */
	const struct segfs_field *value; /* the dtype of an element and the shape of a row */
};

/*
 * Is this an array of slots: rows as segfs_slots_dtype() has them, in one dimension and on lines of their
 * own? 0, or -EINVAL and *ret_info untouched. Any thread.
 */
SEGFS_PUBLIC int segfs_slots_read(const struct segfs_array *array, struct segfs_slots_info *ret_info);

/* Write that in one line, without the end of the line; without `shape` a row is one element:
 *	workers 8 row 128 shape 3 dtype <f8
 * Returns as segfs_dtype_format(). */
SEGFS_PUBLIC size_t segfs_slots_info_format(const struct segfs_slots_info *info, char *buf, size_t size);

SEGFS_END
