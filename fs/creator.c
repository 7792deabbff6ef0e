/* SPDX-License-Identifier: MIT */
#include "creator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void creator_record(fuse_req_t req, int fd, ino_t ino)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct segfs_process process;
	char text[CREATOR_MAX];

	if (segfs_process_read(ctx->pid, &process) < 0)
		return;
	snprintf(text, sizeof(text), "pid %d uid %u start %" PRIu64 " command %s", process.pid, ctx->uid,
		 process.start_ticks, process.command);
	note_write(fd, CREATOR_NOTE, ino, text);
}

ssize_t creator_read(int fd, ino_t ino, char ret_text[CREATOR_MAX])
{
	return note_read(fd, CREATOR_NOTE, ino, ret_text);
}

int creator_get(int fd, ino_t ino, struct segfs_process *ret_process)
{
	struct segfs_process process = {};
	char text[CREATOR_MAX];
	ssize_t n = creator_read(fd, ino, text);

	if (n < 0)
		return (int)n;
	if (sscanf(text, "pid %d uid %*u start %" SCNu64 " command %15[^\n]", &process.pid,
		   &process.start_ticks, process.command) < 2)
		return -ENODATA;
	*ret_process = process;
	return 0;
}
