/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who has which file mapped or open: one walk of /proc for one file, or for all files of a file system at
 * once.
 *
 * A file may be known under several devices, the mount's, the store's, and those of mounts that are gone but
 * for what is still mapped from them. The walk takes milliseconds (some 20 us
 * a process, 4 us a descriptor and 0.5 us a mapping), so it belongs on a thread that nobody waits for but the
 * one who asked. It never makes a request of any file system: what it stats, it stats from cache. A census is
 * a value: it does not change, and any number of threads may read it. What it does not see: descriptors that
 * a thread has for itself (CLONE_FILES of unshare(2)), those on their way through a socket, and, unless run
 * by root, the processes of others. Sources: proc(5), proc_pid_maps(5), proc_pid_fdinfo(5).
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "process.h"

#define SEGFS_DEVICES_MAX 16

struct segfs_identity {
	dev_t dev[SEGFS_DEVICES_MAX]; /* of the mount, of the store, of former mounts; 0: none */
	ino_t ino;		      /* the same in both */
};

/* How a process uses a file. A writable private mapping is of its own memory, and only reads the file. */
enum {
	SEGFS_USE_READ = 1,
	SEGFS_USE_WRITE = 2,
	SEGFS_USE_MAPPED = 4,
	SEGFS_USE_OPEN = 8,   /* not with O_PATH, which gives no access */
	SEGFS_USE_MOUNT = 16, /* through a mount: any but dev[1] */
	SEGFS_USE_STORE = 32, /* by its path in the store: dev[1] */
	/* Has it open with a lock of the kind, be it taken by another who shares the open file. */
	SEGFS_USE_FLOCK = 64,
	SEGFS_USE_FCNTL = 128,
	SEGFS_USE_OFD = 256,
};

struct segfs_user {
	pid_t pid;
	unsigned how; /* SEGFS_USE_*, of all its uses together */
};

struct segfs_census;

/* Of all files of these devices. This process is left out, and one that ends meanwhile may be. 0, or
 * -ENOMEM or -errno of opening /proc. */
int segfs_census_take(const dev_t dev[SEGFS_DEVICES_MAX], struct segfs_census **ret_census);

/* The same of one file. */
int segfs_census_take_of(const struct segfs_identity *file, struct segfs_census **ret_census);

/* The users of a file, in ascending order of their pids, lent by the census. Returns how many; if 0,
 * *ret_users is NULL. */
size_t segfs_census_find(const struct segfs_census *census, ino_t ino, const struct segfs_user **ret_users);

/* Does nobody use any file? */
bool segfs_census_is_empty(const struct segfs_census *census);

/* Takes NULL, returns NULL. */
struct segfs_census *segfs_census_free(struct segfs_census *census);

static inline void segfs_census_cleanup(struct segfs_census **census)
{
	*census = segfs_census_free(*census);
}

/* Every process that has the file mapped, or open by either path, but this one. 0 or -errno. */
int segfs_census_attached(const struct segfs_identity *file, struct segfs_pids *ret_pids);
