/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <stddef.h>
#include <unistd.h>

#include "ledger.h"

#define RESENT (UINT64_C(1) << 63) /* FUSE_UNIQUE_RESEND of the kernel's header since Linux 6.9 */

#define DONE 4u /* of a slot's stage; the bits below are of its two values */

#define LETS_GO 8u

#define CRASHES_MAX 5

static _Thread_local struct {
	struct ledger *ledger;
	struct ledger_slot *own, *slot; /* `slot` is an earlier worker's while its request is in hand */
	uint64_t unique;
	bool is_resent;
} hand;

static bool claim(struct ledger_slot *slot)
{
	int32_t none = 0;

	return atomic_compare_exchange_strong(&slot->tid, &none, (int32_t)gettid());
}

/* A slot without a request; of those of earlier workers that with the oldest, which has long been answered.
 */
static struct ledger_slot *find_slot(struct ledger_page *page)
{
	struct ledger_slot *oldest = NULL;

	for (size_t i = 0; i < LEDGER_SLOTS; i++) {
		struct ledger_slot *slot = &page->slots[i];

		if (slot->tid == 0 && slot->unique == 0 && claim(slot))
			return slot;
		if (slot->tid == 0 && (!oldest || slot->unique < oldest->unique))
			oldest = slot;
	}
	return oldest && claim(oldest) ? oldest : NULL;
}

void journal_enter(struct ledger *ledger)
{
	hand.ledger = ledger;
	hand.own = ledger->page ? find_slot(ledger->page) : NULL;
	hand.slot = NULL;
}

/* The slot of an earlier worker that had this request in hand. */
static struct ledger_slot *find_earlier(uint64_t unique)
{
	for (size_t i = 0; i < LEDGER_SLOTS; i++) {
		struct ledger_slot *slot = &hand.ledger->page->slots[i];

		if (slot->unique == unique && claim(slot))
			return slot;
	}
	return NULL;
}

bool journal_begin(uint64_t unique)
{
	hand.unique = unique & ~RESENT;
	hand.is_resent = unique & RESENT;
	hand.slot = hand.own;
	if (!hand.own)
		return true;
	if (hand.is_resent) {
		hand.ledger->page->n_resent++;
		hand.slot = find_earlier(hand.unique) ?: hand.own;
	}
	if (hand.slot != hand.own) {
		hand.slot->stage &= ~LETS_GO; /* the earlier worker did, and its answer never came */
		return hand.slot->n_crashes < CRASHES_MAX;
	}
	hand.own->stage = 0;
	hand.own->n_crashes = 0;
	hand.own->unique = hand.unique;
	return true;
}

void journal_let_go(void)
{
	if (hand.slot)
		hand.slot->stage |= LETS_GO;
}

bool journal_has_letting_go(const struct ledger *ledger)
{
	for (size_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct ledger_slot *slot = &ledger->page->slots[i];

		if (slot->tid != 0 && slot->unique != 0 && slot->stage & LETS_GO)
			return true;
	}
	return false;
}

void journal_note_crash(void)
{
	if (hand.slot)
		hand.slot->n_crashes++;
}

void journal_end(void)
{
	if (hand.slot) {
		hand.slot->unique = 0;
		if (hand.slot != hand.own)
			hand.slot->tid = 0;
		hand.own->n_done++;
	}
	hand.slot = NULL;
	hand.unique = 0;
	hand.is_resent = false;
}

/* An earlier worker's slot goes on to say what that one has done. */
void journal_put_aside(void)
{
	if (hand.is_resent && hand.slot)
		hand.ledger->page->n_resent--;
	if (hand.slot == hand.own && hand.own)
		hand.own->unique = 0;
	else if (hand.slot)
		hand.slot->tid = 0;
	journal_resume(0);
}

void journal_resume(uint64_t unique)
{
	hand.slot = NULL;
	hand.unique = unique & ~RESENT;
	hand.is_resent = unique & RESENT;
}

uint64_t journal_unique(void)
{
	return hand.unique;
}

bool journal_is_resent(void)
{
	return hand.is_resent;
}

uint64_t journal_before(unsigned which, uint64_t now)
{
	struct ledger_slot *slot = hand.slot;

	if (!slot)
		return now;
	if (slot->stage & 1u << which)
		return slot->before[which];
	slot->before[which] = now;
	slot->stage |= 1u << which;
	return now;
}

bool journal_is_done(void)
{
	return hand.slot && hand.slot->stage & DONE;
}

void journal_done(void)
{
	if (hand.slot)
		hand.slot->stage |= DONE;
}
