/* SPDX-License-Identifier: MIT */
#pragma once

/* Who holds the lock in a segment's control page: what the page says, and whose thread ids those are. */
#include "control-state.h"
#include "fs.h"
#include "locks.h"

/*
 * Read the page open as `page_fd`, of the segment with this inode number of the store; -1: there is none.
 * Those who have it mapped are found in `census`, which is of all files of the store, or if that is NULL in
 * one that is taken if need be, which makes the call as slow. *ret_lock is to be cleared, *ret_state may be
 * NULL. 0 or -errno, with neither touched; -ENOENT: no page, or one of no use.
 */
int page_lock_read(const struct fs *fs, int page_fd, ino_t ino, const struct segfs_census *census,
		   struct segfs_page_lock *ret_lock, struct segfs_control_state *ret_state);
