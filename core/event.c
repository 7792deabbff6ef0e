/* SPDX-License-Identifier: MIT */
#include "event.h"

#include <errno.h>

#include "atomics.h"
#include "futex.h"
#include "util.h"

#define SPINS 100

/* Whoever may not write cannot ask to be woken. Its first sleep is as long as this, each one twice the one
 * before, to a bound at which looking costs a thousandth of a processor. */
#define FIRST_NAP_NS   INT64_C(100000)
#define LONGEST_NAP_NS INT64_C(4000000)

/* An odd number: somebody sleeps, or has died asleep. Each waking makes it another one, never seen before. */
static void wake(uint32_t *sleepers)
{
	uint32_t seen = word_load_seq_cst(sleepers);

	if (seen % 2 != 0 && word_cas_seq_cst(sleepers, &seen, seen + 1)) /* else somebody else has */
		segfs_futex_wake(sleepers, SEGFS_FUTEX_ALL);
}

uint64_t segfs_event_add(struct segfs_layout_event *event, uint64_t n)
{
	uint64_t count = count_add_seq_cst(&event->count, n) + n;

	wake(&event->sleepers);
	return count;
}

uint32_t segfs_event_arm(struct segfs_layout_event *event)
{
	return word_or_seq_cst(&event->sleepers, 1) | 1;
}

uint64_t segfs_event_count(const struct segfs_layout_event *event)
{
	return count_load_seq_cst(&event->count);
}

/* The short way, for news that is there or about to come. */
static bool spin(const struct segfs_layout_event *event, uint64_t count, int spins, uint64_t *ret_count)
{
	uint64_t seen = count_load_acquire(&event->count);

	for (; seen <= count && spins > 0; spins--) {
		cpu_pause();
		seen = count_load_acquire(&event->count);
	}
	if (seen > count)
		*ret_count = seen;
	return seen > count;
}

/* Of a publisher that adds and then looks for sleepers, and this, which writes and reads the other way round,
 * one sees the other. */
static int sleep_once(struct segfs_layout_event *event, bool writable, uint64_t count, int64_t deadline,
		      int64_t nap_ns)
{
	uint32_t sleepers = writable ? segfs_event_arm(event) : word_load_seq_cst(&event->sleepers);

	if (segfs_event_count(event) > count)
		return 0;
	return segfs_futex_wait(&event->sleepers, sleepers, deadline, nap_ns);
}

int segfs_event_wait(struct segfs_layout_event *event, bool writable, uint64_t count, int64_t timeout_ns,
		     uint64_t *ret_count)
{
	int64_t deadline, nap_ns = writable ? SEGFS_NAP_NS : FIRST_NAP_NS;
	int r = 0;

	if (spin(event, count, timeout_ns == 0 ? 0 : SPINS, ret_count))
		return 0;
	if (timeout_ns == 0)
		return -ETIMEDOUT;
	deadline = segfs_futex_deadline(timeout_ns);
	while (r == 0) {
		r = sleep_once(event, writable, count, deadline, nap_ns);
		if (spin(event, count, 0, ret_count))
			return 0;
		if (!writable)
			nap_ns = MIN(2 * nap_ns, LONGEST_NAP_NS);
	}
	return r;
}
