/* SPDX-License-Identifier: MIT */
#pragma once

/* What the reaper does when wards are due: see whether they are in use, and remove those whose time has come.
 * In the reaper's thread. */
#include "fs.h"

/* Look at the wards that are due, a batch of them; fs->reaper.next_ms then says when the next one is. */
void reap(struct fs *fs);
