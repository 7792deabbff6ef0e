/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changes behind the mount: an inotify watch on every directory the kernel knows, and a thread that turns its
 * events into invalidations, so that the kernel may cache for long. Events that the mount's own requests
 * cause are recognised by their having changed nothing the kernel was not told.
 *
 * A mapping's stores raise no event and change no attribute: nothing is to be invalidated for them.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fs;

/* Its thread's name. In the kernel it may have to wait for a directory that is held by somebody whose request
 * has not been answered, and cannot be killed meanwhile: so it may outlive its process for a while. */
#define WATCH_THREAD "segfs-watch"

struct watch {
	int inotify; /* owned */
	int wake;    /* eventfd, owned */
	pthread_t thread;
	bool running;
	bool takes_over; /* from another worker: succession.h */

	pthread_mutex_t numbers; /* held while a watch is added and noted, or removed */
	bool complained;	 /* that there are no more watches; under `numbers` */

	_Atomic bool doubts; /* watch_doubt() has been called */

	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t passed;
	bool stop;
	uint64_t n_wanted, n_passed; /* calls of watch_sync(), and how many of them have been served */
};

/* Watch the root and start the thread. 0 or -errno. */
int watch_start(struct fs *fs);
void watch_stop(struct fs *fs);

/*
 * Watch a directory, open as `fd` (O_PATH is enough), and note that in its node. Where it cannot be had
 * (fs.inotify.max_user_watches) the node has no watch, and what is in the directory is not cached. Any
 * thread.
 */
void watch_add(struct fs *fs, uint64_t ino, int fd);

/* The kernel has given back a node of which, by our count, it has more: it shall be asked for that later. Any
 * thread. */
void watch_doubt(struct fs *fs);

/* End the watch of a forgotten node, unless the directory has been found again since. -1 is none. */
void watch_remove(struct fs *fs, int number);

/*
 * Return true when the kernel knows of everything that had happened in the store before the call; or false
 * after 20 ms, should the thread be held up. Not to be called from a handler that the kernel holds a
 * directory for.
 */
bool watch_sync(struct fs *fs);
