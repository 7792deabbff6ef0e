/* SPDX-License-Identifier: MIT */
#include "pins.h"

#include <stdlib.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct pin {
	uint64_t id;
	int fd; /* owned */
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
