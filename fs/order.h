/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the kernel puts in order, told to ThreadSanitizer, which cannot see it: RELEASE and RELEASEDIR are
 * sent when all that went before by the same handle has been answered, and so is the next READDIR of an open
 * directory (Linux fs/fuse/file.c, fuse_file_put(); the lock of its position). So the thread that handles
 * these finds what others have left, without a lock. Other requests are told nothing of: between them there
 * is no order to be relied on. Costs nothing in an ordinary build.
 */
#include <linux/fuse.h>
#include <stdint.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_acquire(address) ((void)(address))
#define __tsan_release(address) ((void)(address))
#endif

/* Before a reply is written. `wire`: an address by which both know each other. */
static inline void order_reply(void *wire)
{
	__tsan_release(wire);
}

/* A request of this kind has been read. */
static inline void order_request(void *wire, uint32_t opcode)
{
	if (opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR || opcode == FUSE_READDIR ||
	    opcode == FUSE_READDIRPLUS)
		__tsan_acquire(wire);
}
