/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The lock and the version of a segment, for processes that share it: who writes excludes the others, and who
 * waits for news sleeps until somebody publishes.
 *
 * Both are in a control page, a file of its own that goes with the segment; segfs/layout.h says what is in
 * it. It is in the directory `.segfs-control` next above the segment, within its mount, or at the mount's
 * top, where it is made if there is none; the file's name is the segment's inode number. It has the segment's
 * owner, group and read and write bits. In a segfs mount the daemon shows it as `.segfs/ctl/NAME`.
 *
 * The segment must be on tmpfs, or in a segfs mount. What is mounted from within a tmpfs elsewhere, say for a
 * container, shows no top: make `.segfs-control` there (mode 1777), before anybody opens a control page of
 * its segments, or use a segfs mount.
 *
 * A lock is the process's: any of its threads can let go of what another took, and if the process ends,
 * however it does, the kernel lets go. What it had written may then be half of a change: the next ones to
 * come in are told so, by SEGFS_HOLDER_DIED. (If it was killed within a system call that writes to the
 * segment, that may still be going on for a moment.) Nothing is locked for the child of a fork(2): what the
 * parent holds, the parent still holds. exec(2) lets go.
 *
 * All functions may be called by any thread, but segfs_control_close() not while another is in one of these
 * for the same control, and none by a signal handler. Each process that opens one for writing has a thread
 * more from then on, which only sleeps. Whoever may write to the segment may also write nonsense to its
 * control page: functions with a timeout then still return in time, but who shortens the file ends its users
 * by SIGBUS, as with the segment itself.
 */
#include <stdbool.h>
#include <stdint.h>

#include <segfs/export.h>

SEGFS_BEGIN

struct segfs_control;

/* What locking returns if a process died while it held the lock exclusively, and nobody has since. */
#define SEGFS_HOLDER_DIED 1

/*
 * Open the control page of the segment at `path`, symlinks followed, and make it if there is none. `flags`:
 * O_RDWR, or O_RDONLY, with which one can wait for versions but not lock or publish. 0 and a control to be
 * closed, or
 *
 *	-EINVAL		other flags, or not a regular file
 *	-EMEDIUMTYPE	the segment is neither on tmpfs nor in a segfs mount; -EOPNOTSUPP, in one without this
 *	-EPERM		there is no control page yet, and only the segment's owner or root can make it
 *	-EACCES		a control page that the caller may not read (write), as the segment; or no right to
 *make
 *			`.segfs-control` at the top of the mount
 *	-EBADMSG	the file or the directory of that name is somebody else's, or not what it should be
 *	-EXDEV		there is no `.segfs-control`, and the mount shows only a part of its tmpfs
 *	-ENOSPC		no memory for the page, which is asked for at once
 *	-EUSERS		hundreds of processes have it open
 *
 * or -errno of open(2), realpath(3), mmap(2) or pthread_create(3). *ret_control is untouched on failure.
 */
SEGFS_PUBLIC int segfs_control_open(const char *path, int flags, struct segfs_control **ret_control);

/*
 * Close. What is still held through this control is let go of as if the process had died. Takes NULL; returns
 * NULL.
 */
SEGFS_PUBLIC struct segfs_control *segfs_control_close(struct segfs_control *control);

/*
 * Lock, alone or with others who share (64 at most, of all processes; one more waits). `timeout_ns`: 0, try;
 * negative, wait for ever. 0 or SEGFS_HOLDER_DIED: locked. -EBUSY: held, and it was a try. -ETIMEDOUT.
 * -EBADF: the control was opened with O_RDONLY. After a fork(2) also -EAGAIN or -EUSERS, as from opening.
 * Signals interrupt no wait. A thread that waits for what its own process holds waits like any other: the
 * lock is not recursive, and shared is not to be made exclusive without unlocking. An exclusive locker that
 * waits keeps others from joining, so it gets in. What was written under a lock is seen under the next.
 */
SEGFS_PUBLIC int segfs_lock_exclusive(struct segfs_control *control, int64_t timeout_ns);
SEGFS_PUBLIC int segfs_lock_shared(struct segfs_control *control, int64_t timeout_ns);

/* 0, or -EPERM: this process holds no such lock through this control. -EBADF as above. */
SEGFS_PUBLIC int segfs_unlock_exclusive(struct segfs_control *control);
SEGFS_PUBLIC int segfs_unlock_shared(struct segfs_control *control);

/*
 * Say that there is news: the version is one more, and who waits wakes. What was written before is seen by
 * who has seen the version. Needs no lock. 0, or -EBADF as above. ret_version may be NULL.
 */
SEGFS_PUBLIC int segfs_publish(struct segfs_control *control, uint64_t *ret_version);

/* The version, from 0. */
SEGFS_PUBLIC uint64_t segfs_version(const struct segfs_control *control);

/*
 * Wait until the version is more than `version`, and give it; what came in between is skipped. 0, or
 * -ETIMEDOUT (also if timeout_ns is 0 and there is none). With O_RDONLY, news may come some milliseconds
 * late.
 */
SEGFS_PUBLIC int segfs_wait(struct segfs_control *control, uint64_t version, int64_t timeout_ns,
			    uint64_t *ret_version);

/* To look at; each is of its own moment. */
struct segfs_control_stat {
	uint64_t ino; /* of the segment */
	uint64_t version;
	uint32_t deaths;	/* of exclusive holders, noticed by the next */
	uint32_t exclusive_tid; /* thread id, in its own pid namespace, or 0; its process is the holder */
	uint32_t n_shared;	/* how often the lock is held shared */
	bool holder_died;	/* and nobody has locked exclusively since */
};

SEGFS_PUBLIC void segfs_control_stat(const struct segfs_control *control,
				     struct segfs_control_stat *ret_stat);

SEGFS_END
