/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The promoter makes the pages of segments huge (huge.h), in a thread of its own: in the background where
 * segments are used, and at once where somebody asks by user.shm.huge.
 *
 * Nothing tells when a program touches a page. So a segment that has been opened or has grown is looked at
 * after 100 ms, and again, at ever longer intervals, until all of it is huge or it has been left as it is for
 * minutes: what is at least half in memory by then is made huge, nothing else is filled in. Where nothing has
 * been opened or has grown, nothing is looked at, and the thread sleeps. In the background it takes at most a
 * twentieth of a processor, and leaves off while memory is short or no huge page is to be had. With
 * huge=never it only serves those who ask.
 */
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store.h"

struct fs;

struct promoter {
	pthread_t thread;
	bool running;

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t wake;
	_Atomic bool stop;
	struct promoter_ask *first, **last; /* a queue, owned */
	struct promoter_entry *entries;	    /* uthash by inode number, owned */
	int64_t waits_until_ms;		    /* CLOCK_MONOTONIC; 0 while it does not wait */

	_Atomic bool is_looking;

	/* The thread's own. */
	int64_t rest_until_ms; /* no work in the background before */
	uint64_t paid_ns;      /* of the thread's processor time, what it has rested for */

	_Atomic uint64_t n_segments; /* that are to be looked at again */
};

/* 0 or -errno. Call promoter_stop() in either case. */
int promoter_start(struct fs *fs);

/* Ends the thread; who still waits is answered with EINTR. */
void promoter_stop(struct fs *fs);

/* The segment with this node id has been opened, or made larger, and is large enough. Any thread; does not
 * wait. */
void promoter_look(struct fs *fs, uint64_t ino);

/* It has been written to: the same, if it is large enough. A small one is none of the promoter's business:
 * its thread, which may be without a processor for long, must not keep the place of one that is removed. */
void promoter_look_at_written(struct fs *fs, uint64_t ino);

/* Does the promoter keep a segment open that nobody has asked it to look at? */
bool promoter_is_looking(struct fs *fs);

/* Make everything of a segment that has pages huge, and then reply to the request: with 0, also where that
 * was not to be had. */
void promoter_ask(fuse_req_t req, const struct segfs_handle *handle);
