/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Extremes and mean of an array of numbers, of a sample if it is large: the effort has a bound.
 */
#include <stdint.h>

#include <segfs/array.h>

/* Up to so many elements all are looked at. Of more, 64 runs of 1,024 neighbours, the first at the array's
 * start, the last at its end, the others evenly between. */
#define SEGFS_STATISTICS_MAX 65536

struct segfs_statistics {
	long double min, max, mean; /* of those sampled that are not NaN; NaN if there are none */
	uint64_t n_sampled;	    /* elements, NaN included */
	uint64_t n_nan;
};

/*
 * Look at the elements of an array in the file `fd`. Others may write to it meanwhile: each element counts as
 * it was when it was read. The extremes are exact where segfs_element_real() is; the mean is rounded,
 * infinite if the sum is, and NaN of infinities of both signs.
 *
 * 0, or -ENOTSUP (not of real numbers, see segfs_element_is_real()), -ESTALE (the file has become too short),
 * -EOVERFLOW, or -errno of pread(2). *ret_statistics is untouched on failure. Any thread.
 */
int segfs_statistics_read(const struct segfs_array *array, int fd, struct segfs_statistics *ret_statistics);
