/* SPDX-License-Identifier: MIT */
#include "procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "util.h"

#define LINES_ROOM (64u * 1024)

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int segfs_procfs_read(int dir_fd, const char *path, char *buf, size_t size)
{
	SEGFS_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -ESRCH;
	n = read(fd, buf, size - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	return 0;
}

int segfs_procfs_each(int dir_fd, const char *path, bool (*visit)(const char *number, void *data), void *data)
{
	SEGFS_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	SEGFS_CLEANUP(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return -errno;
	steal_fd(&fd); /* the directory stream's now */
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) && visit(entry->d_name, data))
			return 1;
	return 0;
}

int segfs_lines_open(struct segfs_lines *lines, int dir_fd, const char *path)
{
	*lines = (struct segfs_lines){.fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC)};
	if (lines->fd < 0)
		return -errno;
	lines->buf = malloc(LINES_ROOM);
	return lines->buf ? 0 : -ENOMEM;
}

void segfs_lines_close(struct segfs_lines *lines)
{
	close_fd(&lines->fd);
	free_pointer(&lines->buf);
}

/* Appends more of the file. False at its end, or if there is no room. */
static bool fill(struct segfs_lines *lines)
{
	size_t kept = lines->end - lines->start;
	ssize_t n;

	memmove(lines->buf, lines->buf + lines->start, kept);
	lines->start = 0;
	lines->end = kept;
	n = read(lines->fd, lines->buf + kept, LINES_ROOM - 1 - kept);
	if (n <= 0)
		return false;
	lines->end += (size_t)n;
	return true;
}

static char *find_newline(const struct segfs_lines *lines)
{
	return memchr(lines->buf + lines->start, '\n', lines->end - lines->start);
}

/* Up to the newline, or all there is where a line is cut or the file ends without one. */
static char *take_piece(struct segfs_lines *lines)
{
	char *newline = find_newline(lines), *piece;

	while (!newline && fill(lines))
		newline = find_newline(lines);
	piece = lines->buf + lines->start;
	if (lines->start == lines->end)
		return NULL;
	lines->cut = !newline;
	if (!newline)
		newline = lines->buf + lines->end;
	*newline = '\0';
	lines->start = MIN((size_t)(newline - lines->buf) + 1, lines->end);
	return piece;
}

char *segfs_lines_next(struct segfs_lines *lines)
{
	bool is_rest;
	char *piece;

	do {
		is_rest = lines->cut;
		piece = take_piece(lines);
	} while (piece && is_rest);
	return piece;
}
