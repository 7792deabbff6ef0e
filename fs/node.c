/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A failed allocation inside uthash is reported, not fatal: the entry is then simply not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "formers.h"
#include "heap.h"
#include "ledger.h"
#include "util.h"
#include "view.h"

struct node_entry {
	struct node node;
	struct ledger_node *kept; /* the same for a worker that takes over, the entry's */
	UT_hash_handle hh;	  /* by node.ino */
	UT_hash_handle hh_watch;  /* by node.watch */
};

/* Of fewer, what they had is not worth giving back. */
#define MANY 1024

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

/* Into the ledger, whatever of the entry has changed. Names are written when they change. */
static void keep(const struct node_entry *entry)
{
	const struct node *node = &entry->node;
	struct ledger_node *kept = entry->kept;

	if (!kept)
		return;
	kept->handle = node->handle;
	kept->n_lookups = node->n_lookups;
	kept->backing_id = node->backing_id;
	kept->pinned = node->pinned;
	kept->mode = node->told.mode;
	kept->uid = node->told.uid;
	kept->gid = node->told.gid;
	kept->acl = node->told.acl;
	kept->id = node->ino;
}

static void entry_note_nameless(struct node_table *table, struct node_entry *entry, bool nameless)
{
	table->n_nameless += (unsigned)nameless - entry->node.nameless;
	entry->node.nameless = nameless;
}

static void entry_tell(struct node_entry *entry, const struct told *told)
{
	int64_t judge_until_ms = MAX(entry->node.told.judge_until_ms, told->judge_until_ms);

	entry->node.told = *told;
	entry->node.told.judge_until_ms = judge_until_ms;
	keep(entry);
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
	table->n_most = MAX(table->n_most, HASH_COUNT(table->by_ino));
	return entry;
}

static void entry_free(struct node_table *table, struct node_entry *entry)
{
	HASH_DELETE(hh, table->by_ino, entry);
	if (entry->node.watch >= 0)
		HASH_DELETE(hh_watch, table->by_watch, entry);
	ledger_node_free(table->ledger, entry->kept);
	close_fd(&entry->node.pin);
	free(entry->node.name);
	free(entry);
}

static int insert_kept(struct node_table *table, uint64_t ino, const struct segfs_handle *handle,
		       struct node_entry **ret_entry)
{
	struct node_entry *entry = insert(table, ino, handle);

	if (!entry)
		return -ENOMEM;
	entry->kept = ledger_node_new(table->ledger);
	if (!entry->kept) {
		entry_free(table, entry);
		return -ENFILE;
	}
	*ret_entry = entry;
	return 0;
}

uint64_t node_id(const struct node_table *table, ino_t ino)
{
	return ino == table->root_ino ? NODE_ROOT : ino;
}

/* A name that cannot be had is as one that is not known. The root is there already. */
static int restore_node(struct node_table *table, struct ledger_node *kept)
{
	struct node_entry *entry = find(table, kept->id) ?: insert(table, kept->id, &kept->handle);
	struct node *node;

	if (!entry)
		return -ENOMEM;
	entry->kept = kept;
	node = &entry->node;
	node->n_lookups = kept->n_lookups;
	node->parent = kept->parent;
	node->backing_id = kept->backing_id;
	node->pinned = kept->pinned;
	table->ledger->page->last_backing_id = MAX(table->ledger->page->last_backing_id, kept->backing_id);
	node->told = (struct told){.mode = kept->mode, .uid = kept->uid, .gid = kept->gid, .acl = kept->acl};
	if (!S_ISDIR(kept->mode)) /* an earlier worker may just have heard of a change */
		node->told.judge_until_ms = INT64_MAX;
	if (kept->name_len != LEDGER_NAME_NONE)
		node->name = strndup(kept->name, LEDGER_NAME_MAX);
	return 0;
}

static void restore_opens(struct node_table *table)
{
	struct ledger_open *open;

	for (uint32_t at = 0; (open = ledger_open_next(table->ledger, &at));) {
		struct node_entry *entry = find(table, open->ino);

		if (view_is(open->ino))
			continue;
		if (!entry) {
			ledger_open_free(table->ledger, open);
			continue;
		}
		entry->node.n_opens++;
		entry->node.n_writers += open->writes;
	}
}

static int restore(struct node_table *table)
{
	struct ledger_node *kept;
	int r = 0;

	for (uint32_t at = 0; r == 0 && (kept = ledger_node_next(table->ledger, &at));)
		if (!view_is(kept->id))
			r = restore_node(table, kept);
	if (r == 0)
		restore_opens(table);
	return r;
}

int node_table_init(struct node_table *table, ino_t root_ino, const struct segfs_handle *root,
		    const struct told *told, struct ledger *ledger)
{
	struct node_entry *entry;
	int r;

	*table = (struct node_table){.root_ino = root_ino, .ledger = ledger};
	pthread_mutex_init(&table->lock, NULL);
	entry = insert(table, NODE_ROOT, root);
	if (!entry)
		return -ENOMEM;
	entry->node.n_lookups = 1;
	entry->node.told = *told;
	r = restore(table);
	if (r < 0 || entry->kept)
		return r;
	entry->kept = ledger_node_new(ledger);
	keep(entry);
	return entry->kept ? 0 : -ENOMEM;
}

