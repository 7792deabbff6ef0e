/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Control pages go with their segments: a thread of its own looks at them after segments have been removed,
 * by whichever path, and takes away those whose segment is no more.
 *
 * It looks at all pages of the directories that it knows: those that it finds at its start, those in which a
 * page was looked for since, and the one at the store's root. A look costs some microseconds a page; however
 * often it is asked for, it takes a small part of a processor at most. While the segment of a page has no
 * name but is still open somewhere, it looks again, less and less often. With -o ro there is none.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "store.h"

struct fs;

struct sweep {
	pthread_t thread;
	bool running;

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t wake;
	_Atomic bool stop;
	bool wanted;
	struct segfs_handle *dirs; /* owned */
	size_t n_dirs;
};

/* 0 or -errno. Call sweep_stop() in either case. */
int sweep_start(struct fs *fs);
void sweep_stop(struct fs *fs);

/* There are control pages in this open directory (O_PATH is enough). Any thread. */
void sweep_know(struct fs *fs, int dir_fd);

/* A file may have been removed. Any thread; does not wait. */
void sweep_look(struct fs *fs);

/*
 * An open directory is to be removed, and has entries: if its only one is a directory of control pages, and
 * none of these is of a segment below it, remove that. 0, or -ENOTEMPTY, or another -errno.
 */
int sweep_clear(struct fs *fs, int dir_fd);
