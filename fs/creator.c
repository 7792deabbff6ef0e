/* SPDX-License-Identifier: MIT */
#include "creator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "process.h"

/* The inode number leads, because cp -a run by root on the store copies the attribute to a file that somebody
 * else made. */
void creator_record(fuse_req_t req, int fd, ino_t ino)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct segfs_process process;
	char value[CREATOR_MAX];
	int n;

	if (segfs_process_read(ctx->pid, &process) < 0)
		return;
	n = snprintf(value, sizeof(value), "%ju pid %d uid %u start %" PRIu64 " command %s", (uintmax_t)ino,
		     process.pid, ctx->uid, process.start_ticks, process.command);
	fsetxattr(fd, CREATOR_ATTR, value, (size_t)n, 0);
}

ssize_t creator_read(int fd, ino_t ino, char ret_text[CREATOR_MAX])
{
	char value[CREATOR_MAX], path[SEGFS_FD_PATH_MAX], *rest;
	ssize_t n;

	segfs_fd_path(fd, path);
	n = getxattr(path, CREATOR_ATTR, value, sizeof(value) - 1);
	if (n < 0)
		return errno == ERANGE ? -ENODATA : -errno;
	value[n] = '\0';
	if (strtoull(value, &rest, 10) != ino || *rest != ' ')
		return -ENODATA;
	return snprintf(ret_text, CREATOR_MAX, "%s", rest + 1);
}
