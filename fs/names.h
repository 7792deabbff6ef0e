/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the kernel was last told that a name leads to, for the names that it has asked for most recently. By
 * this an event of the store is recognised as news or as the mount's own doing; a name that is not here any
 * more, or has never been, counts as news. What a node remembers of its name (node.h) will not do: another
 * file may have had the same name since.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct names {
	pthread_mutex_t lock;
	struct names_cell *cells; /* owned; NULL: nothing is known */
};

/* Without memory all is news. */
void names_init(struct names *names);
void names_destroy(struct names *names);

/* The kernel is about to be told, in a request for which it holds the directory, that this name leads to this
 * node. 0: to none. Any thread. */
void names_note(struct names *names, uint64_t parent, const char *name, uint64_t ino);

/* Does it take the name for this node? Any thread. */
bool names_lead_to(struct names *names, uint64_t parent, const char *name, uint64_t ino);
