/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Wards: the segments with a lifetime other than keep, what is known of their use, and when each is to be
 * looked at next. No file is touched here; the reaper (reaper.h) does that, in whose thread alone this is
 * used.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lifetimes.h"
#include "process-end.h"
#include "store.h"

/* Whoever has just closed a segment may be about to open it again, and so may the one it was made for. */
#define WARD_GRACE_MS 500

/* Of looking again at what was in use: events tell when to, so this is for what they miss. */
#define WARD_RETRY_MIN_MS 1000
#define WARD_RETRY_MAX_MS 30000

#define WARD_NEVER INT64_MAX

struct ward {
	struct segfs_handle handle;
	ino_t ino;
	struct segfs_lifetime lifetime;
	struct process_end *creator; /* with SEGFS_CREATOR; one user of it */
	struct lifetimes_use use;    /* not with SEGFS_CREATOR */
	struct lifetimes_use noted;  /* the same as it is noted on the file */
	bool has_events;	     /* uses.h tells when it is opened and closed */
	int64_t last_ms;	     /* when it was last seen in use, or being closed */
	int64_t not_before_ms;
	int64_t backoff_ms;
	bool settled; /* seen unused, and an event will tell of its next use */
	bool told;    /* with dry-run: that it would be removed */
	UT_hash_handle hh;
};

/* NULL: there is none. */
struct ward *ward_find(struct ward *table, const struct segfs_handle *handle);
/* A new one. NULL: no memory. */
struct ward *ward_add(struct ward **table, const struct segfs_handle *handle);
/* `creator` has been given back by the caller. */
void ward_remove(struct ward **table, struct ward *ward);
static inline size_t ward_count(const struct ward *table)
{
	return HASH_COUNT(table);
}

/* Somebody has it attached, had it until now, or is just making it. */
void ward_used(struct ward *ward, int64_t now_ms);

/* It has turned out to be in use or out of reach. */
void ward_refused(struct ward *ward, int64_t now_ms);

/* It has turned out to be unused. */
void ward_settled(struct ward *ward, int64_t now_ms);

/* Being unused, shall it go? */
bool ward_is_over(const struct ward *ward, int64_t now_ms);

/* When it is to be looked at next; WARD_NEVER: when an event says so. */
int64_t ward_due(const struct ward *ward);
