/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Notes that segfs keeps on a file of the store, where only root reads and writes them (trusted.segfs.*):
 * what they say makes root act, so nobody else may say it behind the mount. They live as long as the file and
 * survive the daemon.
 *
 * The file's inode number leads each value, because cp -a run by root on the store copies the attribute to
 * another file.
 */
#include <sys/types.h>

#define NOTE_PREFIX "trusted.segfs."
#define NOTE_MAX    128

/* Functions take any open file, O_PATH is enough, and are to be called as root. */

/* 0 or -errno: -ENOSPC if the store has no room for it. */
int note_write(int fd, const char *name, ino_t ino, const char *text);

/* A length (the text ends in NUL), or -ENODATA if there is none, or -errno. */
ssize_t note_read(int fd, const char *name, ino_t ino, char ret_text[NOTE_MAX]);

/* 0, also if there was none, or -errno. */
int note_remove(int fd, const char *name);
