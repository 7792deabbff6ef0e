/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reading /proc: small texts, long lists of lines, directories of numbers.
 *
 * What is read there may end at any moment and anything in it may be odd: a line can be as long as a path,
 * and a path has no bound. Paths are taken relative to `dir_fd`, as openat(2) does, so that all that is read
 * of a process is of the same one although pids are used again.
 */
#include <stdbool.h>
#include <stddef.h>

/* The beginning of a file, as a string of at most size - 1 bytes. 0, or -ESRCH if it cannot be read or is
 * empty. */
int segfs_procfs_read(int dir_fd, const char *path, char *buf, size_t size);

/* Calls `visit` for each entry of a directory whose name is a number, in the order of the kernel, until it
 * returns true. 1 if it did, 0 if not, or -errno of openat(2). */
int segfs_procfs_each(int dir_fd, const char *path, bool (*visit)(const char *number, void *data),
		      void *data);

struct segfs_lines {
	int fd;		   /* owned; -1: closed */
	char *buf;	   /* owned */
	size_t start, end; /* of what has been read and not given out */
	bool cut;	   /* the rest of an overlong line is next */
};

/* 0 or -errno; *lines is written in either case and to be closed. */
int segfs_lines_open(struct segfs_lines *lines, int dir_fd, const char *path);

/* The next line, without its newline, valid until the next call; of one over 64 KiB the beginning. NULL: no
 * more. */
char *segfs_lines_next(struct segfs_lines *lines);

void segfs_lines_close(struct segfs_lines *lines);
