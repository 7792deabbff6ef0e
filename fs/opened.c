/* SPDX-License-Identifier: MIT */
#include "opened.h"

#include <stdbool.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct opened_entry {
	uint64_t handle;
	void *thing;
	opened_end end;
	UT_hash_handle hh;
};

void opened_init(struct opened_table *table, uint32_t generation)
{
	*table = (struct opened_table){.next = (uint64_t)generation << 40 | 1};
	pthread_mutex_init(&table->lock, NULL);
}

void opened_destroy(struct opened_table *table)
{
	struct opened_entry *entry, *next;

	HASH_ITER (hh, table->by_handle, entry, next) {
		HASH_DEL(table->by_handle, entry);
		entry->end(entry->thing);
		free(entry);
	}
	pthread_mutex_destroy(&table->lock);
}

static struct opened_entry *find(struct opened_table *table, uint64_t handle)
{
	struct opened_entry *entry;

	HASH_FIND(hh, table->by_handle, &handle, sizeof(handle), entry);
	return entry;
}

static bool add(struct opened_table *table, uint64_t handle, void *thing, opened_end end)
{
	struct opened_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return false;
	entry->handle = handle;
	entry->thing = thing;
	entry->end = end;
	HASH_ADD(hh, table->by_handle, handle, sizeof(entry->handle), entry);
	if (entry->hh.tbl)
		return true;
	free(entry);
	return false;
}

uint64_t opened_add(struct opened_table *table, void *thing, opened_end end)
{
	uint64_t handle;

	pthread_mutex_lock(&table->lock);
	handle = table->next++;
	if (!add(table, handle, thing, end))
		handle = 0;
	pthread_mutex_unlock(&table->lock);
	return handle;
}

void *opened_get(struct opened_table *table, uint64_t handle)
{
	struct opened_entry *entry;
	void *thing;

	pthread_mutex_lock(&table->lock);
	entry = find(table, handle);
	thing = entry ? entry->thing : NULL;
	pthread_mutex_unlock(&table->lock);
	return thing;
}

void *opened_restore(struct opened_table *table, uint64_t handle, void *thing, opened_end end)
{
	struct opened_entry *entry;

	pthread_mutex_lock(&table->lock);
	entry = find(table, handle);
	if (entry)
		thing = entry->thing;
	else if (!add(table, handle, thing, end))
		thing = NULL;
	pthread_mutex_unlock(&table->lock);
	return thing;
}

void *opened_take(struct opened_table *table, uint64_t handle)
{
	struct opened_entry *entry;
	void *thing = NULL;

	pthread_mutex_lock(&table->lock);
	entry = find(table, handle);
	if (entry) {
		thing = entry->thing;
		HASH_DEL(table->by_handle, entry);
		free(entry);
	}
	pthread_mutex_unlock(&table->lock);
	return thing;
}
