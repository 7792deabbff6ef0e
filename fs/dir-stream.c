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

int dir_stream_new(int fd, struct dir_stream **ret_stream)
{
	struct dir_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	stream->dir = fdopendir(fd);
	if (!stream->dir) {
		int r = -errno;

		free(stream);
		return r;
	}
	*ret_stream = stream;
	return 0;
}

void dir_stream_free(struct dir_stream *stream)
{
	closedir(stream->dir);
	free(stream);
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
	size_t used = 0;
	int r = 0;

	if (!buf) {
		reply(req, -ENOMEM);
		return;
	}
	seek_to(stream, offset);
	while ((dirent = next_entry(stream, &r))) {
		size_t n = add(req, ino, dirfd(stream->dir), buf + used, size - used, dirent);

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
