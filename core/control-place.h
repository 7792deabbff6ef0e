/* SPDX-License-Identifier: MIT */
#pragma once

/* Where the control page of a segment is: see segfs/control.h. */
#include <sys/types.h>

/*
 * Open it, and make it if there is none; `flags` are O_RDONLY or O_RDWR. A descriptor, or the errors of
 * segfs_control_open().
 */
int segfs_control_place_open(const char *path, int flags);

/*
 * From an open directory (O_PATH is enough) upwards to the first `.segfs-control`, within the mount, for a
 * segment of this owner in that directory. A descriptor; or the errors of segfs_control_dir_open(), among
 * them -ENOENT: there is none. Then *ret_top_fd, if asked for, is the topmost directory that was looked in;
 * in every other case it is untouched.
 */
int segfs_control_place_search(int dir_fd, uid_t owner, int *ret_top_fd);
