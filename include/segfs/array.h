/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A typed segment: which element type, how many in each dimension, laid out how, from which byte on.
 *
 * This is what the attributes user.shm.dtype, .shape, .order and .offset of a segment say together, or a .npy
 * header. What this module does not do: it maps nothing and never touches the elements.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <segfs/dtype.h>
#include <segfs/export.h>

SEGFS_BEGIN

#define SEGFS_MAX_NDIM 64 /* numpy 2's NPY_MAXDIMS */

struct segfs_array {
	struct segfs_dtype *dtype; /* owned */
	unsigned ndim;		   /* 0: a scalar, one element */
	uint64_t shape[SEGFS_MAX_NDIM];
	char order;	 /* 'C': the last index varies fastest; 'F': the first */
	uint64_t offset; /* bytes before the first element */
};

/* Free what an array owns and zero it, not the struct itself. */
SEGFS_PUBLIC void segfs_array_clear(struct segfs_array *array);

/*
 * Parse "1000,1000", "(1000, 1000)", "[1000,1000]", "(3,)", "7", "(7)", or nothing at all ("", "()", "[]"), a
 * scalar. Lengths are decimal and may be 0. 0, or -EINVAL (not a shape, more than SEGFS_MAX_NDIM dimensions),
 * -EOVERFLOW (a length above INT64_MAX). Outputs are untouched on failure. Any thread.
 */
SEGFS_PUBLIC int segfs_shape_parse(const char *text, size_t len, uint64_t ret_shape[SEGFS_MAX_NDIM],
				   unsigned *ret_ndim);

/* Write a shape as "1000,1000"; "" for a scalar. Returns as segfs_dtype_format(). */
SEGFS_PUBLIC size_t segfs_shape_format(const uint64_t *shape, unsigned ndim, char *buf, size_t size);

/*
 * The number of elements (1 for a scalar, 0 if any length is 0) and of bytes, without the offset.
 * 0 or -EOVERFLOW (more than INT64_MAX elements or bytes; as in numpy, a 0 among the lengths does not help).
 */
SEGFS_PUBLIC int segfs_array_count(const struct segfs_array *array, uint64_t *ret_elements,
				   uint64_t *ret_bytes);

/*
 * The bytes from an element to the next along each dimension, as numpy's `strides`; nothing for a scalar. Of
 * an array that segfs_array_count() takes; some of no elements have others in numpy, where none matters.
 */
SEGFS_PUBLIC void segfs_array_strides(const struct segfs_array *array, uint64_t ret_strides[SEGFS_MAX_NDIM]);

/* Same dtype, shape and order of the elements: C and F are the same for what has one dimension. The offsets
 * may differ. */
SEGFS_PUBLIC bool segfs_array_equal(const struct segfs_array *a, const struct segfs_array *b);

/*
 * Does the array lie within a file of `file_size` bytes? An empty array must still begin within it, at its
 * end at most. 0, or -EINVAL (too small, order neither C nor F), -EOVERFLOW.
 */
SEGFS_PUBLIC int segfs_array_fits(const struct segfs_array *array, uint64_t file_size);

/* And are its elements aligned as its dtype asks, if the file is mapped? 0, or -EINVAL if not, too. */
SEGFS_PUBLIC int segfs_array_check(const struct segfs_array *array, uint64_t file_size);

SEGFS_END
