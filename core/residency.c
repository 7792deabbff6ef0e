/* SPDX-License-Identifier: MIT */
#include "residency.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "procfs.h"
#include "util.h"
#include "window.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

#define ROUND_UP(n) (((n) + SEGFS_HUGE_PAGE - 1) / SEGFS_HUGE_PAGE * SEGFS_HUGE_PAGE)

/*
 * Where the next extent begins whose first page holds data; `end` if none does before. On a huge page all
 * pages do, so that in other extents there is none.
 */
static uint64_t next_extent(int fd, uint64_t from, uint64_t end)
{
	while (from < end) {
		off_t data = lseek(fd, (off_t)from, SEEK_DATA);

		if (data < 0 || (uint64_t)data >= end)
			return end;
		if ((uint64_t)data == from)
			return from;
		from = ROUND_UP((uint64_t)data);
	}
	return end;
}

/* What is swapped out is in no huge page, and shall not come back for this. */
static bool is_in_memory(void *page)
{
	unsigned char in_core;

	return mincore(page, 1, &in_core) == 0 && in_core & 1;
}

/* Makes the kernel enter the page, and with it the whole of a huge page, into the page table. Not by touching
 * it: the file may have been shrunk meanwhile, and that would be SIGBUS. */
static void enter_page(void *page)
{
	if (is_in_memory(page))
		madvise(page, 1, MADV_POPULATE_READ);
}

static bool is_header_of(const char *line, const void *base)
{
	char *end;

	return strtoull(line, &end, 16) == (uintptr_t)base && *end == '-';
}

/* ShmemPmdMapped of the mapping that begins at `base`. 0 or -errno. */
static int read_huge(const void *base, uint64_t *ret_huge)
{
	SEGFS_CLEANUP(segfs_lines_close) struct segfs_lines lines;
	unsigned long long huge_kib;
	bool found = false;
	char *line;
	int r;

	r = segfs_lines_open(&lines, AT_FDCWD, "/proc/self/smaps");
	if (r < 0)
		return r;
	while ((line = segfs_lines_next(&lines))) {
		if (!found) {
			found = is_header_of(line, base);
		} else if (sscanf(line, "ShmemPmdMapped: %llu kB", &huge_kib) == 1) {
			*ret_huge = huge_kib * 1024;
			return 0;
		}
	}
	*ret_huge = 0; /* a kernel without huge pages does not say */
	return 0;
}

/* Counts in the window from `start` on. */
static int count_window(int fd, uint64_t start, uint64_t end, uint64_t *ret_huge)
{
	SEGFS_CLEANUP(segfs_window_unmap) struct segfs_window window = {};
	int r;

	r = segfs_window_map(fd, start, end, &window);
	if (r < 0)
		return r;
	for (uint64_t at = start; at < end; at = next_extent(fd, at + SEGFS_HUGE_PAGE, end))
		enter_page(window.base + (at - start));
	return read_huge(window.base, ret_huge);
}

static int count_huge(int fd, uint64_t size, uint64_t *ret_huge)
{
	uint64_t sum = 0, huge, end, at = next_extent(fd, 0, size);
	int r;

	while (at < size) {
		end = ROUND_UP(MIN(at + SEGFS_WINDOW_MAX, size));
		r = count_window(fd, at, end, &huge);
		if (r < 0)
			return r;
		sum += huge;
		at = next_extent(fd, end, size);
	}
	*ret_huge = sum;
	return 0;
}

int segfs_residency_read(int fd, struct segfs_residency *ret_residency)
{
	struct segfs_residency residency = {};
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	residency.resident = (uint64_t)st.st_blocks * 512;
	if (residency.resident >= SEGFS_HUGE_PAGE)
		r = count_huge(fd, (uint64_t)st.st_size, &residency.huge);
	if (r == 0)
		*ret_residency = residency;
	return r;
}
