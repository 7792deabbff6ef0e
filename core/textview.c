/* SPDX-License-Identifier: MIT */
#include "textview.h"

#include <inttypes.h>
#include <stdio.h>

#include "hexdump.h"
#include "util.h"

static int make_header(struct segfs_textview *view)
{
	const struct segfs_array *array = &view->array;
	size_t len = segfs_dtype_format(array->dtype, NULL, 0);
	SEGFS_FREE char *dtype = malloc(len + 1);
	char shape[21 * SEGFS_MAX_NDIM] = "()";
	int n;

	if (!dtype)
		return -ENOMEM;
	segfs_dtype_format(array->dtype, dtype, len + 1);
	if (array->ndim > 0)
		segfs_shape_format(array->shape, array->ndim, shape, sizeof(shape));
	n = asprintf(&view->header, "# dtype=%s shape=%s order=%c\n", dtype, shape, array->order);
	if (n < 0) {
		view->header = NULL;
		return -ENOMEM;
	}
	view->header_size = (size_t)n;
	return 0;
}

/* Records are lines, and so are rows of scalars; with more than two of these dimensions there are blocks. */
static void count_lines(struct segfs_textview *view, uint64_t elements)
{
	const struct segfs_array *array = &view->array;
	bool is_structure = array->dtype->n_fields > 0;
	unsigned ndim = array->ndim + is_structure;

	view->n_lines = elements;
	view->line_bytes = array->dtype->itemsize;
	if (elements > 0 && ndim > 1 && !is_structure) {
		view->n_lines /= array->shape[array->ndim - 1];
		view->line_bytes *= array->shape[array->ndim - 1];
	}
	view->n_block = ndim > 2 ? array->shape[ndim - 2] : view->n_lines;
}

/* Sum of all lines. 0 or -EOVERFLOW. */
static int measure(struct segfs_textview *view)
{
	uint64_t n_gaps = view->n_lines > 0 ? view->n_lines / view->n_block - 1 : 0;
	int64_t size;

	if (__builtin_mul_overflow(view->n_lines, view->line_size, &size) ||
	    __builtin_add_overflow(size, n_gaps, &size) ||
	    __builtin_add_overflow(size, view->header_size + view->names_size, &size))
		return -EOVERFLOW;
	view->size = (uint64_t)size;
	return 0;
}

static int lay_out_array(struct segfs_textview *view)
{
	const struct segfs_dtype *dtype = view->array.dtype;
	bool is_row = dtype->n_fields == 0 && view->array.ndim > 1;
	uint64_t elements, bytes, n_items = 1;
	int r;

	r = segfs_array_count(&view->array, &elements, &bytes);
	if (r < 0)
		return r;
	if (is_row)
		n_items = elements > 0 ? view->array.shape[view->array.ndim - 1] : 0;
	r = segfs_columns_init(&view->columns, dtype, n_items);
	if (r < 0)
		return r;
	r = make_header(view);
	if (r < 0)
		return r;
	count_lines(view, elements);
	view->line_size = MAX(view->columns.text_size, 1); /* the newline stands for the last blank */
	view->names_size = dtype->n_fields > 0 ? view->columns.text_size : 0;
	return measure(view);
}

static int lay_out_raw(struct segfs_textview *view, uint64_t bytes)
{
	uint64_t missing = -bytes % SEGFS_HEXDUMP_BYTES; /* on the last line */
	int n, r;

	n = asprintf(&view->header, "# raw, %" PRIu64 " bytes\n", bytes);
	if (n < 0) {
		view->header = NULL;
		return -ENOMEM;
	}
	view->header_size = (size_t)n;
	view->is_raw = true;
	view->raw_bytes = bytes;
	view->n_lines = view->n_block = bytes / SEGFS_HEXDUMP_BYTES + (missing > 0);
	view->line_size = SEGFS_HEXDUMP_WIDTH;
	view->line_bytes = SEGFS_HEXDUMP_BYTES;
	r = measure(view);
	if (r < 0)
		return r;
	view->size -= missing;
	return 0;
}

int segfs_textview_init(struct segfs_textview *ret_view, const struct segfs_segment *segment)
{
	SEGFS_CLEANUP(segfs_textview_clear) struct segfs_textview view = {.array = segment->array};
	int r;

	r = segment->kind == SEGFS_KIND_RAW ? lay_out_raw(&view, segment->size) : lay_out_array(&view);
	if (r < 0)
		return r;
	*ret_view = view;
	view = (struct segfs_textview){};
	return 0;
}

void segfs_textview_clear(struct segfs_textview *view)
{
	segfs_columns_clear(&view->columns);
	free(view->header);
	*view = (struct segfs_textview){};
}
