/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>

#include "control.h"
#include "reply.h"
#include "util.h"

/* Nobody cuts a page through the mount: those who have it mapped would be ended by SIGBUS. */
void op_control_open(fuse_req_t req, fuse_ino_t ino, int dir, int segment, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int page = fi->flags & O_TRUNC ? -EPERM : control_open(fs, dir, segment);
	int id = page;

	if (page >= 0)
		id = passthrough_open_view(&fs->passthrough, &fs->views, ino, page);
	if (id < 0)
		reply(req, id);
	else if (reply_open(req, id) == -ENOENT)
		passthrough_release_view(&fs->passthrough, &fs->views, ino);
}

/* O_TRUNC, as of `echo >NAME`, has nothing to do here. */
void op_events_open(fuse_req_t req, int dir, int segment, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int page = control_open(fs, dir, segment);
	struct segfs_handle handle;
	uint64_t id;
	int r = page;

	if (r >= 0)
		r = segfs_store_handle(segment, &handle);
	if (r == 0)
		r = events_open(fs, &handle, page, fuse_req_ctx(req)->uid, fi->flags, &id);
	if (r < 0)
		reply(req, r);
	else if (reply_open_stream(req, id) == -ENOENT)
		events_close(fs, id);
}

void op_events_read(fuse_req_t req, size_t size, struct fuse_file_info *fi)
{
	events_read(req, fi->fh, size, fi->flags & O_NONBLOCK);
}

/*
 * Whatever is written. Of a long write(2), which comes in parts, the first publishes: as the file has no
 * position, each begins at 0, unless to append.
 */
void op_events_write(fuse_req_t req, size_t size, off_t offset, struct fuse_file_info *fi)
{
	bool first = offset == 0 || fi->flags & O_APPEND;
	int r = first ? events_publish(fs_of(req), fi->fh) : 0;

	if (r < 0)
		reply(req, r);
	else
		fuse_reply_write(req, size);
}

void op_events_poll(fuse_req_t req, struct fuse_file_info *fi, struct fuse_pollhandle *handle)
{
	fuse_reply_poll(req, events_poll(fs_of(req), fi->fh, handle));
}

void op_events_release(fuse_req_t req, struct fuse_file_info *fi)
{
	events_close(fs_of(req), fi->fh);
	reply(req, 0);
}
