/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t one_in; /* 0: never */
static char kind_of_all[16];

bool fault_set(const char *when)
{
	if (*when >= '0' && *when <= '9')
		one_in = strtoull(when, NULL, 10);
	else
		snprintf(kind_of_all, sizeof(kind_of_all), "%s", when);
	return true;
}

static uint64_t draw(void)
{
	static _Thread_local uint64_t state;
	struct timespec now;

	if (!state) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		state = (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)&state;
	}
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return state >> 33;
}

void fault_point(void)
{
	if (one_in && draw() % one_in == 0)
		raise(SIGSEGV);
}

void fault_request(const char *kind)
{
	if (kind && !strcmp(kind, kind_of_all))
		raise(SIGSEGV);
}
