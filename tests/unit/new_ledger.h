/* SPDX-License-Identifier: MIT */
#pragma once

/* A ledger for a test, and a copy of it as it is at a moment. */
#include <check.h>
#include <string.h>
#include <unistd.h>

#include "ledger.h"

#define COPIED 8 /* records of each kind, and slots */

static inline struct ledger new_ledger(void)
{
	struct ledger ledger;
	int fd;

	ck_assert_int_eq(ledger_create(&fd), 0);
	ck_assert_int_eq(ledger_map(&ledger, fd), 0);
	close(fd);
	ledger_take_over(&ledger);
	return ledger;
}

/* What a worker would find that takes over now. Lent until the next call, which makes another of it. */
static inline struct ledger *successor_of(const struct ledger *ledger)
{
	static struct ledger copy;

	if (!copy.page)
		copy = new_ledger();
	memcpy(copy.page, ledger->page, offsetof(struct ledger_page, slots[COPIED]));
	memcpy(copy.nodes, ledger->nodes, sizeof(*copy.nodes) * COPIED);
	memcpy(copy.opens, ledger->opens, sizeof(*copy.opens) * COPIED);
	copy.free_node = copy.free_open = copy.n_free_nodes = 0;
	ledger_take_over(&copy);
	return &copy;
}
