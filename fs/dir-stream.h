/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A directory of the store that a user has open, read a reply at a time. It is among what is opened
 * (opened.h); the kernel sends one READDIR at a time for it.
 */
#include <dirent.h>

#include "fs.h"

struct dir_stream;

/* Answer an OPENDIR. Takes the descriptor over. */
void dir_stream_reply_open(fuse_req_t req, int fd, const struct fuse_file_info *fi);

/* What an earlier worker has opened by this handle: `fd`, taken over, is the directory or an -errno. 0 or
 * -errno; *ret_stream is lent. */
int dir_stream_restore(struct fs *fs, uint64_t handle, int fd, struct dir_stream **ret_stream);

/* Takes NULL. */
void dir_stream_free(struct dir_stream *stream);

/*
 * Put an entry of the directory `dir_fd`, known as the node `ino`, into the `size` bytes of `buf`: as
 * fuse_add_direntry(), which returns what it needs, and writes nothing if that is more. 0 leaves the entry
 * out. *any_told is false for the first of a reply, and for its own use.
 */
typedef size_t (*dir_stream_add_fn)(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
				    const struct dirent *dirent, bool *any_told);

/* Answer a READDIR or READDIRPLUS from `offset` on. */
void dir_stream_reply(fuse_req_t req, uint64_t ino, size_t size, off_t offset, struct dir_stream *stream,
		      dir_stream_add_fn add);
