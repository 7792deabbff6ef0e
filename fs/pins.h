/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Files that have lost their last name while somebody may still have them open, and nothing but a descriptor
 * keeps them in being: a removed directory that is somebody's, a FIFO. They outlive a worker in the
 * supervisor's hands.
 */
#include <stdint.h>

struct ledger;

struct pins {
	struct pin *by_id; /* uthash */
};

/* Takes the descriptor over. */
void pins_add(struct pins *pins, uint64_t id, int fd);
void pins_remove(struct pins *pins, uint64_t id);
void pins_clear(struct pins *pins);

/* End those whose node the ledger has no more. A worker that was killed as it let go of a file has not come
 * to say so. */
void pins_review(struct pins *pins, struct ledger *ledger);
