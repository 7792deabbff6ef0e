/* SPDX-License-Identifier: MIT */
#pragma once

/* The supervisor in its parts: supervisor.c, what it holds (supervisor-setup.c), whether its worker is well
 * (watchdog.c). */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "child.h"
#include "ledger.h"
#include "link.h"
#include "pins.h"
#include "store.h"

struct options;

#define MS 1000000LL

/* Between two looks: at a worker that is about to end, at one while requests wait, and while they come and
 * go. Without any there is none. */
#define SPENT_NS (1 * MS)
#define TICK_NS	 (250 * MS)
#define IDLE_NS	 (500 * MS)

struct supervisor {
	const struct options *options;
	struct segfs_store store;
	struct ledger ledger;
	struct link link; /* all but the socket; owned */
	struct child_program program;
	char *binary; /* where it was started from, owned; NULL: not known */
	dev_t dev;
	bool busy;   /* requests wait, at the last look */
	bool quiet;  /* there is nothing to look at until a request comes */
	int control; /* mount_open_control(), owned; -1: not to be had */
	int signals; /* owned */
	struct pins pins;

	struct child worker, next; /* the present one, and that of SIGHUP */
	bool dying;		   /* the present one has been killed */
	bool was_killed;     /* by SIGKILL: somebody else wanted that, and it says nothing of the worker */
	char reason[32];     /* how, as far as it is known, or "" */
	int64_t end_ns;	     /* since when nobody serves; 0: somebody does */
	int64_t start_at_ns; /* when the next one is to be started; 0: none is due */
	unsigned n_fruitless;
	int64_t burst_ns; /* by this time as many as allowed will have been started */

	uint64_t n_seen; /* requests that had been answered at the last look, */
	int64_t seen_ns; /* and when it last saw that there were more */
	uint64_t n_done; /* requests that have been answered at the last look that saw no hang, */
	int64_t done_ns; /* and when that was */

	bool ready;	     /* the mount has answered once */
	int64_t stop_ns;     /* the end has been asked for, then; 0: it has not */
	int64_t watchdog_ns; /* of the service manager; 0: none */
	int64_t told_ns;     /* when it was last told */
	bool done;
	int result;
};

/* Everything up to the kernel's INIT. 0, or -errno after a line in the log; supervisor_tear_down() in either
 * case. */
int supervisor_bring_up(struct supervisor *supervisor, int argc, char **argv);
void supervisor_tear_down(struct supervisor *supervisor);

/* The present worker is to be followed by another. `reason` is for the log, "": it is not known yet.
 * `since_ns`: since when it has not served. */
void supervisor_kill_worker(struct supervisor *supervisor, const char *reason, int64_t since_ns);

/* How many requests have been answered, by all workers. */
uint64_t watchdog_count_done(const struct supervisor *supervisor);

/* A process has been stopped (SIGSTOP), or goes on. */
void watchdog_on_stop(struct supervisor *supervisor, pid_t pid, bool stopped);

/* Is the worker well? Else it is killed. */
void watchdog_look(struct supervisor *supervisor, int64_t now);
