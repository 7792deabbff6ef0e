/* SPDX-License-Identifier: MIT */
#pragma once

/* Who created a segment through the mount: a note on the file (note.h). */
#include "fs.h"
#include "note.h"
#include "process.h"

#define CREATOR_NOTE NOTE_PREFIX "creator"
#define CREATOR_MAX  NOTE_MAX

/* Note the requester as the creator of the new file `fd`. Without room for it in the store, or where the
 * requester's process cannot be seen, the file has no known creator. */
void creator_record(fuse_req_t req, int fd, ino_t ino);

/*
 * "pid 812 uid 1000 start 8123456 command python3": start is in clock ticks since boot, field 22 of
 * /proc/PID/stat, and makes a reused pid another process; the command comes last as it may hold spaces. A
 * length, or -ENODATA if nobody is known, or -errno.
 */
ssize_t creator_read(int fd, ino_t ino, char ret_text[CREATOR_MAX]);

/* The same, taken apart. 0 or -errno. */
int creator_get(int fd, ino_t ino, struct segfs_process *ret_process);
