/* SPDX-License-Identifier: MIT */
#include "view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "ledger.h"
#include "node.h"
#include "util.h"

/* An id: a one in bit 62, the kind in six bits, and an inode number. tmpfs counts inodes up from 1 and gets
 * nowhere near 2^56. */
#define ID_FLAG	  (UINT64_C(1) << 62)
#define ID_KIND	  56
#define ID_NUMBER ((UINT64_C(1) << ID_KIND) - 1)

struct view_entry {
	uint64_t id;
	uint64_t n_lookups;
	struct view view;
	int backing_id;		  /* of passthrough; 0: none */
	uint64_t n_opens;	  /* with it */
	struct ledger_node *kept; /* the same for a worker that takes over, the entry's */
	UT_hash_handle hh;
};

static const struct {
	const char *name;
	enum view_kind kind;
	bool root_only;
} top[] = {
	{"ctl", VIEW_CTL_DIR, false},	{"events", VIEW_EVENTS_DIR, false}, {"image", VIEW_IMAGE_DIR, false},
	{"info", VIEW_INFO_DIR, false}, {"list", VIEW_LIST, false},	    {"metrics", VIEW_METRICS, true},
	{"npy", VIEW_NPY_DIR, false},	{"orphans", VIEW_ORPHANS, true},    {"status", VIEW_STATUS, true},
	{"text", VIEW_TEXT_DIR, false},
};

uint64_t view_id(enum view_kind kind, ino_t subject)
{
	return ID_FLAG | (uint64_t)kind << ID_KIND | (subject & ID_NUMBER);
}

static void entry_free(struct view_table *table, struct view_entry *entry)
{
	HASH_DELETE(hh, table->by_id, entry);
	ledger_node_free(table->ledger, entry->kept);
	free(entry);
}

void view_table_destroy(struct view_table *table)
{
	struct view_entry *entry, *next;

	HASH_ITER (hh, table->by_id, entry, next) {
		entry->kept = NULL; /* the ledger stays as it is */
		entry_free(table, entry);
	}
	pthread_mutex_destroy(&table->lock);
}

static struct view_entry *find(struct view_table *table, uint64_t id)
{
	struct view_entry *entry;

	HASH_FIND(hh, table->by_id, &id, sizeof(id), entry);
	return entry;
}

