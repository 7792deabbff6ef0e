/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How much memory a file on tmpfs takes, and how much of it in huge pages.
 */
#include <stdint.h>

#include "window.h"

struct segfs_residency {
	/* In memory or swapped out; a hole takes nothing. */
	uint64_t resident;
	/* Of that on huge pages: a multiple of 2 MiB, which with the last one may exceed the file's size. */
	uint64_t huge;
};

/*
 * Read it of a file that is open for reading; its offset is moved. 0, or the -errno of fstat(2) or mmap(2)
 * (-EACCES: not open for reading; -EOVERFLOW: data in the last 2 MiB that a file can have).
 *
 * Looking for huge pages maps the file, one page table entry for each, and changes nothing in it: memory is
 * not touched, holes are left alone (but one made at that very moment may get a page back), what is swapped
 * out stays there. It takes about 10 us for each 2 MiB that may be a huge page, and the time to read
 * /proc/self/smaps for each 1 GiB. Any number of threads may do it at once, also while others write to the
 * file or shrink it. `huge` is 0 where the kernel is older than 5.14 or has huge pages of another size than 2
 * MiB, and a huge page that was allocated (fallocate(2)) but never written to is not counted.
 *
 * Sources: madvise(2) for MADV_POPULATE_READ; Linux Documentation/filesystems/proc.rst for ShmemPmdMapped.
 */
int segfs_residency_read(int fd, struct segfs_residency *ret_residency);
