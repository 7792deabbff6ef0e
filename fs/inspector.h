/* SPDX-License-Identifier: MIT */
#pragma once

/* user.shm.lock and user.shm.attached: read from /proc, in the slow lane. */
#include <sys/types.h>

#include "fs.h"

enum inspection { INSPECT_LOCK, INSPECT_ATTACHED };

/* Answer, later, a GETXATTR of `size` bytes room for the file with this inode number of the store. `page_fd`,
 * taken over: its control page, -1 if there is none. */
void inspector_submit(fuse_req_t req, enum inspection what, ino_t ino, int page_fd, size_t size);
