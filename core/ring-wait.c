/* SPDX-License-Identifier: MIT */
#include "ring-internal.h"

#include <errno.h>
#include <time.h>

#include "atomics.h"
#include "futex.h"
#include "ring-words.h"
#include "util.h"

enum { BLIND_NAP_NS = 1000000 };

struct segfs_patience segfs_patience_start(int64_t spin_ns, int64_t timeout_ns)
{
	return (struct segfs_patience){
		.spin_end = segfs_futex_deadline(MAX(spin_ns, 0)),
		.end = segfs_futex_deadline(timeout_ns),
	};
}

static bool reached(int64_t end)
{
	return end != SEGFS_FUTEX_NEVER && segfs_futex_deadline(0) >= end;
}

bool segfs_patience_ended(const struct segfs_patience *patience)
{
	return reached(patience->end);
}

static bool spin(bool (*ready)(struct segfs_ring *ring, uint64_t wanted), uint64_t wanted,
		 struct segfs_ring *ring, const struct segfs_patience *patience)
{
	int looks = 16; /* in any case; then the clock is read less often, as a frame may come meanwhile */

	do {
		for (int i = 0; i < looks; i++) {
			if (ready(ring, wanted))
				return true;
			cpu_pause();
		}
		looks = 128;
	} while (!reached(MIN(patience->spin_end, patience->end)));
	return false;
}

/* Whatever happens behind the last look also ends the sleep: or, should its author be killed before it can
 * wake us, or not know of us, the nap's end does. */
static int nap(struct segfs_layout_event *event, bool wakeable,
	       bool (*ready)(struct segfs_ring *ring, uint64_t wanted), uint64_t wanted,
	       struct segfs_ring *ring, const struct segfs_patience *patience)
{
	uint32_t sleepers;
	bool sure;

	if (!wakeable)
		return segfs_futex_wait(&event->sleepers, ring_sleepers(event), patience->end, BLIND_NAP_NS);
	sleepers = ring_set_sleeps(event, &sure);
	if (ready(ring, wanted))
		return 0;
	return segfs_futex_wait(&event->sleepers, sleepers, patience->end,
				sure ? SEGFS_NAP_NS : BLIND_NAP_NS);
}

int segfs_ring_wait(struct segfs_layout_event *event, bool wakeable,
		    bool (*ready)(struct segfs_ring *ring, uint64_t wanted), uint64_t wanted,
		    struct segfs_ring *ring, const struct segfs_patience *patience)
{
	if (spin(ready, wanted, ring, patience))
		return 0;
	while (!ready(ring, wanted)) {
		int r = nap(event, wakeable, ready, wanted, ring, patience);

		if (r < 0)
			return r;
	}
	return 0;
}

void segfs_ring_settle(void)
{
	struct timespec left = {.tv_nsec = SEGFS_RING_SETTLE_NS};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}

void segfs_ring_wake(struct segfs_layout_event *event)
{
	uint32_t sleepers = ring_sleepers(event);

	if (sleepers % 2 == 1 && ring_clear_sleeps(event, sleepers))
		segfs_futex_wake(&event->sleepers, SEGFS_FUTEX_ALL);
}
