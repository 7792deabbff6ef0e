/* SPDX-License-Identifier: MIT */
#include "dir-stream.h"

#include <errno.h>

#include "reply.h"
#include "util.h"

struct dir_stream {
	DIR *dir;		/* owned */
	struct dirent *pending; /* read, but did not fit into the last reply; borrowed from the stream */
	off_t offset;		/* of the next entry */
};

/* Takes the descriptor over. */
static int stream_new(int fd, struct dir_stream **ret_stream)
{
	SEGFS_FREE struct dir_stream *stream = calloc(1, sizeof(*stream));
	int r;

	if (stream)
		stream->dir = fdopendir(fd);
	if (stream && stream->dir) {
		*ret_stream = steal_pointer(&stream);
		return 0;
	}
	r = stream ? -errno : -ENOMEM;
	close(fd);
	return r;
}

void dir_stream_free(struct dir_stream *stream)
{
	if (!stream)
		return;
	closedir(stream->dir);
	free(stream);
}

static void end_stream(void *stream)
{
	dir_stream_free(stream);
}

void dir_stream_reply_open(fuse_req_t req, int fd, const struct fuse_file_info *fi)
{
	struct opened_table *opened = &fs_of(req)->opened;
	struct fuse_file_info reply_fi = *fi;
	struct dir_stream *stream = NULL;
	int r = stream_new(fd, &stream);

	if (r == 0)
		reply_fi.fh = opened_add(opened, stream, end_stream);
	if (r == 0 && reply_fi.fh == 0)
		r = -ENOMEM;
	if (r < 0) {
		dir_stream_free(stream);
		reply(req, r);
		return;
	}
	/* An open that was interrupted meanwhile is not followed by a RELEASEDIR. */
	if (fuse_reply_open(req, &reply_fi) == -ENOENT)
		dir_stream_free(opened_take(opened, reply_fi.fh));
}

int dir_stream_restore(struct fs *fs, uint64_t handle, int fd, struct dir_stream **ret_stream)
{
	struct dir_stream *stream = NULL, *known;
	int r = fd < 0 ? fd : stream_new(fd, &stream);

	if (r < 0)
		return r;
	known = opened_restore(&fs->opened, handle, stream, end_stream);
	if (known != stream)
		dir_stream_free(stream);
	*ret_stream = known;
	return known ? 0 : -ENOMEM;
}

/* The entry to be sent next; NULL at the end (0) or on an error (*ret_error, -errno). */
static struct dirent *next_entry(struct dir_stream *stream, int *ret_error)
{
	*ret_error = 0;
	if (stream->pending)
		return stream->pending;
	errno = 0;
	stream->pending = readdir(stream->dir);
	if (!stream->pending)
		*ret_error = -errno;
	return stream->pending;
}

static void seek_to(struct dir_stream *stream, off_t offset)
{
	if (stream->offset == offset)
		return;
	seekdir(stream->dir, offset);
	stream->pending = NULL;
	stream->offset = offset;
}

void dir_stream_reply(fuse_req_t req, uint64_t ino, size_t size, off_t offset, struct dir_stream *stream,
		      dir_stream_add_fn add)
{
	SEGFS_FREE char *buf = malloc(size);
	struct dirent *dirent;
	bool any_told = false;
	size_t used = 0;
	int r = 0;

	if (!buf) {
		reply(req, -ENOMEM);
		return;
	}
	seek_to(stream, offset);
	while ((dirent = next_entry(stream, &r))) {
		size_t n = add(req, ino, dirfd(stream->dir), buf + used, size - used, dirent, &any_told);

		if (n > size - used)
			break;
		used += n;
		stream->offset = dirent->d_off;
		stream->pending = NULL;
	}
	/* An error in the middle is told with the next call, when nothing else is to be told. */
	if (r < 0 && used == 0)
		reply(req, r);
	else
		fuse_reply_buf(req, buf, used);
}
