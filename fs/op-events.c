/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>

#include "control.h"
#include "journal.h"
#include "reply.h"
#include "util.h"

/* Nobody cuts a page through the mount: those who have it mapped would be ended by SIGBUS. */
void op_control_open(fuse_req_t req, fuse_ino_t ino, int dir, int segment, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int page = fi->flags & O_TRUNC ? -EPERM : control_open(fs, dir, segment);
	struct node_use use = {.unique = journal_unique()};
	int id = page;

	if (page >= 0)
		id = passthrough_open_view(&fs->passthrough, &fs->views, ino, page, &use);
	if (id < 0)
		reply(req, id);
	else if (reply_open(req, id, use.handle) == -ENOENT)
		passthrough_release_view(&fs->passthrough, &fs->views, ino, use.handle);
}

/* O_TRUNC, as of `echo >NAME`, has nothing to do here. */
void op_events_open(fuse_req_t req, fuse_ino_t ino, int dir, int segment, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int page = control_open(fs, dir, segment);
	struct segfs_handle handle;
	uint64_t id;
	int r = page;

	if (r >= 0)
		r = segfs_store_handle(segment, &handle);
	if (r == 0)
		r = events_open(fs, &handle, page, fuse_req_ctx(req)->uid, fi->flags, ino, &id);
	if (r < 0)
		reply(req, r);
	else if (reply_open_stream(req, id) == -ENOENT)
		events_close(fs, id);
}

/* What an earlier worker has opened is opened anew. Without a page there is no news any more. */
static int restore(fuse_req_t req, uint64_t ino, uint64_t handle)
{
	SEGFS_CLOSE int dir = -1, segment = -1, page = -1;
	struct fs *fs = fs_of(req);
	struct view view;
	int r;

	if (events_knows(fs, handle))
		return 0;
	r = view_get(&fs->views, ino, &view);
	if (r == 0)
		r = dir = op_open_node(fs, view.dir, O_PATH | O_DIRECTORY);
	if (r >= 0)
		r = segment = segfs_store_open_handle(&fs->store, &view.subject, O_PATH);
	if (r >= 0)
		r = page = control_open(fs, dir, segment);
	return r < 0 ? -EIO : events_restore(fs, &view.subject, page, fuse_req_ctx(req)->uid, handle);
}

void op_events_read(fuse_req_t req, fuse_ino_t ino, size_t size, struct fuse_file_info *fi)
{
	int r = restore(req, ino, fi->fh);

	if (r < 0)
		reply(req, r);
	else
		events_read(req, fi->fh, size, fi->flags & O_NONBLOCK);
}

/*
 * Whatever is written. Of a long write(2), which comes in parts, the first publishes: as the file has no
 * position, each begins at 0, unless to append.
 */
void op_events_write(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	bool first = offset == 0 || fi->flags & O_APPEND;
	int r = first && !journal_is_done() ? restore(req, ino, fi->fh) : 0;

	if (r == 0 && first && !journal_is_done())
		r = events_publish(fs_of(req), fi->fh);
	if (r == 0)
		journal_done();
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_write(req, size);
}

void op_events_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *handle)
{
	restore(req, ino, fi->fh); /* if that fails, polling says so */
	fuse_reply_poll(req, events_poll(fs_of(req), fi->fh, handle));
}

void op_events_release(fuse_req_t req, struct fuse_file_info *fi)
{
	events_close(fs_of(req), fi->fh);
	reply(req, 0);
}
