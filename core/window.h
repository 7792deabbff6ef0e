/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A part of a file, mapped so that its huge pages can be entered as such into the page table: what lies at a
 * multiple of 2 MiB in the file lies at one in memory.
 *
 * The file may shrink at any moment, and who then touches the mapping is ended by SIGBUS: it is there for
 * madvise(2), mincore(2), mbind(2) and their kin, which fail instead.
 */
#include <stddef.h>
#include <stdint.h>

#define SEGFS_HUGE_PAGE (2u * 1024 * 1024)

/* To be mapped at a time, so that the address space and the page tables needed do not grow with the file. */
#define SEGFS_WINDOW_MAX (UINT64_C(512) * SEGFS_HUGE_PAGE)

struct segfs_window {
	uint64_t start, end; /* in the file */
	unsigned char *base; /* where `start` is mapped: at a multiple of a huge page */
	unsigned char *reserved;
	size_t reserved_size;
};

/*
 * Map what is from `start`, a multiple of 2 MiB, to `end` of a file that is open for reading: to read,
 * shared, also beyond the end of the file. Nothing is entered into the page table. 0 or -errno of mmap(2).
 */
int segfs_window_map(int fd, uint64_t start, uint64_t end, struct segfs_window *ret_window);

/* Ends one that is mapped, or all zeros. */
void segfs_window_unmap(struct segfs_window *window);
