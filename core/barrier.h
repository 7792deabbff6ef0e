/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A full fence between two processes of which one pays nothing.
 *
 * Of two who each write their own word and then read the other's, one shall see the other. Where one of them
 * does so millions of times a second and the other seldom, the first says segfs_barrier_light() between its
 * two accesses, and the second segfs_barrier_heavy(), which has the kernel interrupt the processors that run
 * the first (membarrier(2)).
 */
#include <stdbool.h>

#include "atomics.h"

/* This process is one whose light barriers cost nothing; 0: it is not. Written once. */
extern uint32_t segfs_barrier_registered;

/* To be called before the first light one. A kernel without membarrier(2) is no error. Any thread. */
void segfs_barrier_register(void);

/* Partner: segfs_barrier_heavy(). */
static inline void segfs_barrier_light(void)
{
	if (word_load_relaxed(&segfs_barrier_registered))
		fence_compiler();
	else
		fence_seq_cst();
}

/*
 * Partner: segfs_barrier_light(), of every process. Some microseconds. False: a kernel, or a sandbox, without
 * membarrier(2), and the other side's write may be seen late by so long as a processor takes to empty its
 * buffers. Who relies on it then waits, or looks again soon.
 */
bool segfs_barrier_heavy(void);