void node_table_destroy(struct node_table *table)
{
	struct node_entry *entry, *next;

	HASH_ITER (hh, table->by_ino, entry, next) {
		entry->kept = NULL; /* the ledger stays as it is */
		entry_free(table, entry);
	}
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
	uint64_t old_parent = entry->node.parent;
	char *copy = NULL;

	entry->node.parent = parent;
	if (name && entry->node.name && !strcmp(name, entry->node.name) && old_parent == parent)
		return 0;
	if (name) {
		copy = strdup(name);
		if (!copy)
			return -ENOMEM;
	}
	free(entry->node.name);
	entry->node.name = copy;
	ledger_node_name(entry->kept, parent, copy);
	return 0;
}

static bool is_known_as(const struct node_entry *entry, uint64_t parent, const char *name)
{
	return entry && entry->node.parent == parent && entry->node.name && !strcmp(entry->node.name, name);
}

/* It is not called any more what the kernel was last told, or that is one name of several now: those are
 * asked for at each use (op-names.c), but this one may have been told as the only one. */
static void note_former_name(struct node_table *table, struct node_entry *entry, const struct told *told)
{
	if (told->nlink == 1)
		entry->node.renamed = true;
	if (!S_ISDIR(told->mode) && entry->node.name_nlink <= 1)
		formers_note(table->ledger, entry->node.parent, entry->node.name);
}

int node_remember(struct node_table *table, ino_t ino, const struct segfs_handle *handle,
		  const struct told *told, uint64_t parent, const char *name, bool *ret_is_new)
{
	LOCKED(table);
	uint64_t id = node_id(table, ino);
	struct node_entry *entry = find(table, id);
	bool is_new = !entry;
	int r = 0;

	if (is_new)
		r = insert_kept(table, id, handle, &entry);
	if (r < 0)
		return r;
	if (entry->node.name && name && !is_known_as(entry, parent, name))
		note_former_name(table, entry, told);
	if (id != NODE_ROOT && entry_move(entry, parent, name) < 0) {
		if (is_new)
			entry_free(table, entry);
		return -ENOMEM;
	}
	entry_note_nameless(table, entry, id != NODE_ROOT && (!name || entry->node.pin >= 0));
	entry->node.handle = *handle;
	entry->node.n_lookups++;
	entry->kept->doubted_s = 0;
	entry->node.name_ctime = told->ctime;
	entry->node.name_nlink = told->nlink;
	/* A directory's rights may have been used on the way; a file's are used after this. */
	if (!S_ISDIR(told->mode))
		entry->node.told.judge_until_ms = 0;
	entry_tell(entry, told);
	*ret_is_new = is_new;
	return 0;
}

bool node_is_shown(struct node_table *table, uint64_t ino, uint64_t parent, const char *name, uint64_t print,
		   int64_t now_ms)
{
	LOCKED(table);
	const struct node_entry *entry = find(table, ino);

	return is_known_as(entry, parent, name) && entry->node.told.shown == print &&
	       now_ms < entry->node.told.shown_until_ms;
}

/* The kernel forgets nothing that is open: what seems so has been noted by a worker that did not come to hear
 * that nobody wanted it any more. */
static void end_opens(struct node_table *table, uint64_t ino)
{
	struct ledger_open *open;

	for (uint32_t at = 0; (open = ledger_open_next(table->ledger, &at));)
		if (open->ino == ino)
			ledger_open_free(table->ledger, open);
}

/* After a listing of a million files, say, when the kernel has forgotten them. */
static void give_back_memory(struct node_table *table)
{
	unsigned n = HASH_COUNT(table->by_ino);

	if (table->n_most < MANY || n > table->n_most / 2)
		return;
	table->n_most = n;
	heap_give_back();
}

static void entry_take_out(struct node_table *table, struct node_entry *entry, struct node *ret_node)
{
	if (entry->node.n_opens > 0)
		end_opens(table, entry->node.ino);
	ledger_closing(table->ledger, entry->node.backing_id);
	*ret_node = entry->node;
	ret_node->name = NULL;
	entry->node.pin = -1;
	entry_free(table, entry);
	give_back_memory(table);
}

static uint32_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint32_t)now.tv_sec + 1; /* never 0 */
}

static void doubt(struct node_entry *entry)
{
	if (entry->kept->doubted_s == 0)
		entry->kept->doubted_s = now_s();
}

/* True if those were the last. */
static bool take_back(struct node_table *table, struct node_entry *entry, uint64_t n, struct node *ret_node)
{
	entry->node.n_lookups -= MIN(n, entry->node.n_lookups);
	keep(entry);
	if (entry->node.n_lookups > 0)
		return false;
	entry_take_out(table, entry, ret_node);
	return true;
}

