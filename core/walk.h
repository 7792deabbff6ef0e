/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A walk through a directory and all below it, with the rights that the thread has.
 *
 * Nothing is followed out of it, symlinks least of all. A directory that cannot be read, is removed meanwhile
 * or lies deeper than SEGFS_WALK_DEPTH is passed over. What is created or renamed meanwhile may be missed or,
 * under two names, seen twice.
 */
#include <stdbool.h>
#include <sys/types.h>

/* Each level takes a descriptor and a piece of stack. */
#define SEGFS_WALK_DEPTH 128

struct segfs_walk_entry {
	int dir_fd;	    /* of the directory it is in */
	const char *name;   /* there */
	const char *path;   /* from the start of the walk, without a leading slash */
	unsigned char type; /* DT_* of readdir(3) */
};

/* False ends the walk. */
typedef bool (*segfs_walk_fn)(const struct segfs_walk_entry *entry, void *data);

/*
 * Calls `visit` for each entry, a directory's before what is in it. 0, or -errno if the start (O_PATH is
 * enough) cannot be read, or -ENOMEM.
 */
int segfs_walk(int dir_fd, segfs_walk_fn visit, void *data);
