/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal.h"

static uint64_t one_in; /* 0: never */
static char kind_read[16], kind_answered[16], place_reached[16];
static _Thread_local bool is_last; /* its request is not to be answered by this worker */

bool fault_set(const char *when)
{
	if (*when >= '0' && *when <= '9')
		one_in = strtoull(when, NULL, 10);
	else if (*when == '!')
		snprintf(kind_answered, sizeof(kind_answered), "%s", when + 1);
	else if (*when == '.')
		snprintf(place_reached, sizeof(place_reached), "%s", when + 1);
	else
		snprintf(kind_read, sizeof(kind_read), "%s", when);
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

void fault_at(const char *place)
{
	if (!strcmp(place, place_reached) && !journal_is_resent())
		raise(SIGSEGV);
}

void fault_request(const char *kind)
{
	if (kind && !strcmp(kind, kind_read))
		raise(SIGSEGV);
	is_last = kind && !strcmp(kind, kind_answered) && !journal_is_resent();
}

void fault_reply(void)
{
	if (is_last)
		raise(SIGSEGV);
}
