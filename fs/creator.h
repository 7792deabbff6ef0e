/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who created a segment through the mount: kept on the file itself, where only root reads it, so that it
 * survives the daemon.
 */
#include "fs.h"

#define CREATOR_ATTR "trusted.segfs.creator"
#define CREATOR_MAX  128

/* Note the requester as the creator of the new file `fd`. Call as root. Without room for it in the store the
 * file has no known creator. */
void creator_record(fuse_req_t req, int fd, ino_t ino);

/*
 * "pid 812 uid 1000 start 8123456 command python3": start is in clock ticks since boot, field 22 of
 * /proc/PID/stat, and makes a reused pid another process; the command comes last as it may hold spaces. Call
 * as root. A length, or -ENODATA if nobody is known, or -errno.
 */
ssize_t creator_read(int fd, ino_t ino, char ret_text[CREATOR_MAX]);
