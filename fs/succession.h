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

/* True if there are nodes that the kernel seems not to know. */
bool succession_settle(struct fs *fs);

/* Once more about those, NODE_DOUBT_S later: what it still does not know is let go, with its memory. True if
 * some are younger. */
bool succession_end_doubts(struct fs *fs);
