/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Former names: those by which the kernel may still know a file that it has found by another one since, as it
 * was renamed behind the mount. The store tells of that, too, and the name is dropped when the event is read
 * (watch.c). Until then it is kept in the ledger: the event may be lost, with the worker or as one of too
 * many, and the file itself says only what it is called now.
 */
#include <stdbool.h>
#include <stdint.h>

struct ledger;

/* Of a file that is no directory: of those the kernel keeps but one name. Before it is noted that the file is
 * called otherwise. Any thread. */
void formers_note(struct ledger *ledger, uint64_t parent, const char *name);

/* All events that there were have been read: ends what had been noted when the last such time came. */
void formers_pass(struct ledger *ledger);

/* One after the other, from *at = 0 on: false behind the last. `ret_name` has room for LEDGER_NAME_MAX + 1.
 */
bool formers_next(struct ledger *ledger, uint32_t *at, uint64_t *ret_parent, char *ret_name);

/* There were more than are kept. */
bool formers_are_lost(struct ledger *ledger);
