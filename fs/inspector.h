/* SPDX-License-Identifier: MIT */
#pragma once

/* user.shm.lock, user.shm.attached and user.shm.huge: read from /proc, in the slow lane. */
#include <sys/types.h>

#include "fs.h"

enum inspection { INSPECT_LOCK, INSPECT_ATTACHED, INSPECT_HUGE };

/* Answer, later, a GETXATTR of `size` bytes room for the file with this inode number of the store. `fd`,
 * taken over: for INSPECT_LOCK its control page, -1 if there is none; for INSPECT_HUGE the file, open for
 * reading. */
void inspector_submit(fuse_req_t req, enum inspection what, ino_t ino, int fd, size_t size);
