/* SPDX-License-Identifier: MIT */

/* Built without libnuma. */
#include "placement.h"

#include <errno.h>

int segfs_placement_set(int fd, const char *text, size_t len)
{
	return -EOPNOTSUPP;
}

ssize_t segfs_placement_get(int fd, char **ret_text)
{
	return -EOPNOTSUPP;
}
