/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who holds and awaits the locks of files: all of /proc/locks, from one reading of which any number of files
 * can be answered.
 *
 * The kernel gives out that list in pages, and from one that changes meanwhile a lock may be missing; so a
 * list of several pages is gone through until that finds nothing new, or eight times.
 * Sources: proc_locks(5); Linux fs/locks.c (lock_get_status) for the lines.
 */
#include <stdbool.h>
#include <stdio.h>

#include "census.h"

struct segfs_locks;

/* All locks of the machine, as they are now. 0 or -errno. */
int segfs_locks_read(struct segfs_locks **ret_locks);

/* Takes NULL, returns NULL. */
struct segfs_locks *segfs_locks_free(struct segfs_locks *locks);

static inline void segfs_locks_cleanup(struct segfs_locks **locks)
{
	*locks = segfs_locks_free(*locks);
}

/* The lock in a control page (control-state.h), of which the kernel knows nothing. */
struct segfs_page_lock {
	bool held, exclusive;
	struct segfs_pids holders; /* as far as they are known, owned */
	unsigned n_waiting;
};

static inline void segfs_page_lock_clear(struct segfs_page_lock *lock)
{
	segfs_pids_clear(&lock->holders);
}

enum segfs_locks_style {
	SEGFS_LOCKS_TEXT,   /* the value of user.shm.lock */
	SEGFS_LOCKS_COLUMN, /* without blanks */
};

/*
 * Print the locks of one file, and that of its control page unless `page` is NULL. In each kind of lock,
 *those of a holder or of several, and how many wait:
 *
 *	text	unlocked	exclusive pid 812 (flock), 2 waiting; shared pid 7,8 (page)
 *	column	-		exclusive:812(flock)+2;shared:7,8(page)
 *
 * The lock of an open file (ofd; flock whose taker has ended) names no process: its holders are those who
 * have the file open with it according to `census`, or if that is NULL to one that is taken now, which makes
 * the call as slow. A holder that is not found is called "unknown". 0, or -errno with nothing printed; that
 * `out` is full is seen there.
 */
int segfs_locks_print(const struct segfs_locks *locks, const struct segfs_identity *file,
		      enum segfs_locks_style style, const struct segfs_census *census,
		      const struct segfs_page_lock *page, FILE *out);
