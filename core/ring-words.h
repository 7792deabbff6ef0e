/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The ring's shared words: what each access means, and who its partner is; atomics.h has the orders. What is
 * read here was written by strangers: each function reads once, and what it returns is checked before it is
 * used.
 */
#include <stdbool.h>
#include <stdint.h>

#include <segfs/layout.h>

#include "atomics.h"
#include "barrier.h"

/* ---- what can be read */

/* By the producer, before it touches the frames up to `begun`. The fence keeps their bytes behind it;
 * partner: ring_begun_after(). The release keeps `committed` before it; partner: ring_begun(). */
static inline void ring_set_begun(struct segfs_layout_ring *header, uint64_t begun)
{
	count_store_release(&header->begun, begun);
	fence_release();
}

/* By a consumer that has looked at frames: what it saw of them was there before this `begun`. */
static inline uint64_t ring_begun_after(const struct segfs_layout_ring *header)
{
	fence_acquire();
	return count_load_relaxed(&header->begun);
}

static inline uint64_t ring_begun(const struct segfs_layout_ring *header)
{
	return count_load_acquire(&header->begun);
}

/* By the producer, behind the last byte of the frames before `committed` (release; partner: ring_committed())
 * and before it looks for sleepers and at consumers (light; partners: ring_set_sleeps(), segfs_ring_join()).
 */
static inline void ring_set_committed(struct segfs_layout_ring *header, uint64_t committed)
{
	count_store_release(&header->committed.count, committed);
	segfs_barrier_light();
}

/* Acquire: the frames before it are whole. seq_cst: who has set `sleepers` or joined looks once more. */
static inline uint64_t ring_committed(const struct segfs_layout_ring *header)
{
	return count_load_seq_cst(&header->committed.count);
}

/* ---- sleeping on an event */

/* By who is going to sleep, before it looks once more for what it waits for (heavy); partners:
 * ring_set_committed(), ring_set_next(). Returns what to sleep on; *ret_sure is false if it may be
 * overlooked, and shall not sleep for long. */
static inline uint32_t ring_set_sleeps(struct segfs_layout_event *event, bool *ret_sure)
{
	uint32_t sleepers = word_or_seq_cst(&event->sleepers, 1) | 1;

	*ret_sure = segfs_barrier_heavy();
	return sleepers;
}

/* By who has changed something that others may wait for: odd, if somebody does. */
static inline uint32_t ring_sleepers(const struct segfs_layout_event *event)
{
	return word_load_seq_cst(&event->sleepers);
}

/* Before the wake-up: who sets the bit later has looked later than what it is woken for, and who has set it
 * and does not sleep yet finds another number. False: somebody else wakes them. */
static inline bool ring_clear_sleeps(struct segfs_layout_event *event, uint32_t sleepers)
{
	return word_cas_seq_cst(&event->sleepers, &sleepers, sleepers + 1);
}

/* ---- a consumer's place */

/* By the consumer: what it read of the frames before `next` it has read (release; partner: ring_next()); and
 * before it looks for a sleeping producer (light; partner: ring_set_sleeps()). */
static inline void ring_set_next(struct segfs_layout_consumer *place, uint64_t next)
{
	count_store_release(&place->next, next);
	segfs_barrier_light();
}

static inline uint64_t ring_next(const struct segfs_layout_consumer *place)
{
	return count_load_seq_cst(&place->next);
}

/* ---- owner words */

static inline uint32_t ring_owner(const uint32_t *word)
{
	return word_load_seq_cst(word);
}

static inline bool ring_is_free(uint32_t owner)
{
	return (owner & (SEGFS_OWNER_DIED | SEGFS_OWNER_TID)) == 0;
}

/* Of an owner word as it was read: does its process live? Who took it while dying, behind the kernel's mark,
 * has no member slot any more. Acquire: the slot is looked at after the word; partner: who takes the slot
 * first (core/robust.c). */
static inline bool ring_lives(const struct segfs_layout_ring *header, uint32_t owner)
{
	uint32_t tid = owner & SEGFS_OWNER_TID;

	return !ring_is_free(owner) && !(owner & SEGFS_OWNER_DIED) &&
	       word_load_acquire(&header->members[tid % SEGFS_MEMBERS].owner) == tid;
}

/* Take or free a word that has `expected` in it. Acquire: what the one before did comes before; partner:
 * ring_give_up(), or the kernel's mark. A consumer then looks at `committed` behind a heavy barrier. */
static inline bool ring_take(uint32_t *word, uint32_t expected, uint32_t desired)
{
	return word_cas_seq_cst(word, &expected, desired);
}

/* Release: what was done under the word comes before; partner: ring_take(), ring_owner(). */
static inline void ring_give_up(uint32_t *word, uint32_t owner)
{
	word_cas_seq_cst(word, &owner, 0);
}

/* ---- for people to look at */

static inline void ring_count_dropped(struct segfs_layout_ring *header)
{
	count_add_release(&header->dropped, 1);
}

static inline void ring_count_epoch(struct segfs_layout_ring *header)
{
	word_store_relaxed(&header->epoch, word_load_relaxed(&header->epoch) + 1);
}

static inline void ring_set_lost(struct segfs_layout_consumer *place, uint64_t lost)
{
	count_store_relaxed(&place->lost, lost);
}
