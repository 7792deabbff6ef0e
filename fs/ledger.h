/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What outlives a worker: a memory area that supervisor and workers share, in which each worker finds what
 * the kernel has been told by those before it.
 *
 * Nothing in it is a pointer, and every record is valid by one word, which is written last when it is made
 * and first when it ends: a worker may be killed between any two instructions. What a record says beside that
 * word is either repeated when the kernel sends the unanswered request again, or may be wrong by what README
 * and segfs.8 do not promise: lookups may be counted too high, never too low. One worker at a time writes;
 * functions may be called from any of its threads, but a record is changed under the lock of the table that
 * it is of. The area is in the daemon's own memory, and nobody else's to write.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "census.h"
#include "lifetime.h"
#include "store.h"

/* Of what follows, byte by byte. A worker of another version of segfs takes no other (SIGHUP). */
#define LEDGER_LAYOUT 6

#define LEDGER_INIT_MAX	 256
#define LEDGER_OPCODES	 64
#define LEDGER_SLOTS	 4096
#define LEDGER_THREADS	 300 /* more than a worker has */
#define LEDGER_NODES	 (1u << 24)
#define LEDGER_OPENS	 ((1u << 22) - 2)
#define LEDGER_FORMERS	 128
#define LEDGER_NAME_MAX	 60 /* longer names are not kept; the kernel is not to cache them (op-names.c) */
#define LEDGER_NAME_NONE 255

/* A file or view that the kernel knows. */
struct ledger_node {
	_Atomic uint64_t id; /* node id; 0: the record is free, and `parent` the next free one */
	uint64_t parent;
	uint64_t n_lookups;
	uint64_t acl; /* this and mode, uid, gid: struct told */
	struct segfs_handle handle;
	int32_t backing_id;
	uint32_t mode, uid, gid;
	uint32_t doubted_s;	  /* when the kernel was first found not to know it; 0: it has not been */
	bool pinned;		  /* the supervisor keeps its file alive (pins.h) */
	_Atomic uint8_t name_len; /* LEDGER_NAME_NONE: not known */
	char name[LEDGER_NAME_MAX + 2];
};
_Static_assert(sizeof(struct ledger_node) == 128, "two cache lines");

/* A former name (formers.h). */
struct ledger_former {
	_Atomic uint64_t parent; /* 0: the record is free */
	uint32_t pass;
	char name[LEDGER_NAME_MAX + 1];
};

/* An open segment or view, from its OPEN to its RELEASE. */
struct ledger_open {
	_Atomic uint64_t unique; /* of the request that opened it; 0: the record is free, and `ino` the next
				    free one */
	uint64_t ino;
	uint64_t note;	       /* of a view: view-file.c, op-events.c */
	_Atomic uint64_t poll; /* by this the kernel wants to be told of what it polls; 0: it does not poll */
	bool writes;
};

/*
 * What a thread has in hand (journal.h).
 */
struct ledger_slot {
	_Atomic uint64_t unique; /* of the request; 0: none */
	_Atomic uint32_t stage;
	_Atomic int32_t tid;
	_Atomic uint32_t n_crashes; /* that the request has caused */
	_Atomic uint64_t n_done;    /* requests that have been answered by way of this slot */
	uint64_t before[2];
};

struct ledger_page {
	uint64_t magic;
	uint32_t layout;
	uint32_t init_len;
	char init[LEDGER_INIT_MAX]; /* the kernel's INIT request */
	struct timespec started;    /* CLOCK_REALTIME */
	dev_t dev[SEGFS_DEVICES_MAX];
	int32_t supervisor;			 /* pid */
	_Atomic bool attached;			 /* the mount is on its mountpoint */
	_Atomic bool sleeps;			 /* the supervisor does, until LINK_WAKE */
	_Atomic bool unpins_missed;		 /* it could not be sent a LINK_UNPIN */
	_Atomic uint32_t n_pin_words;		 /* LINK_PIN and LINK_UNPIN that it has not come to obey */
	_Atomic uint32_t n_workers;		 /* that have been started, this one too */
	_Atomic int32_t last_backing_id;	 /* that was noted on a node */
	_Atomic int32_t closing[LEDGER_THREADS]; /* ledger_closing(); 0: none */
	struct ledger_former formers[LEDGER_FORMERS];
	uint32_t pass, lost_pass;  /* how often all events have been read; and by when formers were lost */
	_Atomic bool formers_lost; /* there were more than have room */
	_Atomic uint32_t n_nodes, n_opens; /* records that have ever been in use */
	_Atomic uint64_t n_resent, longest_stall_ns;
	_Atomic uint64_t n_removed[SEGFS_TTL + 1]; /* segments at the end of their lifetimes, by these */
	_Atomic uint64_t counts[LEDGER_OPCODES];   /* requests by opcode */
	struct ledger_slot slots[LEDGER_SLOTS];
};

struct ledger {
	struct ledger_page *page;      /* NULL: none */
	struct ledger_node *nodes;     /* behind the page */
	struct ledger_open *opens;     /* behind the nodes */
	pthread_mutex_t lock;	       /* of the free lists */
	uint32_t free_node, free_open; /* index + 1; 0: none */
	uint32_t n_free_nodes;
};

/* A new one, as a descriptor to be handed on. 0 or -errno. */
int ledger_create(int *ret_fd);

/* Map it. 0, -EPROTO if it is of another version, or -errno. */
int ledger_map(struct ledger *ledger, int fd);
void ledger_unmap(struct ledger *ledger);

/* A worker takes over from an earlier one: call once, before any of what follows. */
void ledger_take_over(struct ledger *ledger);

/*
 * A backing id is about to be taken from its record and then closed, or has been closed. In between no record
 * has it, but a successor finds it here: to him it is nobody's, even where its record has it still.
 */
void ledger_closing(struct ledger *ledger, int32_t backing_id);
void ledger_closed(struct ledger *ledger, int32_t backing_id);

/* A free record; it is in use once its id is written. NULL: there are too many. */
struct ledger_node *ledger_node_new(struct ledger *ledger);
/* May each thread have one more? */
bool ledger_has_room(struct ledger *ledger);
/* Takes NULL. */
void ledger_node_free(struct ledger *ledger, struct ledger_node *node);
void ledger_node_name(struct ledger_node *node, uint64_t parent, const char *name);
/* The records in use, one after the other, from *at = 0 on; NULL behind the last. */
struct ledger_node *ledger_node_next(struct ledger *ledger, uint32_t *at);

/* Note an open; its handle, which the kernel gives back on RELEASE, or 0: there are too many. */
uint64_t ledger_open_new(struct ledger *ledger, uint64_t unique, uint64_t ino, bool writes);
/* The record of a handle, NULL if it has ended. */
struct ledger_open *ledger_open_of(struct ledger *ledger, uint64_t handle);
/* The handle that a request has been given before, 0: none. */
uint64_t ledger_open_find(struct ledger *ledger, uint64_t unique, uint64_t *ret_ino);
void ledger_open_free(struct ledger *ledger, struct ledger_open *open);
struct ledger_open *ledger_open_next(struct ledger *ledger, uint32_t *at);
