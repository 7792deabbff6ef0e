/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is behind the open files of .segfs/events (events.h): the pages that are mapped for them, and their
 * blocked reads. All of it is for holders of events->lock.
 */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <segfs/layout.h>

#include "fs.h"
#include "shield.h"

struct event_page {
	struct segfs_handle segment;
	ino_t ino; /* of the page's file */
	struct shield shield;
	struct segfs_layout_control *control; /* mapped, owned */
	uint64_t count;			      /* as last seen */
	bool broken;			      /* cut, replaced, or gone back: no more news */
	bool listed;
	struct event_file *files; /* a list */
	size_t n_waiting;	  /* of these */
	UT_hash_handle hh;
};

struct event_user {
	uid_t uid;
	size_t n_files;
	UT_hash_handle hh;
};

struct event_file {
	uint64_t id;
	struct event_page *page; /* one user of it */
	struct event_user *user; /* one user of it */
	struct event_file *next; /* of the page */
	bool reads;		 /* opened for reading */
	bool lost;		 /* the page it knew was cut or replaced while no worker looked */
	uint64_t seen;
	char line[24];			  /* the version last given out, */
	size_t at, len;			  /* of which this has been read */
	struct event_read *first, **last; /* a queue */
	struct fuse_pollhandle *handle;	  /* owned; NULL: was never polled */
	bool polled;			  /* and is to be told when it becomes readable */
	bool waits;			  /* counted in page->n_waiting */
	UT_hash_handle hh;
};

struct event_read {
	fuse_req_t req;
	struct event_file *file;
	struct event_read *next;
	size_t size;
	UT_hash_handle hh;
};

/* Look what the version is now, and whether there is one still. */
void event_page_look(struct event_page *page);

/* Before the look that finds nothing, and the sleep on what this returns (core/event.h). */
uint32_t event_page_arm(struct event_page *page);

/* 0 or -EIO. */
int event_page_publish(struct event_page *page);

/* Map the page of a segment, open as `fd`. 0, or -ENFILE, or another -errno. */
int event_page_new(struct events *events, const struct segfs_handle *segment, int fd,
		   struct event_page **ret_page);

/* Opens find it no more; its files go on. */
void event_page_unlist(struct events *events, struct event_page *page);

/* A file of it has gone: so does the page with the last one. Takes NULL. */
void event_page_put(struct events *events, struct event_page *page);

/* As events_open(). */
int event_file_open(struct events *events, const struct segfs_handle *segment, int page_fd, uid_t uid,
		    int flags, uint64_t id);

/* NULL: there is none. */
struct event_file *event_file_find(struct events *events, uint64_t id);

/* Whoever still waits gets EINTR. */
void event_file_free(struct events *events, struct event_file *file);

/* There are no more news for it. */
bool event_file_is_broken(const struct event_file *file);

/* What an earlier worker noted that it has seen. */
void event_file_resume(struct event_file *file, uint64_t seen);

/* Is there something to be read, of the page as it was last looked at? */
bool event_file_is_readable(const struct event_file *file);

/* What it has seen, for a worker that takes over. */
void event_file_note(struct fs *fs, const struct event_file *file);

/* Answer a READ of what is readable. */
void event_file_give(struct event_file *file, fuse_req_t req, size_t size);

/* Block a READ. 0 or -ENOMEM. */
int event_file_enqueue(struct events *events, struct event_file *file, fuse_req_t req, size_t size);

/* Unblock it, unanswered. False if it does not wait: it has been answered. */
bool event_file_dequeue(struct events *events, fuse_req_t req);

/* Whether somebody waits may have changed. */
void event_file_update(struct events *events, struct event_file *file);

/* After a look at a page: those who wait for what is there now are told. True if there were any. */
bool event_file_serve_all(struct events *events, struct event_page *page);

/* Make the thread look anew. */
void events_kick(struct events *events);
