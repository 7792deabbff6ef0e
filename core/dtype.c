/* SPDX-License-Identifier: MIT */
#include <segfs/dtype.h>

#include "dtype-internal.h"

/* A name or a list; which one, the first character tells. */
SEGFS_PUBLIC int segfs_dtype_parse(const char *text, size_t len, struct segfs_dtype **ret_dtype)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	struct segfs_pyliteral in = {.next = text, .end = text + len};
	int r;

	if (!segfs_pyliteral_peek(&in, '[')) {
		segfs_pyliteral_trim_end(&in);
		return segfs_dtype_parse_scalar(in.next, (size_t)(in.end - in.next), ret_dtype);
	}
	r = segfs_dtype_read(&in, &dtype);
	if (r < 0)
		return r;
	if (!segfs_pyliteral_ended(&in))
		return -EINVAL;
	*ret_dtype = steal_pointer(&dtype);
	return 0;
}

bool segfs_dtype_is_padding(const struct segfs_field *field)
{
	return field->name[0] == '\0' && !field->title && field->dtype->kind == SEGFS_VOID &&
	       field->dtype->n_fields == 0;
}

void segfs_dtype_clear_field(struct segfs_field *field)
{
	free(field->name);
	free(field->title);
	free(field->shape);
	segfs_dtype_free(field->dtype);
	*field = (struct segfs_field){0};
}

SEGFS_PUBLIC struct segfs_dtype *segfs_dtype_free(struct segfs_dtype *dtype)
{
	if (!dtype)
		return NULL;
	for (size_t i = 0; i < dtype->n_fields; i++)
		segfs_dtype_clear_field(&dtype->fields[i]);
	free(dtype->fields);
	free(dtype);
	return NULL;
}

static bool titles_equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool shapes_equal(const struct segfs_field *a, const struct segfs_field *b)
{
	return a->ndim == b->ndim &&
	       (a->ndim == 0 || memcmp(a->shape, b->shape, a->ndim * sizeof(*a->shape)) == 0);
}

static bool fields_equal(const struct segfs_field *a, const struct segfs_field *b)
{
	return strcmp(a->name, b->name) == 0 && titles_equal(a->title, b->title) && a->offset == b->offset &&
	       shapes_equal(a, b) && segfs_dtype_equal(a->dtype, b->dtype);
}

SEGFS_PUBLIC bool segfs_dtype_equal(const struct segfs_dtype *a, const struct segfs_dtype *b)
{
	if (a->kind != b->kind || a->big_endian != b->big_endian || a->itemsize != b->itemsize ||
	    a->unit_count != b->unit_count || strcmp(a->unit, b->unit) != 0 || a->n_fields != b->n_fields)
		return false;
	for (size_t i = 0; i < a->n_fields; i++) {
		if (!fields_equal(&a->fields[i], &b->fields[i]))
			return false;
	}
	return true;
}
