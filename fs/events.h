/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * .segfs/events/NAME: the versions of segments for those who read and write files.
 *
 * The daemon is a sleeper like any other (layout.h): while somebody waits, one thread sleeps on the pages
 * that are waited for, all at once, and wakes whenever any of them is published, through a file or by a C
 * program. A blocked read is an entry in a list. While nobody waits the thread sleeps without end.
 * futex_waitv(2) takes some hundred pages; those beyond are looked at every few milliseconds.
 *
 * A page is mapped only while its events are open somewhere. Its owner may cut it short (shield.h), or put
 * another in its place: whoever waits for that gets EIO, and opens anew.
 *
 * A file that has been polled counts as waited for until it is readable, and again once it has been read: the
 * kernel does not tell when a poll ends.
 */
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "store.h"

struct fs;

struct events {
	pthread_t thread;
	bool running;
	uint32_t wake; /* futex word: changed to make the thread look */

	pthread_mutex_t lock; /* protects what follows, and all that hangs on it */
	bool stop;
	struct event_page *pages; /* uthash, by segment; owned by their files */
	struct event_file *files; /* uthash, by id, which is a handle of the ledger's; owned */
	struct event_read *reads; /* uthash, by request; owned: the blocked ones */
	struct event_user *users; /* uthash, by uid; owned by their files */
};

/* 0 or -errno. Call events_stop() in either case. */
int events_start(struct fs *fs);

/* Whoever still waits gets EINTR. For when no request is handled any more. */
void events_stop(struct fs *fs);

/*
 * Open the events of a segment, whose control page is open as `page_fd` for reading and writing, for the user
 * `uid`, by the node `ino`; `flags` as of open(2). *ret_id is to be closed. 0, or -EMFILE (this user has
 * thousands), -ENFILE, or -errno of mmap(2).
 */
int events_open(struct fs *fs, const struct segfs_handle *segment, int page_fd, uid_t uid, int flags,
		uint64_t ino, uint64_t *ret_id);
void events_close(struct fs *fs, uint64_t id);

/* Is it known to this worker? If not, open it once more as an earlier one had, whatever it has seen since. 0
 * or as above. */
bool events_knows(struct fs *fs, uint64_t id);
int events_restore(struct fs *fs, const struct segfs_handle *segment, int page_fd, uid_t uid, uint64_t id);

/* Answer a READ, now or when there is news; `nonblock`: now, if with EAGAIN. */
void events_read(fuse_req_t req, uint64_t id, size_t size, bool nonblock);

/* 0 or -EIO. */
int events_publish(struct fs *fs, uint64_t id);

/* What poll(2) is told. A handle, if there is one, is kept, to tell when that changes. */
unsigned events_poll(struct fs *fs, uint64_t id, struct fuse_pollhandle *handle);

/* How many files are open, and how many reads wait. */
void events_count(struct fs *fs, size_t *ret_n_files, size_t *ret_n_reads);
