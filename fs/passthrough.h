/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Backing ids: what an open's reply names, so that the kernel runs read, write and mmap on the file in the
 * store.
 *
 * All concurrent opens of one inode must name one id, so there is one a node, open for reading, whatever its
 * openers asked for (the kernel enforces their flags on their own file), registered at the first open and
 * kept until the kernel forgets the node, or until nobody has it open and somebody asks for it to be retired.
 * Source: Linux fs/fuse/backing.c, fs/fuse/iomode.c.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ledger;
struct node_table;
struct node_use;
struct segfs_store;
struct view_table;
struct node;

struct passthrough {
	int fd;		       /* /dev/fuse, borrowed */
	struct ledger *ledger; /* borrowed */
	pthread_mutex_t lock;  /* one registration at a time, so that no node gets two ids */
};

void passthrough_init(struct passthrough *passthrough, int fuse_fd, struct ledger *ledger);

/*
 * Is passthrough to be had on this connection, for files of this store? Tried with a file without a
 * name, the store's if it has room for one. 0, or -errno: -EPERM means a process without CAP_SYS_ADMIN in the
 * initial user namespace. An id that a killed worker has got and not noted, or was about to close, which
 * would keep its file for ever, is ended.
 */
int passthrough_probe(struct passthrough *passthrough, const struct segfs_store *store);

/*
 * The backing id of a node for one more open, registered if need be. `fd` is the file, open for reading: with
 * an id open for writing it could not be run (ETXTBSY). Call as root. A positive id, or -errno.
 */
int passthrough_open(struct passthrough *passthrough, struct node_table *nodes, uint64_t ino, int fd,
		     struct node_use *use);

/*
 * The same for one more open of a view, which shows what is in the open file `fd`. The id is that of the
 * first of its opens at present, and ends with the last of them: passthrough_release_view().
 */
int passthrough_open_view(struct passthrough *passthrough, struct view_table *views, uint64_t view, int fd,
			  struct node_use *use);
void passthrough_release_view(struct passthrough *passthrough, struct view_table *views, uint64_t view,
			      uint64_t handle);

/* An id kept for later keeps the file open, which a lease on it would notice. End that of a node which nobody
 * has open through the mount. False if somebody has. */
bool passthrough_retire(struct passthrough *passthrough, struct node_table *nodes, uint64_t ino);

/* End an id that was taken from its node, or view; 0 is none. Files opened with it, and their mappings, live
 * on. */
void passthrough_close(const struct passthrough *passthrough, int id);
