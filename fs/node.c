/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A failed allocation inside uthash is reported, not fatal: the entry is then simply not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "util.h"

struct node_entry {
	struct node node;
	UT_hash_handle hh;	 /* by node.ino */
	UT_hash_handle hh_watch; /* by node.watch */
};

/* The lock of a table, held until the end of the scope. */
static void unlock(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

static pthread_mutex_t *lock(struct node_table *table)
{
	pthread_mutex_lock(&table->lock);
	return &table->lock;
}
#define LOCKED(table) SEGFS_CLEANUP(unlock) __attribute__((unused)) pthread_mutex_t *held = lock(table)

static struct node_entry *find(struct node_table *table, uint64_t ino)
{
	struct node_entry *entry;

	HASH_FIND(hh, table->by_ino, &ino, sizeof(ino), entry);
	return entry;
}

static void entry_tell(struct node_entry *entry, const struct told *told)
{
	int64_t judge_until_ms = MAX(entry->node.told.judge_until_ms, told->judge_until_ms);

	entry->node.told = *told;
	entry->node.told.judge_until_ms = judge_until_ms;
}

static struct node_entry *insert(struct node_table *table, uint64_t ino, const struct segfs_handle *handle)
{
	struct node_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->node.ino = ino;
	entry->node.handle = *handle;
	entry->node.watch = -1;
	entry->node.pin = -1;
	HASH_ADD(hh, table->by_ino, node.ino, sizeof(entry->node.ino), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	return entry;
}

uint64_t node_id(const struct node_table *table, ino_t ino)
{
	return ino == table->root_ino ? NODE_ROOT : ino;
}

int node_table_init(struct node_table *table, ino_t root_ino, const struct segfs_handle *root,
		    const struct told *told)
{
	struct node_entry *entry;

	*table = (struct node_table){.root_ino = root_ino};
	pthread_mutex_init(&table->lock, NULL);
	entry = insert(table, NODE_ROOT, root);
	if (!entry)
		return -ENOMEM;
	entry->node.n_lookups = 1;
	entry->node.told = *told;
	return 0;
}

static void entry_free(struct node_table *table, struct node_entry *entry)
{
	HASH_DELETE(hh, table->by_ino, entry);
	if (entry->node.watch >= 0)
		HASH_DELETE(hh_watch, table->by_watch, entry);
	close_fd(&entry->node.pin);
	free(entry->node.name);
	free(entry);
}

void node_table_destroy(struct node_table *table)
{
	struct node_entry *entry, *next;

	HASH_ITER (hh, table->by_ino, entry, next)
		entry_free(table, entry);
	pthread_mutex_destroy(&table->lock);
}

int node_get(struct node_table *table, uint64_t ino, struct node *ret_node)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return -ESTALE;
	*ret_node = entry->node;
	ret_node->name = NULL;
	return 0;
}

int node_open(struct node_table *table, const struct segfs_store *store, uint64_t ino, int flags)
{
	struct node node;
	int r;

	r = node_get(table, ino, &node);
	return r < 0 ? r : segfs_store_open_handle(store, &node.handle, flags);
}

int node_get_named(struct node_table *table, uint64_t ino, struct node *ret_node, char **ret_name)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);
	char *name = NULL;

	if (!entry)
		return -ESTALE;
	if (entry->node.name) {
		name = strdup(entry->node.name);
		if (!name)
			return -ENOMEM;
	}
	*ret_node = entry->node;
	ret_node->name = NULL;
	*ret_name = name;
	return 0;
}

/* An unchanged name, by far the commonest case, costs no allocation. */
static int entry_move(struct node_entry *entry, uint64_t parent, const char *name)
{
	char *copy = NULL;

	entry->node.parent = parent;
	if (name && entry->node.name && !strcmp(name, entry->node.name))
		return 0;
	if (name) {
		copy = strdup(name);
		if (!copy)
			return -ENOMEM;
	}
	free(entry->node.name);
	entry->node.name = copy;
	return 0;
}

int node_remember(struct node_table *table, ino_t ino, const struct segfs_handle *handle,
		  const struct told *told, uint64_t parent, const char *name, bool *ret_is_new)
{
	LOCKED(table);
	uint64_t id = node_id(table, ino);
	struct node_entry *entry = find(table, id);
	bool is_new = !entry;

	if (is_new)
		entry = insert(table, id, handle);
	if (!entry)
		return -ENOMEM;
	if (told->nlink == 1 && entry->node.name && name &&
	    (entry->node.parent != parent || strcmp(entry->node.name, name)))
		entry->node.renamed = true;
	if (id != NODE_ROOT && entry_move(entry, parent, name) < 0) {
		if (is_new)
			entry_free(table, entry);
		return -ENOMEM;
	}
	entry->node.handle = *handle;
	entry->node.n_lookups++;
	entry->node.name_ctime = told->ctime;
	entry->node.name_nlink = told->nlink;
	/* A directory's rights may have been used on the way; a file's are used after this. */
	if (!S_ISDIR(told->mode))
		entry->node.told.judge_until_ms = 0;
	entry_tell(entry, told);
	*ret_is_new = is_new;
	return 0;
}

