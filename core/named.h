/* SPDX-License-Identifier: MIT */
#pragma once

/* Segments by their paths, and new ones that get their name when they are whole: nobody opens half of one. */
#include <sys/types.h>

/*
 * Open a regular file, O_RDONLY or O_RDWR. A descriptor, or -EINVAL (other flags, or not a regular file), or
 * -errno of open(2). Never waits for a pipe's other end.
 */
int segfs_named_open(const char *path, int flags);

/*
 * Open the file at `path` for reading and writing; if there is none, make one. `make` turns an empty file,
 * which has no name yet, into what it is to be; `mode` as of open(2). With O_EXCL in `flags`, there must be
 * none. A descriptor, or -EEXIST (there is one; or a symlink that leads nowhere), -EINVAL (other flags, or
 * not a regular file), -EISDIR (a path without a name), what `make` returned, or -errno of open(2), linkat(2)
 * or renameat2(2).
 *
 * Where the file system has no O_TMPFILE, as a mount of segfs built with libfuse before 3.17, the file has a
 * name for the time being, "new_" and 16 digits. It is left behind by who is killed meanwhile.
 */
int segfs_named_create(const char *path, int flags, mode_t mode, int (*make)(int fd, const void *plan),
		       const void *plan);
