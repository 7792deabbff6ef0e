/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The threads that read requests and answer them, each from beginning to end. A fixed number: the kernel
 * hands each request to one that waits, and one that waits costs nothing.
 */
#include <pthread.h>

struct fs;

struct workers {
	pthread_t *threads; /* owned */
	unsigned n;
	int ended; /* eventfd, owned: readable once one has ended because the mount is gone */
};

/* 0 or -errno; call workers_stop() in either case. */
int workers_start(struct fs *fs, unsigned n);

/* End and join them. A request under way is finished first. */
void workers_stop(struct fs *fs);
