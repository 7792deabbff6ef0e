/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What users have open besides segments, directories and views, by the handle that the kernel keeps for it
 * (fuse_file_info.fh). A handle is a number, not an address: one that an earlier worker has given out is not
 * known, and what it stood for is made anew and kept under it. Any thread.
 */
#include <pthread.h>
#include <stdint.h>

struct opened_table {
	pthread_mutex_t lock;
	struct opened_entry *by_handle; /* uthash */
	uint64_t next;
};

/* `generation`: another one for each worker of a mount, so that no two give out the same handle. */
void opened_init(struct opened_table *table, uint32_t generation);
/* What is still in it ends, too. */
void opened_destroy(struct opened_table *table);

/* How a thing ends that nobody takes out. */
typedef void (*opened_end)(void *thing);

/* A handle for a thing that is not NULL; 0: no memory. */
uint64_t opened_add(struct opened_table *table, void *thing, opened_end end);

/* The thing, lent; NULL: not known. The kernel gives a handle back when nobody uses it any more. */
void *opened_get(struct opened_table *table, uint64_t handle);

/* Keep a thing under a handle of an earlier worker. The thing that is known by it from now on: another one,
 * if another thread has been quicker; NULL: no memory. */
void *opened_restore(struct opened_table *table, uint64_t handle, void *thing, opened_end end);

/* The thing, which is the caller's now; NULL: not known. */
void *opened_take(struct opened_table *table, uint64_t handle);
