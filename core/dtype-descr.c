/* SPDX-License-Identifier: MIT */

/*
 * Types as Python literals: a string, or numpy's descr list, "[('a', '<f4'), (('title', 'b'), [('c', '|u1')],
 * (3,))]".
 *
 * The rules are those of numpy.lib.format.descr_to_dtype(): fields are packed, one without a name is padding,
 * names and titles share one namespace. Left out, because numpy writes them for nothing that a segment would
 * hold: a sub-array as a type of its own, ('<f4', (3,)), an empty structure, and a nameless field that is not
 * raw bytes.
 */
#include <segfs/array.h>

#include "dtype-internal.h"

#define DEPTH_MAX  16
#define FIELDS_MAX 1024

/* What one call of segfs_dtype_read() carries down the nested lists. */
struct reader {
	struct segfs_pyliteral *in;
	unsigned depth;
	unsigned n_fields; /* in all lists so far */
};

static int read_type(struct reader *reader, struct segfs_dtype **ret_dtype);

/* Puts a field at the end of a structure, which owns it then. */
static int append_field(struct segfs_dtype *structure, struct segfs_field *field)
{
	struct segfs_field *fields =
		reallocarray(structure->fields, structure->n_fields + 1, sizeof(*structure->fields));

	if (!fields)
		return -ENOMEM;
	structure->fields = fields;
	fields[structure->n_fields++] = *field;
	*field = (struct segfs_field){0};
	return 0;
}

/* Joins neighbouring padding and drops empty padding, as numpy does, so that equal layouts are equal types.
 */
static int append_padding(struct segfs_dtype *structure, struct segfs_field *field, size_t bytes)
{
	struct segfs_field *last =
		structure->n_fields > 0 ? &structure->fields[structure->n_fields - 1] : NULL;

	if (bytes == 0)
		return 0;
	if (last && segfs_dtype_is_padding(last)) {
		last->dtype->itemsize += bytes;
		return 0;
	}
	free_pointer(&field->shape);
	field->ndim = 0;
	field->dtype->itemsize = bytes;
	return append_field(structure, field);
}

static bool is_taken(const struct segfs_dtype *structure, const char *name)
{
	for (size_t i = 0; i < structure->n_fields; i++) {
		const struct segfs_field *field = &structure->fields[i];

		if (!segfs_dtype_is_padding(field) && strcmp(field->name, name) == 0)
			return true;
		if (field->title && strcmp(field->title, name) == 0)
			return true;
	}
	return false;
}

static int append_named(struct segfs_dtype *structure, struct segfs_field *field)
{
	if (field->name[0] == '\0' || is_taken(structure, field->name))
		return -EINVAL;
	if (field->title && (strcmp(field->title, field->name) == 0 || is_taken(structure, field->title)))
		return -EINVAL;
	return append_field(structure, field);
}

/* The bytes of a whole field. numpy keeps lengths in a C int, and has no sub-arrays of "S0", "U0", "V0". */
static int measure_field(const struct segfs_field *field, size_t *ret_bytes)
{
	size_t bytes = field->dtype->itemsize;

	if (bytes == 0 && field->dtype->n_fields == 0 && field->ndim > 0)
		return -EINVAL;
	for (unsigned i = 0; i < field->ndim; i++) {
		if (field->shape[i] > INT32_MAX || __builtin_mul_overflow(bytes, field->shape[i], &bytes))
			return -EOVERFLOW;
	}
	if (bytes > SEGFS_DTYPE_ITEMSIZE_MAX)
		return -EOVERFLOW;
	*ret_bytes = bytes;
	return 0;
}

/* Takes a field that has been read; on failure it stays with the caller. */
static int add_field(struct segfs_dtype *structure, struct segfs_field *field)
{
	size_t bytes;
	int r;

	r = measure_field(field, &bytes);
	if (r < 0)
		return r;
	if (bytes > SEGFS_DTYPE_ITEMSIZE_MAX - structure->itemsize)
		return -EOVERFLOW;
	field->offset = structure->itemsize;
	r = segfs_dtype_is_padding(field) ? append_padding(structure, field, bytes)
					  : append_named(structure, field);
	if (r < 0)
		return r;
	structure->itemsize += bytes;
	return 0;
}

