/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The slow lane: what takes milliseconds (a walk of /proc, a picture) is done by one thread for all, so that
 * however many ask at once, the threads that serve names and opens stay free.
 */
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>

struct fs;

/* To be the first member of what a job needs besides; allocated with malloc(). */
struct slow_job {
	struct slow_job *next; /* the queue's */
	fuse_req_t req;
	uint64_t unique; /* the request's number (journal.h), the lane's */
	/* Replies to the request, in the lane's thread, which may become the requester (caller.h). */
	void (*run)(struct fs *fs, struct slow_job *job);
	/* Ends what the job owns, but not the job; NULL: nothing. Called whether it has run or not. */
	void (*clear)(struct slow_job *job);
};

struct slow_lane {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct slow_job *first, **last; /* a queue, owned */
	bool stop, running;
	pthread_t thread;
};

int slow_lane_start(struct fs *fs);

/* Ends the thread; what still waits is answered with EINTR. */
void slow_lane_stop(struct fs *fs);

/* Takes the job over. */
void slow_lane_submit(struct fs *fs, struct slow_job *job);