bool node_take_back(struct node_table *table, uint64_t ino, struct node *ret_node)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	return entry && ino != NODE_ROOT && take_back(table, entry, 1, ret_node);
}

void node_ended(struct node_table *table, const struct node *node)
{
	table->n_nameless -= node->nameless;
}

/* The kernel gives back all it has at once. What is left was counted by a worker that was killed before its
 * answer came, or is on its way. */
bool node_forget(struct node_table *table, uint64_t ino, uint64_t n, struct node *ret_node, bool *ret_doubted)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);
	bool is_known = entry && ino != NODE_ROOT;
	bool is_gone = is_known && take_back(table, entry, n, ret_node);

	*ret_doubted = is_known && !is_gone;
	if (*ret_doubted)
		doubt(entry);
	return is_gone;
}

bool node_doubt(struct node_table *table, uint64_t ino, struct node *ret_node)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry || ino == NODE_ROOT)
		return false;
	doubt(entry);
	if (now_s() - entry->kept->doubted_s < NODE_DOUBT_S)
		return false;
	entry_take_out(table, entry, ret_node);
	return true;
}

void node_trust(struct node_table *table, uint64_t ino)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (entry)
		entry->kept->doubted_s = 0;
}

int node_doubt_left_s(struct node_table *table, uint64_t ino)
{
	LOCKED(table);
	const struct node_entry *entry = find(table, ino);
	uint32_t age_s;

	if (!entry || entry->kept->doubted_s == 0)
		return NODE_TRUSTED;
	age_s = now_s() - entry->kept->doubted_s;
	return age_s < NODE_DOUBT_S ? NODE_DOUBT_S - (int)age_s : 0;
}

bool node_note_pinned(struct node_table *table, uint64_t ino)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return false;
	entry->node.pinned = true;
	keep(entry);
	return true;
}

bool node_pin(struct node_table *table, uint64_t ino, int fd)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry || entry->node.pin >= 0)
		return false;
	entry->node.pin = fd;
	entry_note_nameless(table, entry, true);
	return true;
}

void node_tell(struct node_table *table, uint64_t ino, const struct told *told)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (entry)
		entry_tell(entry, told);
}

void node_note_no_acl(struct node_table *table, uint64_t ino, const struct timespec *ctime, int64_t until_ms)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);
	struct told *told = entry ? &entry->node.told : NULL;

	if (told && told->shown && told->ctime.tv_sec == ctime->tv_sec &&
	    told->ctime.tv_nsec == ctime->tv_nsec)
		told->no_acl_until_ms = until_ms;
}

void node_unshow(struct node_table *table, uint64_t ino)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return;
	entry->node.told.shown = 0;
	entry->node.told.no_acl_until_ms = 0;
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

	if (is_known_as(entry, parent, name))
		entry_move(entry, parent, NULL);
}

void node_settle_name(struct node_table *table, uint64_t ino)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (entry)
		entry->node.renamed = false;
}

static void count_open(struct node_entry *entry, bool writes)
{
	entry->node.n_opens++;
	entry->node.n_writers += writes;
}

int node_use_backing(struct node_table *table, uint64_t ino, struct node_use *use)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return -ESTALE;
	if (entry->node.backing_id == 0)
		return 0;
	use->handle = ledger_open_new(table->ledger, use->unique, ino, use->writes);
	if (use->handle == 0)
		return -ENFILE;
	count_open(entry, use->writes);
	return entry->node.backing_id;
}

bool node_release_backing(struct node_table *table, uint64_t handle)
{
	LOCKED(table);
	struct ledger_open *open = ledger_open_of(table->ledger, handle);
	struct node_entry *entry;
	bool is_nameless;

	if (!open)
		return false;
	entry = find(table, open->ino);
	is_nameless = entry && entry->node.nameless;
	if (entry) {
		entry->node.n_opens -= entry->node.n_opens > 0;
		entry->node.n_writers -= open->writes && entry->node.n_writers > 0;
	}
	ledger_open_free(table->ledger, open);
	return is_nameless;
}

bool node_find_use(struct node_table *table, struct node_use *use, uint64_t *ret_ino, int *ret_id)
{
	LOCKED(table);
	struct node_entry *entry;
	uint64_t ino;

	use->handle = ledger_open_find(table->ledger, use->unique, &ino);
	entry = use->handle ? find(table, ino) : NULL;
	if (!entry)
		return false;
	*ret_ino = ino;
	*ret_id = entry->node.backing_id;
	return true;
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
	ledger_closing(table->ledger, *ret_id);
	entry->node.backing_id = 0;
	keep(entry);
	return true;
}

void node_set_backing(struct node_table *table, uint64_t ino, int backing_id)
{
	LOCKED(table);
	struct node_entry *entry = find(table, ino);

	if (!entry)
		return;
	entry->node.backing_id = backing_id;
	keep(entry);
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
