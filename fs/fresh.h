/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Is what the kernel believes still true?
 *
 * The kernel caches names, attributes and with them the right to pass a directory. The store can change
 * behind the mount; inotify tells of it within milliseconds (watch.h). What must not be wrong even for these,
 * opening and changing a file, comes here first: a few fstat(2) show whether anything on the way to it has
 * changed since the kernel was told. If so, the cache is invalidated. A requester who may not pass by the
 * truth is refused; one who came by a name that means something else now gets -ESTALE, on which the kernel
 * walks the whole path again, asking for everything (retry_estale() and LOOKUP_REVAL).
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs.h"

/* The locks, before there are threads. */
void fresh_init(struct fs *fs);

/* What an open file (O_PATH is enough) looks like. */
struct told fresh_look(int fd, const struct stat *st);

/* A hash, never 0, of all attributes that the kernel is told of a file. */
uint64_t fresh_print(const struct stat *st);

/*
 * ls -l asks for the ACL of each file that it lists, and there is hardly ever one. fresh_learn_acl(), called
 * for a file that a listing has just told of, notes that it has none, if somebody lists so now; that is
 * forgotten after a second, or as soon as the file is seen to have changed. fresh_has_no_acl() tells what is
 * known: it costs no system call.
 */
void fresh_learn_acl(struct fs *fs, uint64_t ino, int dir_fd, const char *name, const struct stat *st);
bool fresh_has_no_acl(struct fs *fs, uint64_t ino);

#define FRESH_ACL "system.posix_acl_access"

/* Milliseconds of CLOCK_MONOTONIC, to the tick. */
int64_t fresh_now_ms(void);

/*
 * A file found at `ino`, about to be opened: `st` is its present state, by descriptor `fd`. `to_run`: by
 * execve(2), for which set-ID bits count. 0, -EACCES, or -ESTALE: walk again.
 */
int fresh_check_file(fuse_req_t req, uint64_t ino, int fd, const struct stat *st, bool to_run);

/*
 * A directory, in which something is about to be done by name, and all above it. 0, -EACCES, or -ESTALE: walk
 * again. Who came by a descriptor that he holds since he was allowed to pass cannot be told from one who came
 * by path, and is refused as well, for the few milliseconds until the kernel knows.
 */
int fresh_check_path(fuse_req_t req, uint64_t dir);

/* Only whether the requester may pass, not whether the names still hold: LOOKUP is how the kernel finds that
 * out. 0 or -EACCES. */
int fresh_check_rights(fuse_req_t req, uint64_t dir);

/* As fresh_check_path(), for the directory in which a file was found. */
int fresh_check_parent(fuse_req_t req, uint64_t ino);

/*
 * Something may have happened to a file: if so, the kernel shall ask again. True if owner, mode or ACL have
 * changed.
 */
bool fresh_refresh(struct fs *fs, uint64_t ino);

/* The same for a file that has just been seen to look like this: it is opened only if that is news. */
bool fresh_refresh_seen(struct fs *fs, uint64_t ino, const struct stat *st);

/*
 * Rights have been changed through the mount, and the kernel knows. For callers that hold the rights lock
 * since before the change.
 */
void fresh_note(struct fs *fs, uint64_t ino, int fd);
