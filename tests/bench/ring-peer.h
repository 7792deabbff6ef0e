/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A way for frames of one size from one process to another. One peer a file; those whose library is not on
 * this machine are left out. All copy a frame in, as it comes from somewhere; who can, has it looked at in
 * place.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct peer {
	const char *name;
	/* In the parent of both. */
	void (*make)(size_t size);
	/* In each of the two. The producer returns when the consumer has come, if that is needed. */
	void (*start)(bool producer, size_t size);
	void (*send)(const void *frame, size_t size);
	/* Waits for a frame, and returns what look_at() says. */
	uint64_t (*receive)(size_t size);
	/* In the parent, and only there. */
	void (*end)(void);
};

/* Frames under way: about as much as a pipe holds, and at least two, so that one is filled while one is read.
 */
static inline unsigned depth_of(size_t size)
{
	size_t n = ((size_t)1 << 20) / size;

	return n < 2 ? 2 : n > 256 ? 256 : (unsigned)n;
}

/* Touches each cache line of a frame. Returns its first word. */
static inline uint64_t look_at(const void *frame, size_t size)
{
	const volatile char *bytes = (const volatile char *)frame;
	uint64_t first;

	for (size_t i = 64; i < size; i += 64)
		(void)bytes[i];
	memcpy(&first, frame, sizeof(first));
	return first;
}

extern const struct peer peer_spin, peer_sleep, peer_pipe, peer_ck, peer_zmq, peer_boost, peer_iceoryx;

#ifdef __cplusplus
}
#endif
