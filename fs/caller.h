/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Acting as the user who asked: the store's kernel then judges each operation by itself.
 *
 * A thread takes on the requester's uid, gid and supplementary groups for file access (setfsuid(2) and kin
 * concern one thread; for a uid other than 0 they also set the file capabilities aside), and the umask. What
 * this module does not do: capabilities that a user has without being root do not count here.
 */
#include "fs.h"

/* Once in every thread that answers requests: gives it a umask of its own, and no groups. 0 or -errno. */
int caller_thread_init(void);

/*
 * Become the requester. 0, or -EACCES if its groups cannot be known: it has ended, or runs where this process
 * sees no pid of it. Whatever the result, caller_restore() makes the thread root again; use AS_CALLER.
 */
int caller_become(fuse_req_t req);

/*
 * The same to be judged by the permissions of one file and nothing else. It looks like `st` (NULL: not
 * known): the groups of its owner, which take longest to find out, do not count there.
 */
int caller_become_before(fuse_req_t req, const struct stat *st);
void caller_restore(void);

/* May the requester do this (R_OK and so on) with an open file (O_PATH is enough), which looks like `st`
 * (NULL: not known)? The store's kernel is asked. 0 or -errno. */
int caller_may(fuse_req_t req, int fd, const struct stat *st, int mode);

static inline void caller_restore_cleanup(const int *unused)
{
	(void)unused;
	caller_restore();
}

/* `AS_CALLER int r = caller_become(req);`: the requester until the end of the scope. */
#define AS_CALLER SEGFS_CLEANUP(caller_restore_cleanup)

/* Set CAP_FSETID of this thread aside, and take it back. */
void caller_drop_fsetid(void);
void caller_regain_fsetid(void);
