/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Making pages of a file on tmpfs huge: 2 MiB each, by MADV_COLLAPSE (madvise(2), Linux 6.1), which needs
 * neither `huge=` of the tmpfs nor any help of who has the file mapped.
 *
 * An extent is 2 MiB of the file that begin at a multiple of 2 MiB and end before the file does: so no file
 * takes more memory than its size, as with huge=within_size. To who maps the file, or writes to it at that
 * moment, the change is invisible but for speed. That a huge page is not to be had is never an error; it is
 * left as it is. No function here touches the pages, so that others may shrink the file meanwhile.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "window.h"

/* What became of the extents that were looked at. */
struct segfs_huge_count {
	uint64_t n_huge;    /* are huge pages now */
	uint64_t n_sparse;  /* have some pages, but fewer than was asked for: left as they are */
	uint64_t n_refused; /* are still small pages */
	/*
	 * Why the last of these was refused: -ENOMEM (there is no memory, or too fragmented), -EBUSY (none
	 * in this control group), -EAGAIN (pages are in use in a way that passes), -EINVAL (the kernel has no
	 * huge pages, the store has no room, or the file has been shrunk).
	 */
	int error;
};

/* Small pages in an extent. */
#define SEGFS_HUGE_PAGES 512

/*
 * Make huge those extents of which at least `min_pages` are in memory, at least 1; an extent without any is
 * left alone. Fills in what is missing in them. Goes on from *at, which is advanced, until the end of the
 * file, or until this thread has spent `cpu_ns` of processor time on it, or four extents have been refused.
 * `fd` is open for reading; its offset is moved. Adds to *count.
 *
 * 1 if there is more to look at, 0 if not, or -errno of fstat(2) or mmap(2). Any number of threads.
 */
int segfs_huge_promote(int fd, unsigned min_pages, uint64_t cpu_ns, uint64_t *at,
		       struct segfs_huge_count *count);

/*
 * As fallocate(fd, 0, from, to - from), and with the same errors; but extents that have no pages yet get a
 * huge one each where there is one to be had, which takes less time than the small ones would. Of use on
 * tmpfs alone; on other file systems it is fallocate(2).
 *
 * After an error the file is as it was; only where somebody else has taken the last of the memory in that
 * very moment can it be that pages in the midst of the file are there that were not. Others that write beyond
 * the end of the file meanwhile may lose that when it fails. `fd` is open for writing; where it is not open
 * for reading too, there are no huge pages. Any number of threads, each with a descriptor of its own.
 */
int segfs_huge_reserve(int fd, off_t from, off_t to);

/* Whether segfs_huge_reserve() is to be anything but fallocate(2): so it is until somebody says no. Before
 * there are threads. */
void segfs_huge_allow(bool allowed);
