/* SPDX-License-Identifier: MIT */

/* Built without libpng. */
#include "image.h"

#include <errno.h>

int segfs_image_init(struct segfs_image *ret_image, const struct segfs_array *array)
{
	return -EOPNOTSUPP;
}

int segfs_image_render(const struct segfs_image *image, const struct segfs_array *array, int fd,
		       char **ret_png)
{
	return -EOPNOTSUPP;
}
