/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A worker: the process that answers requests. What it finds in the ledger it goes on with; the supervisor
 * (supervisor.h) tells it when to begin and when to end, and starts another if it is killed.
 */
struct link;
struct options;

/* The name of the thread that attaches the mount, and waits for what other threads answer. */
#define ATTACH_THREAD "segfs-attach"

/*
 * Be one, until the mount is gone or the supervisor says so. An exit status: EXIT_SUCCESS, or EXIT_FAILURE
 * after a line in the log.
 */
int worker_run(const struct options *options, const struct link *link);
