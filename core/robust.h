/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Owner words (segfs/layout.h) of a shared area, which the kernel marks when their owner's process ends.
 *
 * A process has one or a few keeper threads, which sleep until it ends. A word that this process holds has a
 * keeper's thread id in it, and the keeper's robust futex list (set_robust_list(2)), which the kernel walks
 * when the keeper ends, has every word of every area mapped: those without the keeper's id are left alone. So
 * taking and letting go of a word costs nothing beyond the atomic operation, and no instruction is without
 * cover. The list itself lies in private memory, at a fixed distance behind each area, where no other process
 * can spoil it.
 *
 * A lock therefore belongs to the process, not to the thread that took it. In the child of fork(2) areas are
 * owned by nobody: segfs_robust_owner() gives it a keeper of its own, at its first call there; what the
 * parent held, the parent still holds. Functions may be called from any thread, but for one area not together
 * with its unmapping.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <segfs/layout.h>

/* An area is no longer than this. */
#define SEGFS_ROBUST_MAX (1u << 20)

/* `n` words from `offset` on, `stride` bytes apart: at least 8, and all offsets are multiples of 8. */
struct segfs_words {
	size_t offset, stride, n;
	/* These are the area's member slots (SEGFS_MEMBERS of them), of which this process takes one. An area
	 * without any is safe only within one pid namespace. */
	bool members;
};

struct segfs_robust;

/*
 * Map the first `size` bytes of the open file `fd`, shared. Without `writable`, for reading only and without
 * words. 0, or -EINVAL (a word beyond `size` or misaligned, `size` 0 or beyond SEGFS_ROBUST_MAX, more words
 * than a list may have), -EFAULT (the file is shorter), -EUSERS (no member slot to be had), or -errno of
 * mmap(2) or of making a thread.
 */
int segfs_robust_map(int fd, size_t size, bool writable, const struct segfs_words *words, size_t n_words,
		     struct segfs_robust **ret_area);

/* The mapping. */
void *segfs_robust_data(const struct segfs_robust *area);

/* What this process puts into the area's words: a thread id. 0 where it is mapped for reading only, or -errno
 * (in the child of a fork, if it can have no keeper). */
int segfs_robust_owner(struct segfs_robust *area);

/* Words still held are marked as if the process had ended. Takes NULL, returns NULL. */
struct segfs_robust *segfs_robust_unmap(struct segfs_robust *area);

/*
 * `word` was seen with the thread id of somebody who, by the area's member slots, is not there: a thread of a
 * process that was being killed has taken it after the kernel had marked its words, or somebody wrote
 * nonsense. Sets SEGFS_OWNER_DIED there instead. True if so, and the word is to be looked at again. To be
 * asked before sleeping on an owner word; `self` is segfs_robust_owner().
 */
bool segfs_robust_heal(struct segfs_layout_member *members, uint32_t *word, uint32_t seen, uint32_t self);

/*
 * To be called after taking a word from the dead, before touching what it protects: returns when no thread of
 * the dead process can execute another instruction (core/robust.c says why one could). It may still be within
 * a system call. Costs some microseconds.
 */
void segfs_robust_settle(void);
