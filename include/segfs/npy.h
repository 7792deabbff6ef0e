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

SEGFS_END
