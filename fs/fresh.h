/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Is what the kernel believes still true?
 *
 * The kernel caches names, attributes and with them the right to pass a directory. The store can change behind the mount; inotify
 * tells of it within milliseconds (watch.h). What must not be wrong even for these, opening and changing a file, comes here first: a few fstat(2)
 * show whether anything on the way to it has changed since the kernel was told. If so, the cache is invalidated and -ESTALE returned, on which the
 * kernel walks the whole path again, asking for everything (path_openat() and retry_estale() with LOOKUP_REVAL), and judges by the truth.
 */
#include <stdint.h>
#include <sys/stat.h>

struct fs;
struct told;

/* What an open file (O_PATH is enough) looks like. */
struct told fresh_look(int fd, const struct stat *st);

/* A file found at `ino` whose present state is `st` by descriptor `fd`, about to be opened. 0, or -ESTALE: walk again. */
int fresh_check_file(struct fs *fs, uint64_t ino, int fd, const struct stat *st);

/* A directory, in which something is about to be done by name, and all above it. 0, or -ESTALE: walk again. */
int fresh_check_path(struct fs *fs, uint64_t dir);

/* Something may have happened to a file: if so, the kernel shall ask again. Not to be called with a lock held. */
void fresh_refresh(struct fs *fs, uint64_t ino);
