/* SPDX-License-Identifier: MIT */
#include "backoff.h"

#include <time.h>

#include "fs.h"
#include "util.h"

/* It takes as long as a request, where nothing else runs. */
#define FIRST_PAUSE_NS 100000
#define LAST_PAUSE_NS  6400000

void backoff_sleep(unsigned n)
{
	struct timespec pause = {.tv_nsec = MIN((long)FIRST_PAUSE_NS << MIN(n, 10u), LAST_PAUSE_NS)};

	nanosleep(&pause, NULL);
}

bool backoff_pause(struct fs *fs, unsigned n)
{
	if (!spare_take(fs))
		return false;
	backoff_sleep(n);
	spare_give_back(fs);
	return true;
}

bool backoff_again(struct fs *fs, unsigned *n)
{
	return *n < BACKOFF_MAX && backoff_pause(fs, (*n)++);
}
