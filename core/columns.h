/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The columns of one line of text: the elements of a row, or the scalars that a record is made of.
 *
 * The fields of nested structures are named outer.inner, the elements of sub-arrays name[0], name[0,1];
 * padding and what is empty has no column. They are not tabulated, as a record can hold an image: a group
 * stands for any number of equal items side by side, so that the column at some place is found by division,
 * and memory is needed for the fields alone. What this module does not do: it reads no elements and writes
 * none.
 */
#include <stddef.h>
#include <stdint.h>

#include <segfs/dtype.h>

#include "cell.h"
#include "text.h"

struct segfs_group {
	uint64_t count;			 /* of items */
	uint64_t text_size;		 /* of an item, each cell with the blank behind it */
	size_t offset;			 /* of the first item, in bytes of what the group is in */
	size_t stride;			 /* from one item to the next, bytes */
	struct segfs_cell cell;		 /* if an item is a scalar */
	size_t n_groups;		 /* otherwise; 0 for a scalar */
	struct segfs_group *groups;	 /* of an item, owned */
	const struct segfs_field *field; /* borrowed; NULL for the outermost group */
};

struct segfs_columns {
	struct segfs_group all;
	uint64_t text_size;	/* of all; 0 if there is no column */
	size_t widest;		/* cell, without the blank */
	size_t largest;		/* element, bytes */
	uint64_t element_bytes; /* of all together, gaps left out */
};

/* One item on the way to a column. */
struct segfs_place {
	const struct segfs_place *outer; /* NULL: the outermost */
	const struct segfs_group *group;
	uint64_t index;
};

/*
 * `count` elements side by side; `count` is 1 for a structure. The dtype must outlive the columns. 0, or
 * -EOVERFLOW (a text longer than INT64_MAX, or a cell wider than SEGFS_CELL_WIDTH_MAX), -ENOMEM.
 */
int segfs_columns_init(struct segfs_columns *ret_columns, const struct segfs_dtype *dtype, uint64_t count);

/* What has never been initialized but is zero can be cleared as well. */
void segfs_columns_clear(struct segfs_columns *columns);

/* `at` of the text and of the bytes of the line. A negative result ends the walk, which returns it. */
typedef int (*segfs_columns_visit)(void *context, const struct segfs_place *place, uint64_t text_at,
				   uint64_t byte_at);

/* Visit each column of which something lies in from..to of the line's text, from left to right. */
int segfs_columns_walk(const struct segfs_columns *columns, uint64_t from, uint64_t to,
		       segfs_columns_visit visit, void *context);

/*
 * The name of a column of a structure, no longer than its cell is wide. One word on one line: blanks,
 * backslashes and what repr() would escape are escaped as it does.
 */
void segfs_columns_put_name(struct segfs_text *out, const struct segfs_place *place);
