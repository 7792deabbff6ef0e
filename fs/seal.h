/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sealing a segment: it stays as it is, for good. user.shm.sealed=1 takes the write bits off the file in the
 * store; through the mount nobody, root included, opens it for writing, resizes it, gives it write bits again
 * or changes its type, which is EPERM. It can be renamed and removed. Kept as a note on the file (note.h).
 */
#include "fs.h"

/* Of a file's mode. */
#define WRITE_BITS 0222

/* Is the open file sealed? Call as root. */
bool seal_holds(int fd, ino_t ino);

/*
 * Seal the segment `fd` of a node (O_PATH). 0, -EBUSY after some 100 ms in which somebody had it open or
 * mapped for writing, or -errno. Call as root, without the rights lock.
 */
int seal_set(struct fs *fs, uint64_t ino, int fd);
