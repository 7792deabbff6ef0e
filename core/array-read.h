/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Elements of an array, and other bytes, from a file, read with pread(2) into memory of one's own: never
 * mapped, as another process may cut the file at any time, and touching what is gone is SIGBUS.
 */
#include <stddef.h>
#include <stdint.h>

#include <segfs/array.h>

/* Read `size` bytes from byte `at` of a file on. 0, -ESTALE if it ends before them, or -errno of pread(2).
 * After a failure `ret_bytes` may hold some of them. */
int segfs_read_whole(int fd, void *ret_bytes, size_t size, uint64_t at);

/*
 * Read `count` elements from element `first` on, in the order in which they lie in the file. Returns as
 * segfs_read_whole().
 */
int segfs_array_read(const struct segfs_array *array, int fd, uint64_t first, size_t count,
		     void *ret_elements);
