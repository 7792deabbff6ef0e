/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Replies that libfuse 3.14 cannot make, or that every handler would otherwise write again. Each sends
 * exactly one.
 */
#include "fs.h"

/* r is 0 or -errno. */
static inline void reply(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

/* OPEN: from now on the kernel reads, writes and maps the file behind `backing_id`; RELEASE brings the handle
 * back. -ENOENT: the open was interrupted, and no RELEASE follows it. */
int reply_open(fuse_req_t req, int backing_id, uint64_t handle);

/* OPEN of what is read and written as a stream, by the bytes, with the daemon. */
int reply_open_stream(fuse_req_t req, uint64_t fh);

/* CREATE and TMPFILE: the new file, opened in the same way. */
int reply_create(fuse_req_t req, const struct fuse_entry_param *entry, int backing_id, uint64_t handle);

/* GETXATTR and LISTXATTR: a value of `len` bytes to a caller with room for `size`; 0 asks how much it needs.
 */
void reply_xattr(fuse_req_t req, const char *value, size_t len, size_t size);
