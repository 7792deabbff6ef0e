/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Space in the store that is about to be free. What a removed file had is free when nobody has the file any
 * more. On a tmpfs that is so before unlink(2) returns, or close(2) where the file was still open. Here the
 * kernel says a moment later that it has forgotten the file, and until then its descriptors are kept, the
 * worker's, the supervisor's and that of the backing id. Whoever makes room in a full store and uses it at
 * once shall find it: so an attempt that finds none is made again while some is on its way.
 *
 * Who holds on to a removed file makes others wait in vain, 100 ms for each time that one is removed
 * (backoff.h).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct fs;

struct space {
	_Atomic int64_t awaited_until_ms; /* of CLOCK_MONOTONIC */
	int64_t unknown_until_ms;	  /* an earlier worker has left files that this one does not count */

	pthread_mutex_t lock; /* protects what follows */
	/* The last removals, by whom and of what; the kernel may since have forgotten it. */
	struct space_removal {
		pid_t pid;
		uint64_t ino; /* node id */
	} removals[32];
	unsigned n_removals;
};

void space_init(struct space *space);

/* Before requests are served. */
void space_start(struct fs *fs);

/* A file has lost its last name by this process; or one that has none has been closed. */
void space_note_removal(struct fs *fs, pid_t pid, uint64_t ino);
void space_note_close(struct fs *fs);

/* An attempt at something that needs space; begin with {}. */
struct space_wait {
	unsigned n;
	bool was_last; /* nothing was on its way any more when it was begun */
};

/* Of a result, 0 or -errno: true, after a pause, if the attempt is to be made again: -ENOSPC or -EDQUOT. */
bool space_again(struct fs *fs, struct space_wait *wait, int r);

/* A process opens a file to write, of which nothing is heard here then: in a store that has little space
 * left, some milliseconds are spent waiting for what that process itself has just removed. */
void space_settle(struct fs *fs, pid_t pid);
