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

/* Answer an OPEN of the view, at once or in the slow lane; `fd` is the segment, open for reading as the
 * requester, or -1 where the view is not of one. Takes `fd` over. */
void view_file_open(fuse_req_t req, const struct view *view, int fd, const struct fuse_file_info *fi);

/* Answer a READ. */
void view_file_read(fuse_req_t req, struct view_file *file, size_t size, off_t offset);

void view_file_free(struct view_file *file);

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
