/* SPDX-License-Identifier: MIT */
#include "lock.h"

#include <errno.h>
#include <stdbool.h>

#include "atomics.h"
#include "futex.h"
#include "robust.h"

const struct segfs_words segfs_lock_words[SEGFS_LOCK_WORDS] = {
	{.offset = offsetof(struct segfs_layout_control, owner), .stride = SEGFS_LINE, .n = 1},
	{.offset = offsetof(struct segfs_layout_control, readers),
	 .stride = SEGFS_LINE,
	 .n = SEGFS_CONTROL_READERS},
	{.offset = offsetof(struct segfs_layout_control, members),
	 .stride = sizeof(struct segfs_layout_member),
	 .n = SEGFS_MEMBERS,
	 .members = true},
};

/* tests/model/lock.c enumerates what can happen between these steps, and names them as the comments do here:
 * who changes the one changes the other. */

/* How often to look before sleeping, for who is about to let go: a microsecond or so. More does not help
 * where there are more at the lock than processors (tests/bench/lock.c). */
#define SPINS 20

/* Somebody at the lock. The clock is read by those alone who come to wait. */
struct visit {
	struct segfs_layout_control *page;
	uint32_t self;
	int64_t timeout_ns, deadline; /* the latter 0: not known yet */
	int spins, heals; /* left: who writes nonsense all the time does not keep a visitor here */
};

static bool is_free(uint32_t word)
{
	return (word & SEGFS_OWNER_TID) == 0 || word & SEGFS_OWNER_DIED;
}

static void set_deadline(struct visit *visit)
{
	if (visit->deadline == 0)
		visit->deadline = segfs_futex_deadline(visit->timeout_ns);
}

/* Before another look at a word that is about to change, or that changes all the time. */
static int look_again(struct visit *visit)
{
	if (visit->spins > 0) {
		visit->spins--;
		cpu_pause();
		return 0;
	}
	if (visit->timeout_ns == 0)
		return -EBUSY;
	set_deadline(visit);
	return segfs_futex_is_over(visit->deadline) ? -ETIMEDOUT : 0;
}

/*
 * Sleep while a word is as it was seen, but for SEGFS_WAITERS. That is set before the deadline is looked at:
 * whoever was woken and gives up has passed on that others sleep. Not even a try is refused for the sake of
 * somebody who is not there.
 */
static int sleep_on(struct visit *visit, uint32_t *word, uint32_t seen)
{
	if (segfs_robust_heal(visit->page->members, word, seen, visit->self))
		return visit->heals-- > 0 ? 0 : look_again(visit);
	if (visit->timeout_ns == 0)
		return -EBUSY;
	if (!(seen & SEGFS_WAITERS) && !word_cas_seq_cst(word, &seen, seen | SEGFS_WAITERS))
		return look_again(visit);
	set_deadline(visit);
	visit->spins = SPINS;
	return segfs_futex_wait(word, seen | SEGFS_WAITERS, visit->deadline, SEGFS_NAP_NS);
}

/* ------------------------------------------------------------------------------------------------------------
 * Exclusive
 */

/* Who has slept takes the word with SEGFS_WAITERS, as only one was woken. */
static int take_owner(struct visit *visit, uint32_t *ret_was)
{
	uint32_t *owner = &visit->page->owner;
	uint32_t waiters = 0;

	for (;;) {
		uint32_t seen = word_load_relaxed(owner);
		int r;

		if (is_free(seen)) {
			uint32_t mine = visit->self | waiters | (seen & SEGFS_WAITERS);

			if (word_cas_seq_cst(owner, &seen, mine)) {
				*ret_was = seen;
				return 0;
			}
		}
		if (is_free(seen) || (visit->spins > 0 && visit->timeout_ns != 0)) {
			r = look_again(visit);
		} else {
			r = sleep_on(visit, owner, seen);
			waiters = SEGFS_WAITERS;
		}
		if (r < 0)
			return r;
	}
}

/*
 * Leave `left` in the owner word. By compare-and-swap: a thread of a process that is being killed may come
 * here after the kernel has marked the word and another has taken it. A reader sets `crowd` before it sleeps,
 * so here it is seen on either side of the letting go, unless another holder has set it to 0 meanwhile: who
 * does that wakes all, whatever the owner word says.
 */
static int drop_owner(struct segfs_layout_control *page, uint32_t self, uint32_t left)
{
	uint32_t seen = word_load_relaxed(&page->owner), crowd = 0;

	if ((seen & SEGFS_OWNER_TID) != self || is_free(seen))
		return -EPERM;
	if (word_load_relaxed(&page->crowd) != 0)
		crowd = word_exchange_seq_cst(&page->crowd, 0);
	while (!word_cas_seq_cst(&page->owner, &seen, left))
		if ((seen & SEGFS_OWNER_TID) != self || is_free(seen))
			return -EPERM;
	if (seen & SEGFS_WAITERS || crowd) {
		crowd |= word_load_seq_cst(&page->crowd);
		segfs_futex_wake(&page->owner, crowd ? SEGFS_FUTEX_ALL : 1);
	}
	return 0;
}

/*
 * A slot is free: so is its bit to be, but a reader that came after we looked must not lose it. Such a one
 * has set the slot before it looked for its bit; so either it sees that the bit is gone, or we see the slot.
 */
static bool clear_hint(struct segfs_layout_control *page, unsigned i)
{
	count_and_seq_cst(&page->hint, ~(UINT64_C(1) << i));
	if (is_free(word_load_seq_cst(&page->readers[i].owner)))
		return true;
	count_or_seq_cst(&page->hint, UINT64_C(1) << i);
	return false;
}

