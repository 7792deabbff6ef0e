/* SPDX-License-Identifier: MIT */
#include "backoff.h"

#include <time.h>

#include "fs.h"
#include "util.h"

/* It takes as long as a request, where nothing else runs. */
#define FIRST_PAUSE_NS 100000
#define LAST_PAUSE_NS  6400000

/* Threads that never pause. */
#define AWAKE 2

bool backoff_pause(struct fs *fs, unsigned n)
{
	struct timespec pause = {.tv_nsec = MIN((long)FIRST_PAUSE_NS << MIN(n, 10u), LAST_PAUSE_NS)};
	bool may = fs->backoff.n_pausing++ < MAX(fs->options.threads, AWAKE + 1) - AWAKE;

	if (may)
		nanosleep(&pause, NULL);
	fs->backoff.n_pausing--;
	return may;
}

bool backoff_again(struct fs *fs, unsigned *n)
{
	return *n < BACKOFF_MAX && backoff_pause(fs, (*n)++);
}
