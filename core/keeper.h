/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Keepers: threads that sleep until their process ends, when the kernel walks their robust futex lists. See
 * robust.h for what that is good for; here are the threads and the lists, in chains of nodes that come and go
 * together.
 *
 * SIGKILL can come at any instruction. So each list can be walked at any instruction: a chain is complete
 * before one store links it in, and one store takes it out.
 *
 * A child of fork(2) has no keepers: what is here lies in memory that fork wipes (MADV_WIPEONFORK), also the
 * mutex, whoever had it.
 */
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>

/* The kernel walks no further (kernel/futex/core.c, exit_robust_list()). */
#define SEGFS_KEEPER_WORDS ROBUST_LIST_LIMIT

/* Nodes of one area, from first to last in `next` order; the memory is its maker's. */
struct segfs_chain {
	struct robust_list *first, *last;
	size_t n_words;
	struct segfs_chain *behind; /* the keeper's */
};

struct segfs_keeper {
	struct robust_list_head head; /* the kernel reads it when the thread ends */
	uint32_t started;	      /* futex word: 1, once what the thread found out is in the next two */
	uint32_t tid;
	int error;
	size_t n_words;
	struct segfs_chain *chains; /* in the order of the list */
};

/* The mutex for all that follows. 0 (locked), or -errno, if there is no memory for keepers. */
int segfs_keepers_lock(void);
void segfs_keepers_unlock(void);

/* The keeper behind this one, NULL behind the last; the first for NULL. */
struct segfs_keeper *segfs_keeper_next(struct segfs_keeper *keeper);
size_t segfs_keepers_count(void);

/* Another thread. 0, or -errno of pthread_create(3) or set_robust_list(2), or -EAGAIN (too many). */
int segfs_keeper_start(struct segfs_keeper **ret_keeper);

/* Put a chain on a keeper's list, which has room for it, or take it off. */
void segfs_keeper_link(struct segfs_keeper *keeper, struct segfs_chain *chain);
void segfs_keeper_unlink(struct segfs_keeper *keeper, struct segfs_chain *chain);
