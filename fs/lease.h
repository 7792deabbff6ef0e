/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Leases (fcntl(2), F_SETLEASE). segfs takes one for a moment where it has to be sure that nobody has a file
 * open, and that nobody comes meanwhile. Who opens the file then waits for that moment, as he would for the
 * kernel's own locks. Anybody else may have one too, on a file of his, and keep it for 45 s after somebody
 * wants to open the file: no request waits so long.
 */
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct fs;

/* One that segfs has. It stays where it is while it is held. */
struct lease {
	int fd;	     /* borrowed; -1: it is another module that has it */
	ino_t ino;   /* the file's inode number, and its node id */
	off_t until; /* of no more use once the file has this size; -1: when it is given back */
	bool held;
	struct lease *prev, *next;
};

/* All of them. Threads: any. */
struct leases {
	pthread_mutex_t lock; /* protects the list, and what is in it */
	struct lease *first;  /* borrowed; utlist.h */
};

void leases_init(struct leases *leases);
void leases_destroy(struct leases *leases);

/* One that another module is about to take (claim.h): now it is known. lease_give_back() when that has none
 * any more. */
void lease_announce(struct leases *leases, struct lease *lease, ino_t ino);

/* Take one of this type: F_RDLCK, nobody has the file open or mapped to write, or F_WRLCK, nobody but
 * `fd` at all. 0; -EAGAIN: somebody has; or another -errno. */
int lease_take(struct leases *leases, struct lease *lease, int fd, ino_t ino, int type, off_t until);

/* Takes one that is not held. */
void lease_give_back(struct leases *leases, struct lease *lease);

/* segfs_store_reopen() with O_NONBLOCK, of segfs's own accord: it leaves a lease that segfs has alone, and is
 * -EAGAIN. */
int lease_reopen(struct fs *fs, int fd, ino_t ino, int flags);

/* An open with O_NONBLOCK that meets a lease; all zero before the first attempt. */
struct lease_wait {
	unsigned n, n_ours;
};

/* After an attempt at this file in vain (-EAGAIN): true, after a pause, if another is worth it. It is for as
 * long as segfs has the lease, some 2 s at most, whether or not this thread can be spared (spare.h); and for
 * some 100 ms if somebody else has it. */
bool lease_again(struct fs *fs, ino_t ino, struct lease_wait *wait);
