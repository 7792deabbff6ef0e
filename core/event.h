/* SPDX-License-Identifier: MIT */
#pragma once

/* Counters that can be waited for (segfs/layout.h), across processes. */
#include <stdbool.h>
#include <stdint.h>

#include <segfs/layout.h>

/* Add `n` and wake all who wait. The count after that. */
uint64_t segfs_event_add(struct segfs_layout_event *event, uint64_t n);

/*
 * For who sleeps by other means than the wait below: let the next segfs_event_add() wake sleepers. What
 * `event->sleepers` is now is returned: look at the count after that, and sleep while `sleepers` is the same,
 * SEGFS_NAP_NS at most.
 */
uint32_t segfs_event_arm(struct segfs_layout_event *event);

/* The count now. Who has armed before this has not missed anything. */
uint64_t segfs_event_count(const struct segfs_layout_event *event);

/*
 * Wait until the count is more than `count`, `timeout_ns` at most: 0 looks once, a negative one waits for
 * ever. If the event is not `writable`, its mapping being for reading only, the wait is one of many short
 * sleeps unless somebody else waits who may write: news may take a few milliseconds. 0 and what the count
 * is, or -ETIMEDOUT, or -EFAULT (its file has been cut).
 */
int segfs_event_wait(struct segfs_layout_event *event, bool writable, uint64_t count, int64_t timeout_ns,
		     uint64_t *ret_count);
