/* SPDX-License-Identifier: MIT */
#include <segfs/ring.h>

#include "ring-internal.h"
#include "ring-words.h"
#include "util.h"

/* What can be read, at one moment: frames from `oldest` to `committed`. */
struct window {
	uint64_t committed, begun, oldest;
};

/* In the order, and with the check, that layout.h gives for the three. */
static int look(const struct segfs_ring *ring, struct window *ret_window)
{
	uint64_t committed = ring_committed(ring->header), begun = ring_begun(ring->header);
	uint64_t again = ring_committed(ring->header), capacity = ring->info.capacity;

	if (begun > INT64_MAX || begun < committed || (begun > again && begun - again > capacity))
		return -EUCLEAN;
	ret_window->committed = committed;
	ret_window->begun = begun;
	ret_window->oldest = begun > capacity ? begun - capacity : 0;
	return 0;
}

/* ---- coming and going */

static uint64_t first_frame(const struct window *window, enum segfs_ring_start start)
{
	if (start == SEGFS_RING_OLDEST)
		return MIN(window->oldest, window->committed);
	if (start == SEGFS_RING_NEWEST && window->committed > window->oldest)
		return window->committed - 1;
	return window->committed;
}

/* Tell the producer. Only one that waits for consumers may be asleep. */
static void publish_next(struct segfs_ring *ring)
{
	if (ring->consumer.owner == 0)
		return;
	ring_set_next(ring->consumer.place, ring->consumer.next);
	if (ring->info.policy == SEGFS_RING_BLOCK)
		segfs_ring_wake(&ring->header->released);
}

/* Until `next` changes, the producer waits for what the dead one was reading. */
static bool take_place(struct segfs_ring *ring, struct segfs_layout_consumer *place, uint32_t me)
{
	uint32_t old = ring_owner(&place->owner);

	if (ring_lives(ring->header, old) || !ring_take(&place->owner, old, me))
		return false;
	if (!ring_is_free(old)) {
		ring_count_dropped(ring->header);
		segfs_robust_settle();
	}
	ring_set_lost(place, 0);
	ring->consumer.owner = me;
	ring->consumer.place = place;
	return true;
}

static int take_any_place(struct segfs_ring *ring, uint32_t me)
{
	for (int i = 0; i < SEGFS_RING_CONSUMERS; i++)
		if (take_place(ring, &ring->header->consumers[i], me))
			return 0;
	return -EUSERS;
}

/* The place is seen by a producer that commits from now on. */
static void show_place(void)
{
	if (!segfs_barrier_heavy())
		segfs_ring_settle();
}

static void give_up_place(struct segfs_ring *ring)
{
	uint32_t owner = ring->consumer.owner;

	ring->consumer.owner = 0;
	if (!segfs_ring_holds(ring, owner))
		return;
	ring_give_up(&ring->consumer.place->owner, owner);
	segfs_ring_wake(&ring->header->released);
}

static int begin(struct segfs_ring *ring, enum segfs_ring_start start)
{
	struct window window;
	int r = look(ring, &window);

	if (r < 0)
		return r;
	ring->consumer.next = first_frame(&window, start);
	ring->consumer.acquired = ring->consumer.skipped = ring->consumer.lost = 0;
	ring->consumer.active = true;
	return 0;
}

/* First the place, then a look at what is committed: from there on frames are kept for us, as layout.h
 * explains. */
SEGFS_PUBLIC int segfs_ring_join(struct segfs_ring *ring, enum segfs_ring_start start)
{
	int r, me = segfs_robust_owner(ring->area);

	if (me <= 0)
		return me < 0 ? me : -EROFS;
	if (ring->consumer.active)
		return -EALREADY;
	r = take_any_place(ring, (uint32_t)me);
	if (r < 0)
		return r;
	show_place();
	r = begin(ring, start);
	if (r < 0)
		give_up_place(ring);
	else
		publish_next(ring);
	return r;
}

SEGFS_PUBLIC int segfs_ring_follow(struct segfs_ring *ring, enum segfs_ring_start start)
{
	return ring->consumer.active ? -EALREADY : begin(ring, start);
}

SEGFS_PUBLIC int segfs_ring_leave(struct segfs_ring *ring)
{
	if (!ring->consumer.active)
		return -ENOTCONN;
	ring->consumer.active = false;
	if (ring->consumer.owner != 0)
		give_up_place(ring);
	return 0;
}