/* 'name' or ('title', 'name') */
static int read_name(struct segfs_pyliteral *in, struct segfs_field *field)
{
	int r;

	if (!segfs_pyliteral_accept(in, '('))
		return segfs_pyliteral_read_string(in, &field->name);
	r = segfs_pyliteral_read_string(in, &field->title);
	if (r < 0)
		return r;
	if (!segfs_pyliteral_accept(in, ','))
		return -EINVAL;
	r = segfs_pyliteral_read_string(in, &field->name);
	if (r < 0)
		return r;
	segfs_pyliteral_accept(in, ',');
	return segfs_pyliteral_accept(in, ')') ? 0 : -EINVAL;
}

/* A tuple of lengths, or a number; 1 as a number is a single element, while (1,) is a sub-array. */
static int read_lengths(struct segfs_pyliteral *in, uint64_t ret_shape[SEGFS_MAX_NDIM], unsigned *ret_ndim)
{
	int r;

	if (segfs_pyliteral_peek(in, '('))
		return segfs_pyliteral_read_tuple(in, SEGFS_MAX_NDIM, ret_shape, ret_ndim);
	r = segfs_pyliteral_read_length(in, &ret_shape[0]);
	if (r < 0)
		return r;
	*ret_ndim = ret_shape[0] != 1;
	return 0;
}

static int read_shape(struct segfs_pyliteral *in, struct segfs_field *field)
{
	uint64_t shape[SEGFS_MAX_NDIM];
	unsigned ndim;
	int r;

	r = read_lengths(in, shape, &ndim);
	if (r < 0 || ndim == 0)
		return r;
	field->shape = reallocarray(NULL, ndim, sizeof(*shape));
	if (!field->shape)
		return -ENOMEM;
	memcpy(field->shape, shape, ndim * sizeof(*shape));
	field->ndim = ndim;
	return 0;
}

/* (name, type) or (name, type, shape) */
static int read_tuple(struct reader *reader, struct segfs_field *field)
{
	struct segfs_pyliteral *in = reader->in;
	int r;

	if (!segfs_pyliteral_accept(in, '('))
		return -EINVAL;
	r = read_name(in, field);
	if (r < 0)
		return r;
	if (!segfs_pyliteral_accept(in, ','))
		return -EINVAL;
	r = read_type(reader, &field->dtype);
	if (r < 0)
		return r;
	if (segfs_pyliteral_accept(in, ',') && !segfs_pyliteral_peek(in, ')')) {
		r = read_shape(in, field);
		if (r < 0)
			return r;
		segfs_pyliteral_accept(in, ',');
	}
	return segfs_pyliteral_accept(in, ')') ? 0 : -EINVAL;
}

static int read_field(struct reader *reader, struct segfs_dtype *structure)
{
	SEGFS_CLEANUP(segfs_dtype_clear_field) struct segfs_field field = {0};
	int r;

	if (reader->n_fields++ == FIELDS_MAX)
		return -EINVAL;
	r = read_tuple(reader, &field);
	if (r < 0)
		return r;
	return add_field(structure, &field);
}

/* The fields of a list whose bracket was taken. */
static int read_fields(struct reader *reader, struct segfs_dtype *structure)
{
	int r;

	for (size_t n = 0; (r = segfs_pyliteral_more(reader->in, n, ']')) > 0; n++) {
		r = read_field(reader, structure);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	return structure->n_fields > 0 ? 0 : -EINVAL;
}

static int read_structure(struct reader *reader, struct segfs_dtype **ret_dtype)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *structure = NULL;
	int r;

	if (reader->depth == DEPTH_MAX)
		return -EINVAL;
	r = segfs_dtype_parse_scalar("V0", 2, &structure);
	if (r < 0)
		return r;
	reader->depth++;
	r = read_fields(reader, structure);
	reader->depth--;
	if (r < 0)
		return r;
	*ret_dtype = steal_pointer(&structure);
	return 0;
}

static int read_type(struct reader *reader, struct segfs_dtype **ret_dtype)
{
	SEGFS_FREE char *text = NULL;
	int r;

	if (segfs_pyliteral_accept(reader->in, '['))
		return read_structure(reader, ret_dtype);
	r = segfs_pyliteral_read_string(reader->in, &text);
	if (r < 0)
		return r;
	return segfs_dtype_parse_scalar(text, strlen(text), ret_dtype);
}

int segfs_dtype_read(struct segfs_pyliteral *in, struct segfs_dtype **ret_dtype)
{
	struct reader reader = {.in = in};

	return read_type(&reader, ret_dtype);
}
