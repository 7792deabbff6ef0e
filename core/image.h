/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An array as a PNG picture whose size is known before it is made, from dtype and shape alone: stat(2) can
 * tell it without a look at the elements, and web servers send exactly that many bytes.
 *
 * Which arrays are pictures, and how numbers become grey: raster.h. The pixels are stored, not compressed,
 * and what zlib spent less than it might have is filled by a chunk "paDd" of zeros, which decoders skip. Two
 * tEXt chunks name the software and the array. Source: the PNG specification (ISO/IEC 15948). Built without
 * libpng, there are no pictures.
 */
#include <stdint.h>

#include <segfs/array.h>

#include "raster.h"

struct segfs_image {
	struct segfs_raster raster;
	uint64_t size; /* bytes of the PNG file */
};

/*
 * Which picture is this array? 0, or -ENOTSUP: none, or built without libpng (-EOPNOTSUPP, the same number on
 * Linux). *ret_image is untouched then.
 */
int segfs_image_init(struct segfs_image *ret_image, const struct segfs_array *array);

/*
 * Make the picture of an array, the one given to segfs_image_init(), from the file `fd`. Others may write to
 * it meanwhile: each element is shown as it was when it was read. *ret_png is image->size bytes, at most some
 * 68 MB, to be free()d; 4 MB more are used meanwhile.
 *
 * 0, or -ESTALE (the file has become too short), -ENOMEM, -EIO (zlib stores less tightly than any we know),
 * -EOPNOTSUPP, or -errno of pread(2). *ret_png is untouched on failure. Any thread.
 */
int segfs_image_render(const struct segfs_image *image, const struct segfs_array *array, int fd,
		       char **ret_png);
