/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a worker makes up for that takes over: while there was none, nobody watched the store, and what the
 * killed one had read of the kernel's FORGETs is lost. In the watching thread, while requests are answered
 * already: nothing is believed for longer than a moment as long as its directory is not watched
 * (op_timeout()), and what must not be wrong is looked at each time (fresh.h).
 */
#include <stdbool.h>

#include "fs.h"

/* Seconds until the kernel is to be asked again about nodes that it seems not to know; NODE_TRUSTED: there
 * are none. */
int succession_settle(struct fs *fs);

/* Once more about those: what it still does not know is let go, with its memory. The same of what is left. */
int succession_end_doubts(struct fs *fs);
