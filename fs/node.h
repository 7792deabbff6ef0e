/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The files the kernel knows: from its node id to a handle on the store, and what it was last told.
 *
 * A node id is the inode number in the store, so that it means the same to another worker; but the store's
 * root, whose number is the one that FUSE has for its own root, is NODE_ROOT. A node costs memory only, no
 * descriptor; it lives from the first reply that names it until the kernel forgets it. Every function may be
 * called from any thread. What this module does not do: it checks no permission and sends no notification.
 *
 * What another worker needs of a node is written into the ledger as it changes; how a file looked when the
 * kernel was told of it, but for its rights, and an inotify watch are not. To a worker that takes over, each
 * file thus looks as if it had changed since.
 */
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "store.h"

struct ledger;

#define NODE_ROOT (UINT64_C(1) << 63)

/* An inode's attributes as the kernel last heard of them, as far as they tell whether something has changed
 * since. */
struct told {
	mode_t mode;
	uid_t uid;
	gid_t gid;
	nlink_t nlink;
	off_t size;
	struct timespec ctime;
	uint64_t acl;		 /* a hash of a directory's access ACL; 0: none */
	int64_t no_acl_until_ms; /* of CLOCK_MONOTONIC, of a file: it was found to have none */
	uint64_t shown;		 /* fresh_print() of what it was told with the name; 0: not to be relied on */
	int64_t shown_until_ms;	 /* of CLOCK_MONOTONIC */
	int64_t judge_until_ms;	 /* of CLOCK_MONOTONIC: rights have changed, and requests judged by the old
				    ones may be under way */
};

struct node {
	uint64_t ino;
	struct segfs_handle handle;
	uint64_t n_lookups;	    /* what the kernel has to give back by FORGET */
	uint64_t parent;	    /* node id of the directory it was last found in; 0: the root's */
	char *name;		    /* and its name there, owned; NULL once it has none that we know of */
	struct timespec name_ctime; /* the file's ctime when the name was last seen to lead to it */
	nlink_t name_nlink;	    /* and its number of links */
	bool renamed; /* found by another name than before: the kernel may still have it under the old one */
	struct told told;
	int backing_id;	    /* of passthrough; 0: none yet */
	uint64_t n_opens;   /* opened with it, and not yet released */
	uint64_t n_writers; /* of these, for writing */
	int watch;	    /* a directory's inotify watch; -1: none */
	int pin;	    /* a descriptor that keeps a file without a name alive, owned; -1: none */
	bool pinned;	    /* so does one of the supervisor's */
	bool nameless;	    /* it has no name in the store: node_table.n_nameless */
};

/* One open of a segment, by the request that asked for it. */
struct node_use {
	uint64_t unique; /* of the request */
	bool writes;
	uint64_t handle; /* is filled in: by this the kernel gives it back */
};

struct node_table {
	pthread_mutex_t lock;
	ino_t root_ino;		     /* the root's inode number in the store */
	struct ledger *ledger;	     /* borrowed */
	struct node_entry *by_ino;   /* uthash */
	struct node_entry *by_watch; /* uthash, directories alone */
	unsigned n_most;	     /* nodes at once, since memory was last given back */
	_Atomic unsigned n_nameless; /* nodes of files without a name, until they are ended: node_ended() */
};

/* The table begins with the root, which is never forgotten, and what the ledger has of earlier workers. 0 or
 * -errno. */
int node_table_init(struct node_table *table, ino_t root_ino, const struct segfs_handle *root,
		    const struct told *told, struct ledger *ledger);
void node_table_destroy(struct node_table *table);

/* Copy a node out. `ret_node->name` is NULL in the copy. 0 or -ESTALE if it is not known. */
int node_get(struct node_table *table, uint64_t ino, struct node *ret_node);

/* Open the file of a node in its store, as root. A descriptor, or -ESTALE once it is gone, or another -errno.
 */
int node_open(struct node_table *table, const struct segfs_store *store, uint64_t ino, int flags);

/* As node_get(), and a copy of its name, NULL or to be freed. */
int node_get_named(struct node_table *table, uint64_t ino, struct node *ret_node, char **ret_name);

/*
 * The kernel is about to be told of a file: count that, and note where it is and what it looks like. A new
 * node is made for an unknown one. *ret_is_new tells. 0, -ENOMEM, or -ENFILE: there are LEDGER_NODES.
 */
int node_remember(struct node_table *table, ino_t ino, const struct segfs_handle *handle,
		  const struct told *told, uint64_t parent, const char *name, bool *ret_is_new);

