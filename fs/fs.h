/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One mount: what all parts of a worker share. Made by assembly.c, the userdata of the FUSE session, alive
 * until the last thread has ended.
 */
#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <time.h>

#include "census.h"
#include "events.h"
#include "names.h"
#include "node.h"
#include "lease.h"
#include "ledger.h"
#include "opened.h"
#include "options.h"
#include "passthrough.h"
#include "promoter.h"
#include "reaper.h"
#include "slow-lane.h"
#include "space.h"
#include "spare.h"
#include "store.h"
#include "sweep.h"
#include "transport.h"
#include "view.h"
#include "watch.h"
#include "workers.h"

/* Who was told to walk again, on opening a file (fresh.h). */
struct fresh {
	pthread_mutex_t lock;
	struct fresh_walk {
		pid_t pid;
		int64_t until_ms; /* 0: none */
	} walks[64];
	unsigned n;
	_Atomic int64_t acl_asked_ms; /* when the kernel last asked for the ACL of a file */
};

struct fs {
	struct options options; /* borrowed from main() */
	int supervisor;		/* the socket to it (link.h), borrowed */
	struct ledger ledger;
	struct segfs_store store;
	int control_above;	      /* control_open_above(), borrowed */
	struct fuse_session *session; /* owned */
	dev_t dev[SEGFS_DEVICES_MAX]; /* devices.h */
	struct transport transport;
	struct passthrough passthrough;
	struct node_table nodes;
	struct view_table views;
	struct opened_table opened;
	/* Held while owner, mode or ACL change through the mount and until that is noted, so that it is not
	 * taken for a change behind it. */
	pthread_mutex_t rights_lock;
	struct fresh fresh;
	struct names names;
	struct watch watch;
	struct slow_lane slow_lane;
	struct space space;
	struct spare spare;
	struct leases leases;
	struct reaper reaper;
	struct promoter promoter;
	struct sweep sweep;
	struct events events;
	struct workers workers;
};

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}
