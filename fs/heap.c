/* SPDX-License-Identifier: MIT */
#include "heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util.h"

#ifdef __GLIBC__

/*
 * One arena instead of one for each thread, each of which creeps up to what the largest has needed. No cache
 * of each thread, which would hold seven pieces of each of 64 sizes, 240 KiB, once it has come across them
 * all; requests are answered as fast without. And from 8 KiB on, memory is mapped for each use: among others
 * what open_memstream(3) begins with.
 */
#define TUNABLES "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0:glibc.malloc.mmap_threshold=8192"
#define VARIABLE "GLIBC_TUNABLES"

void heap_keep_small(char **argv)
{
	const char *given = getenv(VARIABLE) ?: "";
	SEGFS_FREE char *all = NULL;

	if (strstr(given, TUNABLES)) {
		prctl(PR_SET_NAME, program_invocation_short_name); /* instead of "exe" */
		return;
	}
	if (asprintf(&all, "%s%s" TUNABLES, given, *given ? ":" : "") < 0) {
		all = NULL;
		return;
	}
	if (setenv(VARIABLE, all, 1) == 0)
		execv("/proc/self/exe", argv); /* without /proc it goes on, and is larger */
}

void heap_give_back(void)
{
	malloc_trim(0);
}

#else

void heap_keep_small(char **)
{
}

void heap_give_back(void)
{
}

#endif