static struct view_entry *insert(struct view_table *table, uint64_t id)
{
	struct view_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->id = id;
	HASH_ADD(hh, table->by_id, id, sizeof(entry->id), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

static void keep(const struct view_entry *entry)
{
	struct ledger_node *kept = entry->kept;

	kept->handle = entry->view.subject;
	kept->parent = entry->view.dir;
	kept->n_lookups = entry->n_lookups;
	kept->backing_id = entry->backing_id;
	kept->id = entry->id;
}

static struct view_entry *insert_kept(struct view_table *table, uint64_t id)
{
	struct view_entry *entry = insert(table, id);

	if (!entry)
		return NULL;
	entry->kept = ledger_node_new(table->ledger);
	if (entry->kept)
		return entry;
	entry_free(table, entry);
	return NULL;
}

static int restore(struct view_table *table, struct ledger_node *kept)
{
	struct view_entry *entry = insert(table, kept->id);

	if (!entry)
		return -ENOMEM;
	entry->kept = kept;
	entry->n_lookups = kept->n_lookups;
	entry->backing_id = kept->backing_id;
	table->ledger->page->last_backing_id = MAX(table->ledger->page->last_backing_id, kept->backing_id);
	entry->view = (struct view){view_kind_of(kept->id), kept->parent, kept->handle};
	return 0;
}

int view_table_init(struct view_table *table, struct ledger *ledger)
{
	struct ledger_node *kept;
	struct ledger_open *open;

	*table = (struct view_table){.ledger = ledger};
	pthread_mutex_init(&table->lock, NULL);
	for (uint32_t at = 0; (kept = ledger_node_next(ledger, &at));)
		if (view_is(kept->id) && restore(table, kept) < 0)
			return -ENOMEM;
	for (uint32_t at = 0; (open = ledger_open_next(ledger, &at));) {
		struct view_entry *entry = find(table, open->ino);

		if (entry)
			entry->n_opens++;
	}
	return 0;
}

int view_remember(struct view_table *table, uint64_t id, const struct view *view)
{
	struct view_entry *entry;

	pthread_mutex_lock(&table->lock);
	entry = find(table, id) ?: insert_kept(table, id);
	if (entry) {
		entry->view = *view;
		entry->n_lookups++;
		keep(entry);
	}
	pthread_mutex_unlock(&table->lock);
	return entry ? 0 : -ENOMEM;
}

int view_get(struct view_table *table, uint64_t id, struct view *ret_view)
{
	struct view_entry *entry;

	pthread_mutex_lock(&table->lock);
	entry = find(table, id);
	if (entry)
		*ret_view = entry->view;
	pthread_mutex_unlock(&table->lock);
	return entry ? 0 : -ESTALE;
}

int view_forget(struct view_table *table, uint64_t id, uint64_t n)
{
	struct view_entry *entry;
	int backing_id = 0;

	pthread_mutex_lock(&table->lock);
	entry = find(table, id);
	if (entry) {
		entry->n_lookups -= MIN(n, entry->n_lookups);
		keep(entry);
		if (entry->n_lookups == 0) {
			backing_id = entry->backing_id;
			ledger_closing(table->ledger, backing_id);
			entry_free(table, entry);
		}
	}
	pthread_mutex_unlock(&table->lock);
	return backing_id;
}

int view_use_backing(struct view_table *table, uint64_t id, struct node_use *use)
{
	struct view_entry *entry;
	int backing_id;

	pthread_mutex_lock(&table->lock);
	entry = find(table, id);
	backing_id = entry ? entry->backing_id : -ESTALE;
	if (backing_id > 0) {
		use->handle = ledger_open_new(table->ledger, use->unique, id, use->writes);
		entry->n_opens += use->handle != 0;
		backing_id = use->handle ? backing_id : -ENFILE;
	}
	pthread_mutex_unlock(&table->lock);
	return backing_id;
}

void view_set_backing(struct view_table *table, uint64_t id, int backing_id)
{
	struct view_entry *entry;

	pthread_mutex_lock(&table->lock);
	entry = find(table, id);
	if (entry) {
		entry->backing_id = backing_id;
		keep(entry);
	}
	pthread_mutex_unlock(&table->lock);
}

int view_release_backing(struct view_table *table, uint64_t id, uint64_t handle)
{
	struct ledger_open *open;
	struct view_entry *entry;
	int backing_id = 0;

	pthread_mutex_lock(&table->lock);
	entry = find(table, id);
	open = ledger_open_of(table->ledger, handle);
	if (open)
		ledger_open_free(table->ledger, open);
	if (open && entry && entry->n_opens > 0 && --entry->n_opens == 0) {
		backing_id = entry->backing_id;
		ledger_closing(table->ledger, backing_id);
		entry->backing_id = 0;
		keep(entry);
	}
	pthread_mutex_unlock(&table->lock);
	return backing_id;
}

const char *view_at(size_t i, bool in_root, enum view_kind *ret_kind)
{
	for (size_t at = 0; at < COUNT_OF(top); at++) {
		if ((top[at].root_only && !in_root) || i-- > 0)
			continue;
		*ret_kind = top[at].kind;
		return top[at].name;
	}
	return NULL;
}

bool view_find(const char *name, bool in_root, enum view_kind *ret_kind)
{
	enum view_kind kind;
	const char *at;

	for (size_t i = 0; (at = view_at(i, in_root, &kind)); i++) {
		if (strcmp(name, at))
			continue;
		*ret_kind = kind;
		return true;
	}
	return false;
}

enum view_kind view_kind_in(enum view_kind dir)
{
	switch (dir) {
	case VIEW_INFO_DIR:
		return VIEW_INFO;
	case VIEW_IMAGE_DIR:
		return VIEW_IMAGE;
	case VIEW_NPY_DIR:
		return VIEW_NPY;
	case VIEW_CTL_DIR:
		return VIEW_CTL;
	case VIEW_EVENTS_DIR:
		return VIEW_EVENTS;
	default:
		return VIEW_TEXT;
	}
}

const char *view_suffix(enum view_kind dir)
{
	switch (dir) {
	case VIEW_IMAGE_DIR:
		return ".png";
	case VIEW_NPY_DIR:
		return ".npy";
	default:
		return "";
	}
}
