/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The slow lane: user.shm.lock and user.shm.attached are read from /proc, which takes milliseconds on a busy
 * machine. One thread does that for all, so that however many ask at once, the threads that serve names and
 * opens stay free.
 */
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

struct fs;
struct fuse_req;
struct inspector_job;

enum inspection { INSPECT_LOCK, INSPECT_ATTACHED };

struct inspector {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct inspector_job *first, **last; /* a queue, owned */
	bool stop, running;
	pthread_t thread;
};

int inspector_start(struct fs *fs);

/* Ends the thread; what still waits is answered with EINTR. */
void inspector_stop(struct fs *fs);

/* Answer a GETXATTR of `size` bytes room for the file with this inode number of the store, later and from the
 * other thread. */
void inspector_submit(struct fs *fs, struct fuse_req *req, enum inspection what, ino_t ino, size_t size);
