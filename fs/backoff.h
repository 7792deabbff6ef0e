/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Pauses between the attempts of a request at what will be possible in a moment: what the kernel tells by
 * another request, such as the close of a file, may be on its way. Only as many threads pause as can be
 * spared (spare.h), but for backoff_sleep(), which is for what this process itself ends in a moment.
 */
#include <stdbool.h>

struct fs;

#define BACKOFF_MS  100
#define BACKOFF_MAX 22 /* pauses, which take about so long */

/* The n-th pause, from 0, each twice as long as the one before up to 6.4 ms. Without locks. */
void backoff_sleep(unsigned n);

/* The same. False, at once, where this thread cannot be spared. */
bool backoff_pause(struct fs *fs, unsigned n);

/* After an attempt in vain, with a count that begins at 0: true, after a pause, as long as there are any. */
bool backoff_again(struct fs *fs, unsigned *n);
