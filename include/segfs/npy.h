/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The header of a .npy file, format versions 1.0, 2.0 and 3.0, after the format's own text (numpy.lib.format)
 * and the reader there.
 */
#include <stddef.h>
#include <sys/types.h>

#include <segfs/array.h>
#include <segfs/export.h>

SEGFS_BEGIN

/* The longest header that is read; numpy itself refuses above 10,000 bytes unless told otherwise. */
#define SEGFS_NPY_HEADER_MAX (64 * 1024)

/*
 * How long is the header that begins with these bytes? Give at least 12, or all there are.
 * The length, magic and length field included; or -EINVAL (not a .npy file, an unknown version), -EMSGSIZE
 * (longer than SEGFS_NPY_HEADER_MAX).
 */
SEGFS_PUBLIC ssize_t segfs_npy_header_size(const void *bytes, size_t len);

/*
 * Parse a header. `bytes` holds at least segfs_npy_header_size() bytes and is the caller's own copy: a shared
 * file can change between two looks at it.
 *
 * 0, or -EINVAL (not a valid header: keys missing, twice or unknown, a bad dtype or shape), -ENOTSUP (an
 * object array, pickled and so not shareable), -EMSGSIZE, -EOVERFLOW, -ENOMEM. ret_array->offset is the
 * header's length. *ret_array is untouched on failure; clear it with segfs_array_clear(). The size of the
 * file is not looked at: see segfs_array_check(). Any thread.
 */
SEGFS_PUBLIC int segfs_npy_parse(const void *bytes, size_t len, struct segfs_array *ret_array);

/*
 * Read a file's header with pread(2). As segfs_npy_parse(), also -errno of pread.
 */
SEGFS_PUBLIC int segfs_npy_read(int fd, struct segfs_array *ret_array);

/*
 * Write the header with which numpy.save() would begin the file of an array, its elements to follow at once;
 * array->offset does not matter. Byte for byte as numpy 1.24 and newer do it: the oldest version that can
 * hold it, padded to a multiple of 64 bytes; order C where C and F are the same; and bfloat16, which numpy
 * can name but not read, as two bytes of void, "<V2".
 *
 * Returns the header's length. Nothing is written unless all of it fits into `size` bytes. No NUL is added.
 * A description of tens of thousands of characters gives more than SEGFS_NPY_HEADER_MAX. Any thread.
 */
SEGFS_PUBLIC size_t segfs_npy_format(const struct segfs_array *array, void *buf, size_t size);

SEGFS_END
