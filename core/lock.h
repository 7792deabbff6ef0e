/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The lock in a control page (segfs/layout.h): one exclusive holder or up to 64 shared ones, across
 * processes, and whoever dies in it does not keep it.
 *
 * `self` is what segfs_robust_owner() gave for the area in which the page is mapped. Timeouts are
 * nanoseconds; 0 tries once, a negative one waits for ever. Whatever stands in the page, nothing here
 * crashes, and nothing takes longer than its timeout; a page that somebody has filled with nonsense may let
 * in nobody, or all.
 */
#include <stdint.h>

#include <segfs/layout.h>

#include "robust.h"

/* The owner words of the page, for segfs_robust_map(). */
enum { SEGFS_LOCK_WORDS = 3 };
extern const struct segfs_words segfs_lock_words[SEGFS_LOCK_WORDS];

/*
 * Take the lock exclusively. 0, or 1 if an exclusive holder died since the lock was last held exclusively:
 * what it protects may be half written. -EBUSY: held, and timeout_ns is 0. -ETIMEDOUT.
 */
int segfs_lock_take(struct segfs_layout_control *page, uint32_t self, int64_t timeout_ns);

/* Let go. 0, or -EPERM if `self` does not hold it. */
int segfs_lock_drop(struct segfs_layout_control *page, uint32_t self);

/*
 * Take the lock with others, and find out the slot to part with. As segfs_lock_take(); 1 is returned to all
 * until somebody has held it exclusively. While all slots are in use it counts as held.
 */
int segfs_lock_join(struct segfs_layout_control *page, uint32_t self, int64_t timeout_ns, unsigned *ret_slot);

/* Let go. 0, or -EPERM if `self` does not hold that slot. */
int segfs_lock_part(struct segfs_layout_control *page, uint32_t self, unsigned slot);
