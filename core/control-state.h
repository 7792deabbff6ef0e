/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a control page says, to look at: its version, and who holds its lock.
 *
 * It is read with pread(2) and not mapped, so that nobody who cuts the file ends the reader. All of it is
 * what others have written there, each part of its own moment. Who holds the lock is told as thread ids, each
 * in the pid namespace of its thread (segfs/layout.h); /proc tells whose they are.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <segfs/layout.h>

#include "census.h"

struct segfs_control_state {
	uint64_t version;
	uint32_t deaths;	/* of exclusive holders, noticed by the next */
	bool holder_died;	/* and nobody has locked exclusively since */
	bool exclusive;		/* somebody has locked exclusively, or waits for those who share to go */
	uint32_t exclusive_tid; /* if so, who */
	uint32_t shared_tids[SEGFS_CONTROL_READERS];
	size_t n_shared;
};

/* Of an open file, for reading at least. 0, or -EBADMSG (it is shorter than a page), or -errno. */
int segfs_control_state_read(int fd, struct segfs_control_state *ret_state);

/* Only the version, which is one short read. */
int segfs_control_state_version(int fd, uint64_t *ret_version);

/*
 * The process, among those that a census has found to use one of `n` files, that has this thread. 0: none of
 * them. (The same thread id can be in several namespaces: it is then the one with the lowest pid.)
 */
pid_t segfs_control_state_holder(const struct segfs_census *census, const ino_t *inos, size_t n,
				 uint32_t tid);
