/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The files that control pages are in: one for each segment that ever needed it,
 * DIRECTORY/.segfs-control/INO.
 *
 * Others can write to such a directory, and whoever opens a page maps it. So a page is believed only if it is
 * the segment's owner's, or root's, and says itself that it is this segment's; it is complete before it has a
 * name, and the first to give it the name has made it. What this module does not do: to map it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store.h"

#define SEGFS_CONTROL_DIR ".segfs-control"

/* What is to be known of a segment. */
struct segfs_subject {
	uint64_t ino;
	struct segfs_handle handle;
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/* Of an open file (O_PATH is enough). 0, or -EINVAL (not a regular file), -EMEDIUMTYPE (not on tmpfs), or
 * -errno. */
int segfs_subject_read(int fd, struct segfs_subject *ret_subject);

/*
 * Open `.segfs-control` in an open directory (O_PATH is enough), for a segment of this owner; `create`: make
 * it if there is none, for all to write to. A descriptor, or -ENOENT (there is none), -EBADMSG (its owner,
 * who could exchange what is in it, is not root, nor the segment's owner, nor that of the directory it is in;
 * or anybody could), or -errno.
 */
int segfs_control_dir_open(int parent_fd, uid_t owner, bool create);

/*
 * Open the segment's page, and make it if there is none; `flags` are O_RDONLY or O_RDWR. If the caller is the
 * owner or root, its mode is made the segment's. What is left over from another segment with that inode
 * number is replaced. A descriptor, or the errors of segfs_control_open().
 */
int segfs_control_page_open(int dir_fd, const struct segfs_subject *subject, int flags);

/* The same for reading, if there is one: a descriptor, or -ENOENT (there is none, or one of no use), or
 * -errno. Changes nothing. */
int segfs_control_page_find(int dir_fd, const struct segfs_subject *subject);

/* Whether an open file is a control page, of whatever segment. 0, or -EBADMSG, or -errno. */
int segfs_control_page_check(int fd);

/* Of which segment an open file says that it is the control page. 0, or -EBADMSG (it is none), or -errno. */
int segfs_control_page_segment(int fd, struct segfs_handle *ret_handle);

/* Take the name away from the page open as `fd`, for reading at least, if it still has it. 0, also if it has
 * not or somebody else is at it, or -errno. */
int segfs_control_page_take_away(int dir_fd, const char *name, int fd);

/* Remove the page of a segment that is no more, or that nobody may use any longer. 0, also if there is none,
 * or -errno. */
int segfs_control_page_remove(int dir_fd, uint64_t ino);
