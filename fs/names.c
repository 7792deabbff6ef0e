/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "ledger.h"

/* Each name has one cell that it may be in, and the last one that came has it. */
#define CELLS 4096

struct names_cell {
	uint64_t parent; /* 0: empty */
	uint64_t ino;
	char name[LEDGER_NAME_MAX + 1]; /* longer ones the kernel does not cache */
};

void names_init(struct names *names)
{
	pthread_mutex_init(&names->lock, NULL);
	names->cells = calloc(CELLS, sizeof(*names->cells));
}

void names_destroy(struct names *names)
{
	free(names->cells);
	pthread_mutex_destroy(&names->lock);
}

static struct names_cell *cell_of(struct names *names, uint64_t parent, const char *name, size_t len)
{
	unsigned hash;

	HASH_VALUE(name, len, hash);
	return &names->cells[(hash ^ (unsigned)parent) % CELLS];
}

void names_note(struct names *names, uint64_t parent, const char *name, uint64_t ino)
{
	size_t len = strlen(name);
	struct names_cell *cell;

	if (!names->cells || len > LEDGER_NAME_MAX)
		return;
	pthread_mutex_lock(&names->lock);
	cell = cell_of(names, parent, name, len);
	cell->parent = parent;
	cell->ino = ino;
	memcpy(cell->name, name, len + 1);
	pthread_mutex_unlock(&names->lock);
}

bool names_lead_to(struct names *names, uint64_t parent, const char *name, uint64_t ino)
{
	const struct names_cell *cell;
	size_t len = strlen(name);
	bool lead;

	if (!names->cells || len > LEDGER_NAME_MAX)
		return false;
	pthread_mutex_lock(&names->lock);
	cell = cell_of(names, parent, name, len);
	lead = cell->parent == parent && cell->ino == ino && !strcmp(cell->name, name);
	pthread_mutex_unlock(&names->lock);
	return lead;
}
