/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One element of an array, from its bytes in the segment to a C value.
 *
 * The bytes may lie at any address and in either byte order; the dtype is a scalar one. For a complex dtype
 * give a half of it: its parts are floats of half its itemsize. What this module does not do: it reads no
 * structures.
 */
#include <stdbool.h>
#include <stdint.h>

#include <segfs/dtype.h>

/* Is an element one number on a line: a boolean, an integer or a float? Not a complex number, nor a time. */
bool segfs_element_is_real(const struct segfs_dtype *dtype);

/* A signed integer, a datetime or a timedelta. */
int64_t segfs_element_int(const struct segfs_dtype *dtype, const void *bytes);

/* An unsigned integer or a boolean. */
uint64_t segfs_element_uint(const struct segfs_dtype *dtype, const void *bytes);

/* A float of 2, 4, 8 or 16 bytes (the C compiler's long double, in its own byte order) or a bfloat16; exact.
 */
long double segfs_element_float(const struct segfs_dtype *dtype, const void *bytes);

/* Any real number; exact where a long double has 64 bits of fraction, as on x86 and 64-bit ARM. */
long double segfs_element_real(const struct segfs_dtype *dtype, const void *bytes);

/* Any real number, rounded to the nearest double. */
double segfs_element_double(const struct segfs_dtype *dtype, const void *bytes);

/* The dtype of the real and of the imaginary part of a complex one. */
struct segfs_dtype segfs_element_part(const struct segfs_dtype *complex_dtype);