bool node_forget(struct node_table *table, uint64_t ino, uint64_t n, struct node *ret_node)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry || ino == NODE_ROOT)
		return false;
	entry->node.n_lookups -= MIN(n, entry->node.n_lookups);
	if (entry->node.n_lookups > 0)
		return false;
	*ret_node = entry->node;
	ret_node->name = NULL;
	entry->node.pin = -1;
	entry_free(table, entry);
	return true;
}

bool node_pin(struct node_table *table, uint64_t ino, int fd)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry || entry->node.pin >= 0)
		return false;
	entry->node.pin = fd;
	return true;
}

void node_tell(struct node_table *table, uint64_t ino, const struct told *told)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (entry)
		entry_tell(entry, told);
}

void node_move(struct node_table *table, uint64_t ino, uint64_t parent, const char *name)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	/* Without memory for the name the node has none, which costs a check, not correctness. */
	if (entry && entry_move(entry, parent, name) < 0)
		entry_move(entry, parent, NULL);
}

void node_confirm_name(struct node_table *table, uint64_t ino, const struct stat *st)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return;
	entry->node.name_ctime = st->st_ctim;
	entry->node.name_nlink = st->st_nlink;
}

void node_unname(struct node_table *table, uint64_t ino, uint64_t parent, const char *name)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (entry && entry->node.parent == parent && entry->node.name && !strcmp(entry->node.name, name))
		entry_move(entry, parent, NULL);
}

void node_settle_name(struct node_table *table, uint64_t ino)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (entry)
		entry->node.renamed = false;
}

int node_use_backing(struct node_table *table, uint64_t ino, bool writes)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return -ESTALE;
	entry->node.n_opens += entry->node.backing_id > 0;
	entry->node.n_writers += entry->node.backing_id > 0 && writes;
	return entry->node.backing_id;
}

void node_release_backing(struct node_table *table, uint64_t ino, bool writes)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return;
	entry->node.n_opens -= entry->node.n_opens > 0;
	entry->node.n_writers -= writes && entry->node.n_writers > 0;
}

bool node_has_writers(struct node_table *table, uint64_t ino)
{
	LOCKED(table);
	const struct node_entry *entry = find(table, ino);

	return entry && entry->node.n_writers > 0;
}

bool node_take_backing(struct node_table *table, uint64_t ino, int *ret_id)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	*ret_id = 0;
	if (!entry)
		return true;
	if (entry->node.n_opens > 0)
		return false;
	*ret_id = entry->node.backing_id;
	entry->node.backing_id = 0;
	return true;
}

void node_set_backing(struct node_table *table, uint64_t ino, int backing_id)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (entry)
		entry->node.backing_id = backing_id;
}

void node_set_watch(struct node_table *table, uint64_t ino, int watch)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry || entry->node.watch == watch)
		return;
	if (entry->node.watch >= 0)
		HASH_DELETE(hh_watch, table->by_watch, entry);
	entry->node.watch = watch;
	if (watch < 0)
		return;
	HASH_ADD(hh_watch, table->by_watch, node.watch, sizeof(entry->node.watch), entry);
	if (!entry->hh_watch.tbl)
		entry->node.watch = -1;
}

uint64_t node_of_watch(struct node_table *table, int watch)
{
	LOCKED(table);
	struct node_entry *entry;

	HASH_FIND(hh_watch, table->by_watch, &watch, sizeof(watch), entry);
	return entry ? entry->node.ino : 0;
}

ssize_t node_list(struct node_table *table, uint64_t **ret_inos)
{
	LOCKED(table);
	struct node_entry *entry, *next;
	uint64_t *inos;
	ssize_t n = 0;

	inos = calloc(HASH_CNT(hh, table->by_ino), sizeof(*inos));
	if (!inos)
		return -ENOMEM;
	HASH_ITER (hh, table->by_ino, entry, next)
		inos[n++] = entry->node.ino;
	*ret_inos = inos;
	return n;
}

size_t node_count(struct node_table *table)
{
	LOCKED(table);

	return HASH_CNT(hh, table->by_ino);
}
