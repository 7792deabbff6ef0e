/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A datetime64 as text, as numpy prints it: ISO 8601 as far as its unit goes, "2024", "2024-02",
 * "2024-02-29" (days, and the first days of weeks), "2024-02-29T12", ... down to attoseconds; "NaT"; a number
 * if it has no unit.
 *
 * The calendar is the Gregorian one in all directions; years have a sign and as many digits as they need,
 * four at least (with the sign, if there is one). Where numpy's own 64 bits overflow, the text is still
 * right.
 */
#include <stddef.h>
#include <stdint.h>

#include <segfs/dtype.h>

#define SEGFS_DATETIME_TEXT_MAX 80

/* The longest text of this type, at most SEGFS_DATETIME_TEXT_MAX. */
size_t segfs_datetime_width(const struct segfs_dtype *dtype);

/* Write a value, without NUL; returns the length. */
size_t segfs_datetime_format(const struct segfs_dtype *dtype, int64_t value, char *ret_text);
