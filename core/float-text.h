/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A float as text: the shortest decimal that reads back as the same number of its type, as C's strtod(),
 * Python and most others read it; "nan", "inf", "-inf".
 *
 * The form is that of printf's %g with as many digits as the type can need: 0.0001, 1e-05, -0. A float or
 * narrower number comes out right also if it is read as the next wider type and rounded then. The sign and
 * the payload of a NaN are not told. Long doubles are tried with more and more digits, and so slower.
 */
#include <stddef.h>

#include <segfs/dtype.h>

#define SEGFS_FLOAT_TEXT_MAX 64

/* The longest text of a float or bfloat16 type, at most SEGFS_FLOAT_TEXT_MAX. */
size_t segfs_float_text_width(const struct segfs_dtype *dtype);

/* Write the element that `bytes` are, without NUL; returns the length. */
size_t segfs_float_text_format(const struct segfs_dtype *dtype, const void *bytes, char *ret_text);
