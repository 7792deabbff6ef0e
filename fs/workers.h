/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The threads that read requests and answer them, each from beginning to end. Their number is fixed, but no
 * more of them wait for the next request than are needed: the kernel hands requests to those that wait in
 * turn, and a thread that has not run for long has forgotten more, so that with eight a request takes a
 * fifth longer than with two. The others rest. One is called as soon as nobody waits, however long those who
 * do not may take: that is all that the number decides.
 */
#include <pthread.h>
#include <stdbool.h>

struct fs;

struct workers {
	pthread_t *threads; /* owned */
	unsigned n;
	int ended; /* eventfd, owned: readable once one has ended because the mount is gone */

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t call;
	unsigned n_reading; /* wait for a request, or are called to */
	unsigned n_resting, n_called;
	unsigned n_wanted; /* to wait for a request; grows only while one rests */
	unsigned n_calm;   /* requests since somebody was called */
	bool stop;
};

/* 0 or -errno; call workers_stop() in either case. */
int workers_start(struct fs *fs, unsigned n);

/* End and join them. A request under way is finished first. */
void workers_stop(struct fs *fs);
