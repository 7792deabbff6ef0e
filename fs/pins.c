/* SPDX-License-Identifier: MIT */
#include "pins.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "ledger.h"

struct pin {
	uint64_t id;
	int fd;	     /* owned */
	bool wanted; /* of pins_review() */
	UT_hash_handle hh;
};

void pins_remove(struct pins *pins, uint64_t id)
{
	struct pin *pin;

	HASH_FIND(hh, pins->by_id, &id, sizeof(id), pin);
	if (!pin)
		return;
	HASH_DEL(pins->by_id, pin);
	close(pin->fd);
	free(pin);
}

/* Without memory the file lives no longer than the worker that has it. */
void pins_add(struct pins *pins, uint64_t id, int fd)
{
	struct pin *pin = calloc(1, sizeof(*pin));

	pins_remove(pins, id);
	if (pin) {
		pin->id = id;
		pin->fd = fd;
		HASH_ADD(hh, pins->by_id, id, sizeof(pin->id), pin);
		if (pin->hh.tbl)
			return;
	}
	free(pin);
	close(fd);
}

void pins_clear(struct pins *pins)
{
	struct pin *pin, *next;

	HASH_ITER (hh, pins->by_id, pin, next)
		pins_remove(pins, pin->id);
}

void pins_review(struct pins *pins, struct ledger *ledger)
{
	const struct ledger_node *node;
	struct pin *pin, *next;

	for (pin = pins->by_id; pin; pin = pin->hh.next)
		pin->wanted = false;
	for (uint32_t at = 0; pins->by_id && (node = ledger_node_next(ledger, &at));) {
		uint64_t id = node->id;

		HASH_FIND(hh, pins->by_id, &id, sizeof(id), pin);
		if (pin)
			pin->wanted = true;
	}
	HASH_ITER (hh, pins->by_id, pin, next)
		if (!pin->wanted)
			pins_remove(pins, pin->id);
}
