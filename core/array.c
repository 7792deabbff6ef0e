/* SPDX-License-Identifier: MIT */
#include <segfs/array.h>

#include <inttypes.h>

#include "pyliteral.h"
#include "text.h"
#include "util.h"

SEGFS_PUBLIC void segfs_array_clear(struct segfs_array *array)
{
	segfs_dtype_free(array->dtype);
	*array = (struct segfs_array){0};
}

/* Takes the bracket that a shape begins with, and returns what must end it. */
static char accept_bracket(struct segfs_pyliteral *in)
{
	if (segfs_pyliteral_accept(in, '('))
		return ')';
	return segfs_pyliteral_accept(in, '[') ? ']' : SEGFS_PYLITERAL_END;
}

SEGFS_PUBLIC int segfs_shape_parse(const char *text, size_t len, uint64_t ret_shape[SEGFS_MAX_NDIM],
				   unsigned *ret_ndim)
{
	struct segfs_pyliteral in = {.next = text, .end = text + len};
	uint64_t shape[SEGFS_MAX_NDIM];
	unsigned ndim;
	int r;

	r = segfs_pyliteral_read_lengths(&in, accept_bracket(&in), SEGFS_MAX_NDIM, shape, &ndim);
	if (r < 0)
		return r;
	if (!segfs_pyliteral_ended(&in))
		return -EINVAL;
	memcpy(ret_shape, shape, ndim * sizeof(*shape));
	*ret_ndim = ndim;
	return 0;
}

SEGFS_PUBLIC size_t segfs_shape_format(const uint64_t *shape, unsigned ndim, char *buf, size_t size)
{
	struct segfs_text out = segfs_text_start(buf, size);

	for (unsigned i = 0; i < ndim; i++)
		segfs_text_printf(&out, i > 0 ? ",%" PRIu64 : "%" PRIu64, shape[i]);
	return out.len;
}

/*
 * Lengths of 0 are left out of the products until the end, so that whether a shape is too large does not
 * depend on where its 0 stands. Signed, as the limit is that of off_t.
 */
SEGFS_PUBLIC int segfs_array_count(const struct segfs_array *array, uint64_t *ret_elements,
				   uint64_t *ret_bytes)
{
	int64_t elements = 1, bytes;
	bool empty = false;

	for (unsigned i = 0; i < array->ndim; i++) {
		if (array->shape[i] == 0)
			empty = true;
		else if (__builtin_mul_overflow(elements, array->shape[i], &elements))
			return -EOVERFLOW;
	}
	if (__builtin_mul_overflow(elements, array->dtype->itemsize, &bytes))
		return -EOVERFLOW;
	*ret_elements = empty ? 0 : (uint64_t)elements;
	*ret_bytes = empty ? 0 : (uint64_t)bytes;
	return 0;
}

SEGFS_PUBLIC void segfs_array_strides(const struct segfs_array *array, uint64_t ret_strides[SEGFS_MAX_NDIM])
{
	uint64_t stride = array->dtype->itemsize;

	for (unsigned i = 0; i < array->ndim; i++) {
		unsigned at = array->order == 'F' ? i : array->ndim - 1 - i;

		ret_strides[at] = stride;
		stride *= array->shape[at];
	}
}

/* Do elements lie elsewhere in the other order? Not where one dimension at most is more than one long. */
static bool has_order(const struct segfs_array *array)
{
	unsigned n_longer = 0;

	for (unsigned i = 0; i < array->ndim; i++) {
		if (array->shape[i] == 0)
			return false;
		n_longer += array->shape[i] > 1;
	}
	return n_longer > 1;
}

SEGFS_PUBLIC bool segfs_array_equal(const struct segfs_array *a, const struct segfs_array *b)
{
	return segfs_dtype_equal(a->dtype, b->dtype) && a->ndim == b->ndim &&
	       memcmp(a->shape, b->shape, a->ndim * sizeof(*a->shape)) == 0 &&
	       (a->order == b->order || !has_order(a));
}

SEGFS_PUBLIC int segfs_array_fits(const struct segfs_array *array, uint64_t file_size)
{
	uint64_t elements, bytes, end;
	int r;

	r = segfs_array_count(array, &elements, &bytes);
	if (r < 0)
		return r;
	if (__builtin_add_overflow(array->offset, bytes, &end))
		return -EOVERFLOW;
	if (end > file_size || (array->order != 'C' && array->order != 'F'))
		return -EINVAL;
	return 0;
}

SEGFS_PUBLIC int segfs_array_check(const struct segfs_array *array, uint64_t file_size)
{
	int r = segfs_array_fits(array, file_size);

	return r == 0 && array->offset % array->dtype->alignment != 0 ? -EINVAL : r;
}
