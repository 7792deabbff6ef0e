/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The nodes below .segfs: which there are, what they are called, and of what each is a view.
 *
 *	.segfs/info/NAME  .segfs/text/NAME  .segfs/image/NAME.png  .segfs/npy/NAME.npy	of a segment
 *	.segfs/ctl/NAME  .segfs/events/NAME						of its control page
 *	.segfs/list									of a directory
 *	.segfs/status  .segfs/metrics  .segfs/orphans					in the root alone
 *
 * Views have a table of their own, beside that of the store's files (node.h): a view keeps neither backing id
 * nor descriptor of its segment, whose memory is free once it is gone; while it is open, a control page has a
 * backing id. The kernel is told to believe nothing
 * about them, so that it asks each time. Every function may be called from any thread.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store.h"

struct ledger;
struct node_use;

#define VIEW_NAME ".segfs"

enum view_kind {
	VIEW_TOP, /* .segfs itself */
	VIEW_INFO_DIR,
	VIEW_TEXT_DIR,
	VIEW_IMAGE_DIR,
	VIEW_NPY_DIR,
	VIEW_CTL_DIR,
	VIEW_EVENTS_DIR,
	VIEW_LAST_DIR = VIEW_EVENTS_DIR,
	VIEW_LIST,
	VIEW_STATUS,
	VIEW_METRICS,
	VIEW_ORPHANS,
	VIEW_INFO,
	VIEW_TEXT,
	VIEW_IMAGE,
	VIEW_NPY,
	VIEW_CTL,    /* this one and what follows can be written to */
	VIEW_EVENTS, /* op-events.c has all of these */
	VIEW_KINDS,
};

struct view {
	enum view_kind kind;
	uint64_t dir;		     /* node id of the directory in which .segfs was asked for */
	struct segfs_handle subject; /* of the segment; of that directory for all that is not one segment's */
};

struct view_table {
	pthread_mutex_t lock;
	struct view_entry *by_id; /* uthash */
	struct ledger *ledger;	  /* borrowed */
};

/* The table begins with what the ledger has of earlier workers. 0 or -ENOMEM. */
int view_table_init(struct view_table *table, struct ledger *ledger);
void view_table_destroy(struct view_table *table);

/* Is this node id a view's? It holds the inode number of its subject, and so means the same to another
 * worker. */
static inline bool view_is(uint64_t id)
{
	return id >> 62 == 1;
}
uint64_t view_id(enum view_kind kind, ino_t subject);
static inline enum view_kind view_kind_of(uint64_t id)
{
	return (enum view_kind)(id >> 56 & 0x3f);
}

static inline bool view_is_dir(enum view_kind kind)
{
	return kind <= VIEW_LAST_DIR;
}

/* The kernel is about to be told of a view: count that. 0 or -ENOMEM. */
int view_remember(struct view_table *table, uint64_t id, const struct view *view);

/* 0, or -ESTALE for one that is not known. */
int view_get(struct view_table *table, uint64_t id, struct view *ret_view);

/* The kernel has given back `n` lookups. The backing id, 0 if there is none, is the caller's to close. */
int view_forget(struct view_table *table, uint64_t id, uint64_t n);

/* Count an open with the view's backing id. The id, or 0 if there is none yet and so nothing was counted, or
 * -ESTALE. */
int view_use_backing(struct view_table *table, uint64_t id, struct node_use *use);
void view_set_backing(struct view_table *table, uint64_t id, int backing_id);

/* That open has ended, if it had not already. The id is the caller's to close if it was the last one, 0 if it
 * was not. */
int view_release_backing(struct view_table *table, uint64_t id, uint64_t handle);

/* What stands in .segfs under this name. False if nothing does; `in_root`: of the store's root. */
bool view_find(const char *name, bool in_root, enum view_kind *ret_kind);

/* The name of the i-th thing in .segfs, and its kind; NULL behind the last. */
const char *view_at(size_t i, bool in_root, enum view_kind *ret_kind);

/* What a directory of views holds, and how the names end there ("", ".png", ".npy"). */
enum view_kind view_kind_in(enum view_kind dir);
const char *view_suffix(enum view_kind dir);
