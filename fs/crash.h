/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A worker that crashes notes on the request that did it (journal.h), before it ends as it otherwise would:
 * so one that does so each time is refused in the end, and does not take the mount from all others.
 */
void crash_install(void);
