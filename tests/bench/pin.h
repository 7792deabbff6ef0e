/* SPDX-License-Identifier: MIT */
#pragma once

/* Processes of a measurement on processors of their own, or they would take turns and not meet. */
#include <sched.h>

/* Stay on the n-th of the processors that this process may use, counted round. */
static inline void pin(unsigned n)
{
	cpu_set_t all, one;
	unsigned left;

	if (sched_getaffinity(0, sizeof(all), &all) < 0)
		return;
	left = n % (unsigned)CPU_COUNT(&all);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &all) && left-- == 0) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
	}
}