/* ---- reading */

static bool are_there(struct segfs_ring *ring, uint64_t wanted)
{
	uint64_t committed = ring_committed(ring->header);

	return committed >= ring->consumer.next && committed - ring->consumer.next >= wanted;
}

static void count_lost(struct segfs_ring *ring, uint64_t n)
{
	ring->consumer.lost += n;
	if (ring->consumer.owner != 0)
		ring_set_lost(ring->consumer.place, ring->consumer.lost);
}

/* The oldest frame is the next to go. Only a producer that waits for us will leave it to us; of another the
 * half of the ring that comes last gives time to read. */
static uint64_t where_to_go_on(const struct segfs_ring *ring, const struct window *window)
{
	uint64_t middle = window->begun - ring->info.capacity / 2;

	if (ring->consumer.owner != 0 && ring->info.policy == SEGFS_RING_BLOCK)
		return window->oldest;
	return MAX(window->oldest, MIN(middle, window->committed));
}

static void catch_up(struct segfs_ring *ring, const struct window *window)
{
	uint64_t next = where_to_go_on(ring, window);

	ring->consumer.skipped += next - ring->consumer.next;
	count_lost(ring, next - ring->consumer.next);
	ring->consumer.next = next;
	ring->consumer.acquired = 0;
	publish_next(ring);
}

/* How many there are to be read, which may be too few when some have just been lost. */
static int take(struct segfs_ring *ring, uint64_t *ret_n)
{
	struct window window;
	int r = look(ring, &window);

	if (r < 0)
		return r;
	if (ring->consumer.next < window.oldest)
		catch_up(ring, &window);
	*ret_n = window.committed > ring->consumer.next ? window.committed - ring->consumer.next : 0;
	return 0;
}

/* There are enough, unless a producer laps us while we look: then wait again, for as long as is left. */
static int wait_and_take(struct segfs_ring *ring, uint64_t min, int64_t spin_ns, int64_t timeout_ns,
			 uint64_t *ret_n)
{
	struct segfs_patience patience = segfs_patience_start(spin_ns, timeout_ns);
	int r;

	do {
		r = segfs_ring_wait(&ring->header->committed, ring->writable, are_there, min, ring,
				    &patience);
		if (r == 0)
			r = take(ring, ret_n);
		if (r < 0 || *ret_n >= min)
			return r;
	} while (!segfs_patience_ended(&patience));
	return -ETIMEDOUT;
}

SEGFS_PUBLIC ssize_t segfs_ring_acquire(struct segfs_ring *ring, uint64_t min, uint64_t max, int64_t spin_ns,
					int64_t timeout_ns, const void **ret_frames, uint64_t *ret_lost)
{
	uint64_t n = 0;
	int r = 0;

	if (!ring->consumer.active)
		return -ENOTCONN;
	if (min == 0 || min > max || min > ring->info.capacity)
		return -EINVAL;
	if (are_there(ring, min))
		r = take(ring, &n);
	if (r == 0 && n < min)
		r = wait_and_take(ring, min, spin_ns, timeout_ns, &n);
	if (r < 0)
		return r;
	n = MIN(n, max);
	ring->consumer.acquired = n;
	*ret_frames = segfs_ring_frame(ring, ring->consumer.next);
	if (ret_lost)
		*ret_lost = ring->consumer.skipped;
	ring->consumer.skipped = 0;
	return (ssize_t)n;
}

/* How many of the first `n` frames have been touched since they were acquired. */
static uint64_t count_torn(const struct segfs_ring *ring, uint64_t n)
{
	uint64_t begun = ring_begun_after(ring->header), end = ring->consumer.next + ring->info.capacity;

	return begun > end ? MIN(n, begun - end) : 0;
}

SEGFS_PUBLIC ssize_t segfs_ring_release(struct segfs_ring *ring, uint64_t n)
{
	uint64_t torn;

	if (!ring->consumer.active)
		return -ENOTCONN;
	if (n > ring->consumer.acquired)
		return -EINVAL;
	torn = count_torn(ring, n);
	if (torn > 0)
		count_lost(ring, torn);
	ring->consumer.next += n;
	ring->consumer.acquired -= n;
	publish_next(ring);
	return (ssize_t)torn;
}

SEGFS_PUBLIC uint64_t segfs_ring_next_read(const struct segfs_ring *ring)
{
	return ring->consumer.next;
}
