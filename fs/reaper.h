/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The reaper removes segments at the end of their lifetimes (lifetimes.h), and never one that somebody has
 * open or mapped. A thread of its own: requests only tell it what to look at.
 *
 * It hears of opens and closes (uses.h) and of the ends of creators (process-end.h), and when a segment
 * (ward.h) has been left alone for a moment takes sole possession of it (claim.h): only that tells whether it
 * is in use, everything else is a hint as to when to try. At its start it looks through the whole store, so
 * the daemon may have been away. With -o ro there is none.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "uses.h"
#include "ward.h"

struct fs;

struct reaper {
	pthread_t thread;
	bool running;
	_Atomic bool stop;

	pthread_mutex_t lock; /* protects what follows */
	struct reaper_note *queue;
	bool lost; /* something could not be queued */

	/*
	 * Held while a lifetime is set, and while a segment is removed after a last look at its lifetime: so
	 * whoever has been told that it is kept has it.
	 */
	pthread_mutex_t verdict;

	/* The thread's own. */
	int wake, timer, epoll; /* eventfd, timerfd, owned */
	struct uses uses;
	struct ward *wards;
	struct process_ends ends;
	int64_t next_ms; /* no ward is due before */
	int64_t ask_ms;	 /* when processes are asked about next, if that is how it has to be done */

	_Atomic uint64_t n_wards;
};

/* 0 or -errno. Call reaper_stop() in either case. */
int reaper_start(struct fs *fs);
void reaper_stop(struct fs *fs);

/* The lifetime of an open file (O_PATH is enough) may have changed. Any thread; does not wait. */
void reaper_look(struct fs *fs, int fd);
