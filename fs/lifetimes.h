/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When a segment is to be removed, as its owner has said (user.shm.lifetime) and as segfs keeps it: a note on
 * the file (note.h), which survives the daemon. A directory's note is what new files and directories in it
 * begin with. Who does the removing: reaper.h.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lifetime.h"

/* Of an open file or directory. 0 (SEGFS_KEEP where nothing is noted) or -errno. */
int lifetimes_get(int fd, ino_t ino, struct segfs_lifetime *ret_lifetime);

/* Note it. 0, or -EINVAL (SEGFS_CREATOR of a file whose creator is unknown), or -errno. `is_dir`: what is in
 * it will have a creator. */
int lifetimes_set(int fd, ino_t ino, bool is_dir, const struct segfs_lifetime *lifetime);

/* A new file or directory `fd` takes over what is noted on its directory. True if that is something. */
bool lifetimes_inherit(int dir_fd, int fd, bool is_dir);

/*
 * When a file was last seen in use, in seconds of CLOCK_BOOTTIME, which runs as long as a tmpfs can last.
 * -ENODATA: never.
 */
int lifetimes_used(int fd, ino_t ino, int64_t *ret_time_s);
int lifetimes_note_use(int fd, ino_t ino);