/* Has the kernel by all we know this file by this name, with attributes of this fresh_print()? */
bool node_is_shown(struct node_table *table, uint64_t ino, uint64_t parent, const char *name, uint64_t print,
		   int64_t now_ms);

/*
 * One lookup was counted of which the kernel is not told. True if the node is gone: *ret_node is its last
 * state (the name is NULL), and backing id, watch and pin are the caller's to end, who then says so:
 * node_ended().
 */
bool node_take_back(struct node_table *table, uint64_t ino, struct node *ret_node);
void node_ended(struct node_table *table, const struct node *node);

/* The kernel has given back `n` lookups. *ret_doubted: by our count it has more, as in node_doubt(). Else as
 * node_take_back(). */
bool node_forget(struct node_table *table, uint64_t ino, uint64_t n, struct node *ret_node,
		 bool *ret_doubted);

/* The file has lost its last name: keep this descriptor (O_PATH) of it. True if it was taken over. */
bool node_pin(struct node_table *table, uint64_t ino, int fd);

/* Note what the kernel is told now, or will find out as it has to ask again. A time to judge until is never
 * brought forward. */
void node_tell(struct node_table *table, uint64_t ino, const struct told *told);

/* A file that still looks as the kernel was told, with this ctime, was found to have no access ACL. That may
 * be relied on until then, or until it is seen to have changed. */
void node_note_no_acl(struct node_table *table, uint64_t ino, const struct timespec *ctime, int64_t until_ms);

/* What has been seen of a file is not to be relied on any more. */
void node_unshow(struct node_table *table, uint64_t ino);

/* The file `ino` is now called `name` in `parent`; a NULL name: no longer called anything we know. */
void node_move(struct node_table *table, uint64_t ino, uint64_t parent, const char *name);

/* The name was seen to lead to the file, which had this ctime and number of links. */
void node_confirm_name(struct node_table *table, uint64_t ino, const struct stat *st);

/* The name is gone from `parent`: if the file was known by it, it is now without one. */
void node_unname(struct node_table *table, uint64_t ino, uint64_t parent, const char *name);

/* The kernel no longer has it under an old name. */
void node_settle_name(struct node_table *table, uint64_t ino);

/* Count an open with the node's backing id. The id, or 0 if there is none yet and so nothing was counted, or
 * -ESTALE, or -ENFILE. */
int node_use_backing(struct node_table *table, uint64_t ino, struct node_use *use);
/* One that has been released already is not counted again. True: of a file without a name. */
bool node_release_backing(struct node_table *table, uint64_t handle);
/* What an earlier worker has opened for this request: the node and its backing id. False: nothing. */
bool node_find_use(struct node_table *table, struct node_use *use, uint64_t *ret_ino, int *ret_id);
bool node_has_writers(struct node_table *table, uint64_t ino);
void node_set_backing(struct node_table *table, uint64_t ino, int backing_id);

/* Take the id away from a node that nobody has open. False if somebody has. *ret_id is the caller's to close,
 * 0 if there is none. */
bool node_take_backing(struct node_table *table, uint64_t ino, int *ret_id);

/* Note a directory's inotify watch, or -1. */
void node_set_watch(struct node_table *table, uint64_t ino, int watch);
/* The directory that a watch is on. 0 if there is none. */
uint64_t node_of_watch(struct node_table *table, int watch);

/* All node ids of this moment, for the rare cases that concern every file. A count, *ret_inos to be freed; or
 * -ENOMEM. */
ssize_t node_list(struct node_table *table, uint64_t **ret_inos);

/* How long the kernel must have been without a node before that is believed, seconds: by then each FORGET has
 * been read that was under way. */
#define NODE_DOUBT_S 10

/*
 * The kernel, asked about the node, does not know it. That may be for a moment, or because a worker was
 * killed when it had read that the kernel forgets it. True if it has been so for long, and nobody has it
 * open: it is gone, and *ret_node as after node_forget().
 */
bool node_doubt(struct node_table *table, uint64_t ino, struct node *ret_node);
void node_trust(struct node_table *table, uint64_t ino);

/* Seconds until the kernel is to be asked again about a node; NODE_TRUSTED: it is not in doubt. */
#define NODE_TRUSTED INT_MAX
int node_doubt_left_s(struct node_table *table, uint64_t ino);

/* The supervisor has a pin of it. False: it is not known any more. */
bool node_note_pinned(struct node_table *table, uint64_t ino);

/* How many nodes there are. */
size_t node_count(struct node_table *table);

/* A node id from an inode number of the store. */
uint64_t node_id(const struct node_table *table, ino_t ino);
