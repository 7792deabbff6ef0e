/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Memory that is a file which others may cut: touching it then raises SIGBUS, which would end the daemon.
 *
 * A mapping has a shield, and a thread that is about to touch it says so. If it turns out to be cut, the
 * whole mapping is replaced by zeros of our own and the shield is marked as broken; the thread goes on. Any
 * other SIGBUS ends the process as before. System calls that are given such memory fail with EFAULT instead.
 * The way is that of libwayland (wayland-shm.c, wl_shm_buffer_begin_access()).
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct shield {
	char *base;
	size_t size;
	_Atomic bool broken;
};

/* Once, before any thread raises one. */
void shield_init(void);

/* This thread is about to touch what is behind the shield, of one at a time; and has done so. */
void shield_raise(struct shield *shield);
void shield_lower(void);
