/* SPDX-License-Identifier: MIT */
#include "huge.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "util.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGE (SEGFS_HUGE_PAGE / SEGFS_HUGE_PAGES)

/* Each costs the kernel a search for memory that it does not find. */
#define MAX_REFUSED 4

#define ROUND_DOWN(n) ((n) / SEGFS_HUGE_PAGE * SEGFS_HUGE_PAGE)
#define ROUND_UP(n)   ROUND_DOWN((n) + SEGFS_HUGE_PAGE - 1)

static uint64_t thread_time_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* The first byte that holds data, from `from` on; `end` if none does before. */
static uint64_t next_data(int fd, uint64_t from, uint64_t end)
{
	off_t data = lseek(fd, (off_t)from, SEEK_DATA);

	return data < 0 ? end : MIN((uint64_t)data, end);
}

/* How many of its pages are in memory; what is swapped out is not. */
static unsigned count_resident(unsigned char *extent)
{
	unsigned char in_core[SEGFS_HUGE_PAGES];
	unsigned n = 0;

	if (sysconf(_SC_PAGESIZE) != PAGE || mincore(extent, SEGFS_HUGE_PAGE, in_core) < 0)
		return 0;
	for (size_t i = 0; i < COUNT_OF(in_core); i++)
		n += in_core[i] & 1;
	return n;
}

/* Extents one after the other. The kernel leaves off at the first for which there is no memory. */
static bool collapse(unsigned char *extents, uint64_t size, struct segfs_huge_count *count)
{
	bool done = madvise(extents, size, MADV_COLLAPSE) == 0;

	if (!done)
		count->error = -errno;
	count->n_huge += done ? size / SEGFS_HUGE_PAGE : 0;
	count->n_refused += !done;
	return done;
}

static void promote_extent(unsigned char *extent, unsigned min_pages, struct segfs_huge_count *count)
{
	unsigned n = count_resident(extent);

	if (n >= MAX(min_pages, 1u))
		collapse(extent, SEGFS_HUGE_PAGE, count);
	else
		count->n_sparse += n > 0;
}

/* The extents of one window, from *at on. True if the time is not over with them. */
static bool promote_window(int fd, const struct segfs_window *window, unsigned min_pages, uint64_t until_ns,
			   uint64_t *at, struct segfs_huge_count *count)
{
	uint64_t max_refused = count->n_refused + MAX_REFUSED;

	while (*at < window->end) {
		promote_extent(window->base + (*at - window->start), min_pages, count);
		*at = ROUND_DOWN(next_data(fd, *at + SEGFS_HUGE_PAGE, window->end));
		if (thread_time_ns() >= until_ns || count->n_refused == max_refused)
			return false;
	}
	return true;
}

int segfs_huge_promote(int fd, unsigned min_pages, uint64_t cpu_ns, uint64_t *at,
		       struct segfs_huge_count *count)
{
	uint64_t until_ns = thread_time_ns() + cpu_ns, end;
	struct stat st;
	bool in_time = true;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	end = ROUND_DOWN((uint64_t)st.st_size);
	*at = ROUND_DOWN(next_data(fd, *at, end));
	while (in_time && *at < end) {
		SEGFS_CLEANUP(segfs_window_unmap) struct segfs_window window = {};

		r = segfs_window_map(fd, *at, MIN(end, *at + SEGFS_WINDOW_MAX), &window);
		if (r < 0)
			return r;
		in_time = promote_window(fd, &window, min_pages, until_ns, at, count);
		*at = ROUND_DOWN(next_data(fd, *at, end));
	}
	return *at < end;
}

static bool is_allowed = true;

void segfs_huge_allow(bool allowed)
{
	is_allowed = allowed;
}

/* With less room than that, the kernel's own fallocate(2) is the one that undoes what it has begun. A store
 * without a limit has always room. */
static bool has_room(int fd, uint64_t size)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC &&
	       (fs.f_blocks == 0 || (uint64_t)fs.f_bfree * (uint64_t)fs.f_bsize >= size);
}

/* A page that is allocated and not written to is enough for the rest to be made, and zeroed, as one. Extents
 * that have pages stay as they are: to copy them takes longer than to give them what they lack. */
static bool begin_extent(int fd, uint64_t at, struct segfs_huge_count *count)
{
	if (next_data(fd, at, at + SEGFS_HUGE_PAGE) < at + SEGFS_HUGE_PAGE)
		return false;
	if (fallocate(fd, 0, (off_t)at, PAGE) == 0)
		return true;
	count->n_refused++;
	return false;
}

static void finish_extents(const struct segfs_window *window, uint64_t from, uint64_t to,
			   struct segfs_huge_count *count)
{
	if (from < to)
		collapse(window->base + (from - window->start), to - from, count);
}

/* As many at once as there are: with each call the kernel waits for all processors (lru_add_drain_all()). */
static void fill_window(int fd, const struct segfs_window *window, struct segfs_huge_count *count)
{
	uint64_t from = window->start, at;

	for (at = from; at < window->end && count->n_refused < MAX_REFUSED; at += SEGFS_HUGE_PAGE) {
		if (begin_extent(fd, at, count))
			continue;
		finish_extents(window, from, at, count);
		from = at + SEGFS_HUGE_PAGE;
	}
	finish_extents(window, from, at, count);
}

/* Pages that have been refused are made small ones later. */
static void fill(int fd, uint64_t start, uint64_t end)
{
	struct segfs_huge_count count = {};
	off_t offset = lseek(fd, 0, SEEK_CUR);

	while (start < end && count.n_refused < MAX_REFUSED) {
		SEGFS_CLEANUP(segfs_window_unmap) struct segfs_window window = {};

		if (segfs_window_map(fd, start, MIN(end, start + SEGFS_WINDOW_MAX), &window) < 0)
			break;
		fill_window(fd, &window, &count);
		start = window.end;
	}
	lseek(fd, offset, SEEK_SET);
}

/* What has been filled in vain goes with the size, unless somebody else has changed that meanwhile. */
static void shrink_back(int fd, off_t from, off_t to)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_size == to)
		(void)!ftruncate(fd, from);
}

/* There are no huge pages beyond the end of a file, so its size comes first. What does not become so large is
 * fallocate(2)'s to refuse. */
int segfs_huge_reserve(int fd, off_t from, off_t to)
{
	uint64_t start = ROUND_UP((uint64_t)from), end = ROUND_DOWN((uint64_t)to);
	struct stat st;
	off_t grown = 0;
	int r = 0;

	if (is_allowed && from >= 0 && to > from && start < end && has_room(fd, (uint64_t)(to - from)) &&
	    fstat(fd, &st) == 0) {
		if (to > st.st_size && ftruncate(fd, to) == 0)
			grown = to;
		fill(fd, start, MIN(end, ROUND_DOWN((uint64_t)MAX(st.st_size, grown))));
	}
	if (fallocate(fd, 0, from, to - from) < 0) {
		r = -errno;
		if (grown > 0)
			shrink_back(fd, st.st_size, grown);
	}
	return r;
}
