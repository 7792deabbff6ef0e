/* SPDX-License-Identifier: MIT */
#include "note.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "store.h"

int note_write(int fd, const char *name, ino_t ino, const char *text)
{
	char value[NOTE_MAX + 24], path[SEGFS_FD_PATH_MAX];
	int n = snprintf(value, sizeof(value), "%ju %s", (uintmax_t)ino, text);

	segfs_fd_path(fd, path);
	return setxattr(path, name, value, (size_t)n, 0) < 0 ? -errno : 0;
}

ssize_t note_read(int fd, const char *name, ino_t ino, char ret_text[NOTE_MAX])
{
	char value[NOTE_MAX + 24], path[SEGFS_FD_PATH_MAX], *rest;
	ssize_t n;

	segfs_fd_path(fd, path);
	n = getxattr(path, name, value, sizeof(value) - 1);
	if (n < 0)
		return errno == ERANGE || errno == EOPNOTSUPP ? -ENODATA : -errno;
	value[n] = '\0';
	if (strtoull(value, &rest, 10) != ino || *rest != ' ')
		return -ENODATA;
	return snprintf(ret_text, NOTE_MAX, "%s", rest + 1);
}

int note_remove(int fd, const char *name)
{
	char path[SEGFS_FD_PATH_MAX];

	segfs_fd_path(fd, path);
	return removexattr(path, name) < 0 && errno != ENODATA ? -errno : 0;
}
