/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One element as text of a width that follows from its type alone, right-aligned.
 *
 *	bool			0 or 1
 *	integers, timedeltas	decimal; NaT
 *	floats			see float-text.h
 *	complex numbers		1.5-2j, as Python's complex() reads it
 *	datetimes		see datetime.h
 *	bytes, unicode		in double quotes as CSV has them: "" within them is one "
 *	void			two hexadecimal digits a byte
 *
 * Strings are UTF-8, without the NULs at their end, and `?` for control characters, line separators, and
 * what is not UTF-8 or no character at all.
 *
 * The width is one in bytes: text with other characters than ASCII takes fewer columns on a screen. What this
 * module does not do: it knows no structures.
 */
#include <stddef.h>

#include <segfs/dtype.h>

/* No cell is wider, so that the memory for one is bounded. */
#define SEGFS_CELL_WIDTH_MAX (1u << 20)

struct segfs_cell {
	const struct segfs_dtype *dtype; /* borrowed; a scalar one */
	size_t width;			 /* bytes; make it larger, and the text moves to the right */
};

/* 0, or -EOVERFLOW: wider than SEGFS_CELL_WIDTH_MAX. */
int segfs_cell_init(struct segfs_cell *ret_cell, const struct segfs_dtype *dtype);

/* Write exactly `width` bytes, no NUL. The element may lie at any address. */
void segfs_cell_format(const struct segfs_cell *cell, const void *bytes, char *ret_text);
