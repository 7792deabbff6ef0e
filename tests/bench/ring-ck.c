/* SPDX-License-Identifier: MIT */
/* Concurrency Kit's ring of pointers, one producer and one consumer, with the frames beside it in memory that
 * both share. It has no way to sleep: both spin. */
#include <ck_pr.h>
#include <ck_ring.h>
#include <err.h>
#include <sys/mman.h>

#include "ring-peer.h"

/* A ring of ck's holds one less than its size. A frame is filled only when the consumer has let it go, which
 * the second ring, of empty frames, tells. */
static struct shared {
	ck_ring_t full, empty;
	ck_ring_buffer_t full_places[512], empty_places[512];
} * shared;
static char *frames;
static size_t frames_size;

static void make(size_t size)
{
	int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_ANONYMOUS;

	frames_size = size * depth_of(size);
	shared = mmap(NULL, sizeof(*shared), prot, flags, -1, 0);
	frames = mmap(NULL, frames_size, prot, flags | MAP_POPULATE, -1, 0);
	if (shared == MAP_FAILED || frames == MAP_FAILED)
		err(1, "mmap");
	ck_ring_init(&shared->full, 512);
	ck_ring_init(&shared->empty, 512);
	for (unsigned i = 0; i < depth_of(size); i++)
		ck_ring_enqueue_spsc(&shared->empty, shared->empty_places, frames + i * size);
}

static void start(bool producer, size_t size)
{
}

static void send(const void *frame, size_t size)
{
	void *to;

	while (!ck_ring_dequeue_spsc(&shared->empty, shared->empty_places, &to))
		ck_pr_stall();
	memcpy(to, frame, size);
	ck_ring_enqueue_spsc(&shared->full, shared->full_places, to);
}

static uint64_t receive(size_t size)
{
	uint64_t seen;
	void *frame;

	while (!ck_ring_dequeue_spsc(&shared->full, shared->full_places, &frame))
		ck_pr_stall();
	seen = look_at(frame, size);
	ck_ring_enqueue_spsc(&shared->empty, shared->empty_places, frame);
	return seen;
}

static void end(void)
{
	munmap(shared, sizeof(*shared));
	munmap(frames, frames_size);
}

const struct peer peer_ck = {"ck_ring", make, start, send, receive, end};
