/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The content of a view. What follows from the segment's type alone, text and .npy, is made as it is read, at
 * any offset; the rest is made when it is opened and stays as it was then until the next open. Of a ring and
 * a table a copy is shown, of the moment of the open (view-copy.h).
 */
#include <segfs/segment.h>
#include <stdio.h>
#include <sys/types.h>

#include "fs.h"
#include "view.h"

struct view_file;

/*
 * How many bytes a view of an open segment has, as far as its type says; 0 for a view whose length is known
 * only when it is made, as in /proc. -ENOENT if a segment of this type has no such view. `fd`: open for
 * reading.
 */
off_t view_file_size(enum view_kind kind, int fd);

/* Answer an OPEN of the view with this node id, at once or in the slow lane; `fd` is the segment, open for
 * reading as the requester, or -1 where the view is not of one. Takes `fd` over. */
void view_file_open(fuse_req_t req, uint64_t id, const struct view *view, int fd,
		    const struct fuse_file_info *fi);

/* Answer a READ. */
void view_file_read(fuse_req_t req, struct view_file *file, size_t size, off_t offset);

/* Answer a READ of what an earlier worker has opened by this handle: it is made anew, of `fd`, which is taken
 * over, as by view_file_open(). */
void view_file_read_anew(fuse_req_t req, uint64_t id, const struct view *view, int fd, uint64_t handle,
			 size_t size, off_t offset);

/* RELEASE. */
void view_file_close(struct fs *fs, uint64_t handle);

/*
 * The views that are made as a whole. Each prints all of its text, or returns -errno. They run in the slow
 * lane, as root; what concerns files becomes the requester to look at them.
 */
int view_info_print(struct fs *fs, uint64_t dir, int fd, const struct segfs_segment *segment, FILE *out);
void view_kind_print(int fd, const struct segfs_segment *segment, FILE *out); /* a part of it */
int view_list_print(fuse_req_t req, int dir_fd, FILE *out);
int view_orphans_print(fuse_req_t req, FILE *out);
void view_status_print(struct fs *fs, FILE *out);
void view_metrics_print(struct fs *fs, FILE *out);
