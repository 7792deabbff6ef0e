/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Threads to spare. What takes long, such as reserving gigabytes, and what waits (backoff.h) keeps the thread
 * that does it. So that names, opens and closes do not wait for that, however many ask for it at once, two
 * threads are never kept (one, with -o threads=2). A request that may take long and comes when all others are
 * is put aside as the kernel sent it, and begun by the first thread that has finished what it had in hand.
 */
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct fs;

struct spare {
	pthread_mutex_t lock; /* protects what follows */
	unsigned n_kept;
	struct spare_aside *first, **last; /* what has been put aside; a queue, owned */
	_Atomic unsigned n_aside;	   /* its length; read without the lock */
};

void spare_init(struct spare *spare);

/* What is still put aside is left to the kernel to send again. */
void spare_destroy(struct spare *spare);

/* The calling thread is one of those that serve requests (workers.h). No other is counted in what follows. */
void spare_enter(void);

/* The calling thread is about to be kept. False: it may not. Can be nested. */
bool spare_take(struct fs *fs);
void spare_give_back(struct fs *fs);

/* The calling thread has read a request. True: it may go on with it, and call spare_give_back() then; false:
 * the request has been put aside. */
bool spare_admit(struct fs *fs, const struct fuse_buf *request);

/* One that was put aside and is to be begun now, as above; owned, to be freed with free(). NULL: none. */
struct fuse_buf *spare_next(struct fs *fs);
