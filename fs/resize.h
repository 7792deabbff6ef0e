/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changing the size of a segment: truncate(2), ftruncate(2), O_TRUNC.
 *
 * Growing, with -o reserve or huge=always, brings the pages along or is ENOSPC. Shrinking kills with SIGBUS
 * whoever has mapped what goes, and is refused with ETXTBSY while a process other than the requester's has
 * the segment mapped. That nobody else has it open at all a lease tells at once, and keeps others out
 * meanwhile. Where somebody has, only /proc tells whether it is mapped: the slow lane looks, and then does
 * it. What comes between that look and the deed, and what is done in the store itself, is not prevented.
 * Source: fcntl(2), F_SETLEASE.
 */
#include "fs.h"

/*
 * Change the size of a node's file as the requester: `fd` is open for writing, by this call's maker alone.
 * 0, or -EPERM (sealed), -ENOSPC, -EBUSY (it would shrink, and others have it open: resize_ask(); not if
 * `asked`), or another -errno. Call as root.
 */
int resize(fuse_req_t req, uint64_t ino, int fd, off_t size, bool asked);

/* The same of a file that is not open yet (`fd`: O_PATH), if the requester may write to it: truncate(2),
 * which changes no time where it changes nothing, and O_TRUNC, which always does. */
int resize_by_path(fuse_req_t req, uint64_t ino, int fd, off_t size, bool asked);
int resize_to_empty(fuse_req_t req, uint64_t ino, int fd, bool asked);

/* To be the first member of what is needed to go on; allocated with malloc(). */
struct resize_job {
	struct slow_job job;
	void (*resume)(struct resize_job *job); /* nobody has it mapped: do it, and reply */
	ino_t number;
};

/* Ask, in the slow lane, who has the file with this inode number mapped. Takes the job over; replies ETXTBSY
 * if others have. */
void resize_ask(fuse_req_t req, ino_t number, void (*resume)(struct resize_job *job), struct resize_job *job);