/* Wait until the reader in this slot has gone. */
static int drain(struct visit *visit, unsigned i)
{
	uint32_t *slot = &visit->page->readers[i].owner;

	for (;;) {
		uint32_t seen = word_load_seq_cst(slot);
		int r;

		if (is_free(seen) && (seen == 0 || word_cas_seq_cst(slot, &seen, 0)) &&
		    clear_hint(visit->page, i))
			return 0;
		if (is_free(seen) || visit->spins > 0)
			r = look_again(visit);
		else
			r = sleep_on(visit, slot, seen);
		if (r < 0)
			return r;
	}
}

static int drain_all(struct visit *visit, uint64_t hint)
{
	for (; hint != 0; hint &= hint - 1) {
		int r = drain(visit, (unsigned)__builtin_ctzll(hint));

		if (r < 0)
			return r;
	}
	return 0;
}

/* The dead may have been between the two steps of clear_hint(), and even at its next instruction until it has
 * settled. So its bits are not believed. */
static uint64_t hint_of_the_dead(struct segfs_layout_control *page)
{
	segfs_robust_settle();
	count_or_seq_cst(&page->hint, UINT64_MAX);
	return UINT64_MAX;
}

int segfs_lock_take(struct segfs_layout_control *page, uint32_t self, int64_t timeout_ns)
{
	struct visit visit = {page, self, timeout_ns, .spins = SPINS, .heals = SPINS};
	uint32_t was;
	uint64_t hint;
	int r;

	r = take_owner(&visit, &was);
	if (r < 0)
		return r;
	was &= SEGFS_OWNER_DIED;
	hint = was ? hint_of_the_dead(page) : count_load_seq_cst(&page->hint);
	r = drain_all(&visit, hint);
	if (r < 0) {
		drop_owner(page, self, was);
		return r;
	}
	if (was)
		word_store_relaxed(&page->deaths, word_load_relaxed(&page->deaths) + 1);
	return was ? 1 : 0;
}

int segfs_lock_drop(struct segfs_layout_control *page, uint32_t self)
{
	return drop_owner(page, self, 0);
}

/* ------------------------------------------------------------------------------------------------------------
 * Shared
 */

static void set_hint(struct segfs_layout_control *page, unsigned i)
{
	if (!(count_load_seq_cst(&page->hint) & UINT64_C(1) << i))
		count_or_seq_cst(&page->hint, UINT64_C(1) << i);
}

/* The bit is set before the slot, so that a reader killed in between costs a look, and once more behind it,
 * as the holder clears it while the slot is free. */
static bool enter_slot(struct segfs_layout_control *page, uint32_t self, unsigned i)
{
	uint32_t seen = word_load_relaxed(&page->readers[i].owner);

	if (!is_free(seen))
		return false;
	set_hint(page, i);
	if (!word_cas_seq_cst(&page->readers[i].owner, &seen, self))
		return false;
	set_hint(page, i);
	return true;
}

static bool find_slot(struct segfs_layout_control *page, uint32_t self, unsigned *ret_slot)
{
	for (unsigned k = 0; k < SEGFS_CONTROL_READERS; k++) {
		unsigned i = (self + k) % SEGFS_CONTROL_READERS;

		if (enter_slot(page, self, i)) {
			*ret_slot = i;
			return true;
		}
	}
	return false;
}

int segfs_lock_part(struct segfs_layout_control *page, uint32_t self, unsigned slot)
{
	uint32_t *word = &page->readers[slot].owner, seen = self;

	while (!word_cas_seq_cst(word, &seen, 0))
		if ((seen & SEGFS_OWNER_TID) != self || is_free(seen))
			return -EPERM;
	if (seen & SEGFS_WAITERS)
		segfs_futex_wake(word, SEGFS_FUTEX_ALL);
	return 0;
}

/* At the end of a process the kernel wakes one sleeper. If that is a reader, it wakes the others. */
static int in_with(struct segfs_layout_control *page, uint32_t owner)
{
	if (!(owner & SEGFS_OWNER_DIED))
		return 0;
	if (owner & SEGFS_WAITERS && word_cas_seq_cst(&page->owner, &owner, owner & ~SEGFS_WAITERS))
		segfs_futex_wake(&page->owner, SEGFS_FUTEX_ALL);
	segfs_robust_settle();
	return 1;
}

static int wait_for_owner(struct visit *visit, uint32_t seen)
{
	if (visit->timeout_ns != 0) {
		if (visit->spins > 0)
			return look_again(visit);
		word_store_seq_cst(&visit->page->crowd, 1);
	}
	return sleep_on(visit, &visit->page->owner, seen);
}

static int wait_for_slot(struct visit *visit)
{
	uint32_t *word = &visit->page->readers[visit->self % SEGFS_CONTROL_READERS].owner;
	uint32_t seen = word_load_relaxed(word);

	return is_free(seen) || visit->spins > 0 ? look_again(visit) : sleep_on(visit, word, seen);
}

int segfs_lock_join(struct segfs_layout_control *page, uint32_t self, int64_t timeout_ns, unsigned *ret_slot)
{
	struct visit visit = {page, self, timeout_ns, .spins = SPINS, .heals = SPINS};

	for (;;) {
		uint32_t owner = word_load_relaxed(&page->owner);
		unsigned slot;
		int r;

		if (!is_free(owner)) {
			r = wait_for_owner(&visit, owner);
		} else if (!find_slot(page, self, &slot)) {
			r = wait_for_slot(&visit);
		} else {
			owner = word_load_seq_cst(&page->owner);
			if (is_free(owner)) {
				*ret_slot = slot;
				return in_with(page, owner);
			}
			segfs_lock_part(page, self, slot);
			r = 0; /* and wait for the owner, on the next way round */
		}
		if (r < 0)
			return r;
	}
}
