/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where the control pages (segfs/control.h) of the store's segments are: the same place in which the library
 * looks for them on the store's own path, so that those who come by either path meet at one page.
 *
 * A page is a file of the store, in a directory SEGFS_CONTROL_DIR that the mount does not show. All of this
 * acts as root: who may have a page opened is for the caller to judge, by the rights on the segment.
 */
#include "fs.h"

/* The top of the tmpfs that a store is a part of, O_RDONLY | O_DIRECTORY; to be asked for before anything is
 * mounted on the store. A descriptor, or -1: the store is the top. */
int control_open_above(const char *store);

/*
 * Open the page of the segment `fd` (O_PATH is enough), found in the directory `dir_fd`, for reading and
 * writing; it is made if there is none, unless the mount is for reading only. A descriptor, or -EROFS, or the
 * errors of segfs_control_page_open().
 */
int control_open(struct fs *fs, int dir_fd, int fd);

/* The same for reading, if there is one. A descriptor, or -ENOENT, or another -errno. */
int control_find(struct fs *fs, int dir_fd, int fd);

/* The same for a segment that the kernel knows as the node `ino`. */
int control_find_of(struct fs *fs, uint64_t ino, int fd);

/* Whoever may only look on changes nothing. */
bool control_is_read_only(const struct fs *fs);
