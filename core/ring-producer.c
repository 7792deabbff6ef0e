/* SPDX-License-Identifier: MIT */
#include <segfs/ring.h>

#include <sys/mman.h>

#include "ring-internal.h"
#include "ring-words.h"
#include "util.h"

/* ---- coming and going */

static int take_word(struct segfs_ring *ring, uint32_t me)
{
	uint32_t *word = &ring->header->producer, old = ring_owner(word);

	if (ring_lives(ring->header, old) || !ring_take(word, old, me))
		return -EBUSY;
	ring->producer.owner = me;
	return !ring_is_free(old);
}

/* No thread of the dead producer can execute another instruction, after the first; and what one may still be
 * in, such as a read(2) into a frame, ends soon. */
static void settle(void)
{
	segfs_robust_settle();
	segfs_ring_settle();
}

/* In place of the predecessor. Frames it has begun lie before `begun`, which therefore never goes back. */
static int take_over(struct segfs_ring *ring)
{
	uint64_t head = ring_committed(ring->header), begun = ring_begun(ring->header);

	if (begun > INT64_MAX || begun < head || begun - head > ring->info.capacity)
		return -EUCLEAN;
	ring->producer.head = head;
	ring->producer.begun = begun;
	ring->producer.limit = head;
	ring->producer.reserved = 0;
	ring_count_epoch(ring->header);
	return 0;
}

static int make_writable(struct segfs_ring *ring)
{
	return mprotect(ring->frames, 2 * ring->length, PROT_READ | PROT_WRITE) < 0 ? -errno : 0;
}

SEGFS_PUBLIC int segfs_ring_attach(struct segfs_ring *ring)
{
	int died, r, me = segfs_robust_owner(ring->area);

	if (me <= 0)
		return me < 0 ? me : -EROFS;
	if (ring->producer.owner != 0)
		return -EALREADY;
	died = take_word(ring, (uint32_t)me);
	if (died < 0)
		return died;
	if (died)
		settle();
	r = take_over(ring);
	if (r == 0)
		r = make_writable(ring);
	if (r < 0)
		segfs_ring_detach(ring);
	return r < 0 ? r : died;
}

SEGFS_PUBLIC int segfs_ring_detach(struct segfs_ring *ring)
{
	uint32_t owner = ring->producer.owner;

	if (owner == 0)
		return -ENOTCONN;
	ring->producer.owner = 0;
	mprotect(ring->frames, 2 * ring->length, PROT_READ);
	if (segfs_ring_holds(ring, owner))
		ring_give_up(&ring->header->producer, owner);
	return 0;
}

/* ---- room for frames */

/* Whoever frees the place counts; another may be faster, to take it for itself. What the dead one would have
 * made of frames that are overwritten under its eyes, it makes no more after the last line. */
static void drop(struct segfs_ring *ring, struct segfs_layout_consumer *place, uint32_t owner)
{
	if (ring_take(&place->owner, owner, 0))
		ring_count_dropped(ring->header);
	segfs_robust_settle();
}

/* The first frame that somebody has not released: a consumer that joins while we look is served by what is
 * committed already, see `next` in layout.h. */
static uint64_t first_wanted(struct segfs_ring *ring)
{
	uint64_t first = ring->producer.head;

	for (int i = 0; i < SEGFS_RING_CONSUMERS; i++) {
		struct segfs_layout_consumer *place = &ring->header->consumers[i];
		uint32_t owner = ring_owner(&place->owner);

		if (ring_lives(ring->header, owner)) {
			uint64_t next = ring_next(place); /* it moves, and MIN() looks twice */

			first = MIN(first, next);
		} else if (!ring_is_free(owner)) {
			drop(ring, place, owner);
		}
	}
	return first;
}

static uint64_t room(const struct segfs_ring *ring)
{
	return ring->producer.limit - ring->producer.head;
}

/* The limit never goes back: whoever asks for less joined after it was set, and is only waited for beyond. */
static bool look_for_room(struct segfs_ring *ring, uint64_t wanted)
{
	uint64_t first;

	if (room(ring) >= wanted)
		return true;
	first = ring->info.policy == SEGFS_RING_BLOCK ? first_wanted(ring) : ring->producer.head;
	ring->producer.limit = MAX(ring->producer.limit, first + ring->info.capacity);
	return room(ring) >= wanted;
}

static int wait_for_room(struct segfs_ring *ring, int64_t spin_ns, int64_t timeout_ns)
{
	struct segfs_patience patience = segfs_patience_start(spin_ns, timeout_ns);

	return segfs_ring_wait(&ring->header->released, true, look_for_room, 1, ring, &patience);
}

static void begin(struct segfs_ring *ring, uint64_t n)
{
	uint64_t begun = ring->producer.head + n;

	ring->producer.reserved = n;
	if (begun <= ring->producer.begun)
		return;
	ring->producer.begun = begun;
	ring_set_begun(ring->header, begun);
}

SEGFS_PUBLIC ssize_t segfs_ring_reserve(struct segfs_ring *ring, uint64_t n, int64_t spin_ns,
					int64_t timeout_ns, void **ret_frames)
{
	int r;

	if (ring->producer.owner == 0)
		return -ENOTCONN;
	if (n == 0 || n > ring->info.capacity)
		return -EINVAL;
	if (!look_for_room(ring, n) && room(ring) == 0) {
		r = wait_for_room(ring, spin_ns, timeout_ns);
		if (r < 0)
			return r;
	}
	n = MIN(n, room(ring));
	begin(ring, n);
	*ret_frames = segfs_ring_frame(ring, ring->producer.head);
	return (ssize_t)n;
}

SEGFS_PUBLIC int segfs_ring_commit(struct segfs_ring *ring, uint64_t n)
{
	if (ring->producer.owner == 0)
		return -ENOTCONN;
	if (n > ring->producer.reserved)
		return -EINVAL;
	if (n == 0)
		return 0;
	ring->producer.reserved -= n;
	ring->producer.head += n;
	ring_set_committed(ring->header, ring->producer.head);
	segfs_ring_wake(&ring->header->committed);
	return 0;
}

SEGFS_PUBLIC uint64_t segfs_ring_next_write(const struct segfs_ring *ring)
{
	return ring->producer.head;
}
