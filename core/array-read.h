/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Elements of an array from its file, read with pread(2) into memory of one's own: never mapped, as another
 * process may cut the file at any time, and touching what is gone is SIGBUS.
 */
#include <stddef.h>
#include <stdint.h>

#include <segfs/array.h>

/*
 * Read `count` elements from element `first` on, in the order in which they lie in the file. 0, -ESTALE if
 * the file ends before them, or -errno of pread(2). After a failure `ret_elements` may hold some of them.
 */
int segfs_array_read(const struct segfs_array *array, int fd, uint64_t first, size_t count,
		     void *ret_elements);
