/* SPDX-License-Identifier: MIT */
#include <segfs/slots.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <segfs/segment.h>

#include "dtype-internal.h"
#include "text.h"
#include "util.h"

static int count_bytes(const struct segfs_dtype *element, const uint64_t *row_shape, unsigned ndim,
		       size_t *ret_bytes)
{
	size_t bytes = element->itemsize;

	for (unsigned i = 0; i < ndim; i++) {
		if (row_shape[i] == 0)
			return -EINVAL;
		if (__builtin_mul_overflow(bytes, row_shape[i], &bytes))
			return -EOVERFLOW;
	}
	if (bytes > SEGFS_DTYPE_ITEMSIZE_MAX)
		return -EOVERFLOW;
	*ret_bytes = bytes;
	return bytes > 0 ? 0 : -EINVAL;
}

/* A structure stands in a descr list as it is, a name in quotes. */
static void put_element(struct segfs_text *out, const struct segfs_dtype *element, const char *text)
{
	segfs_text_printf(out, element->n_fields > 0 ? "%s" : "'%s'", text);
}

/* The descr list of a row, with `padding` bytes behind. */
static void put_row(struct segfs_text *out, const struct segfs_dtype *element, const char *text,
		    const uint64_t *row_shape, unsigned ndim, size_t padding)
{
	segfs_text_printf(out, "[('value', ");
	put_element(out, element, text);
	if (ndim > 0) {
		segfs_text_printf(out, ", ");
		segfs_dtype_put_tuple(out, row_shape, ndim);
	}
	segfs_text_printf(out, ")");
	if (padding > 0)
		segfs_text_printf(out, ", ('', '|V%zu')", padding);
	segfs_text_printf(out, "]");
}

static char *dup_text(const struct segfs_dtype *dtype)
{
	size_t size = segfs_dtype_format(dtype, NULL, 0) + 1;
	char *text = malloc(size);

	if (text)
		segfs_dtype_format(dtype, text, size);
	return text;
}

/* By way of its text, which the parser checks. */
SEGFS_PUBLIC int segfs_slots_dtype(const struct segfs_dtype *element, const uint64_t *row_shape,
				   unsigned ndim, struct segfs_dtype **ret_dtype)
{
	SEGFS_FREE char *inner = NULL, *text = NULL;
	struct segfs_text out = segfs_text_start(NULL, 0);
	size_t bytes, padding;
	int r;

	if (ndim > SEGFS_MAX_NDIM)
		return -EINVAL;
	r = count_bytes(element, row_shape, ndim, &bytes);
	if (r < 0)
		return r;
	padding = (SEGFS_SLOTS_ALIGNMENT - bytes % SEGFS_SLOTS_ALIGNMENT) % SEGFS_SLOTS_ALIGNMENT;
	inner = dup_text(element);
	if (!inner)
		return -ENOMEM;
	put_row(&out, element, inner, row_shape, ndim, padding);
	text = malloc(out.len + 1);
	if (!text)
		return -ENOMEM;
	out = segfs_text_start(text, out.len + 1);
	put_row(&out, element, inner, row_shape, ndim, padding);
	return segfs_dtype_parse(text, out.len, ret_dtype);
}

static int check_empty(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size == 0 ? 0 : -EEXIST;
}

/* What was set before would be taken for a part of the description, and give the file a size of its own. */
static int forget_attributes(int fd)
{
	static const char *const names[] = {
		SEGFS_ATTR_DTYPE,
		SEGFS_ATTR_SHAPE,
		SEGFS_ATTR_ORDER,
		SEGFS_ATTR_OFFSET,
	};

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (fremovexattr(fd, names[i]) < 0 && errno != ENODATA)
			return -errno;
	return 0;
}

static int set_attributes(int fd, const char *dtype, uint64_t n_workers)
{
	char shape[24];
	int r;

	r = forget_attributes(fd);
	if (r == 0)
		r = segfs_segment_set(fd, SEGFS_ATTR_DTYPE, dtype, strlen(dtype), 0);
	if (r < 0)
		return r;
	snprintf(shape, sizeof(shape), "%" PRIu64, n_workers);
	r = segfs_segment_set(fd, SEGFS_ATTR_SHAPE, shape, strlen(shape), 0);
	if (r < 0)
		fremovexattr(fd, SEGFS_ATTR_DTYPE);
	return r;
}

SEGFS_PUBLIC int segfs_slots_format(int fd, const struct segfs_dtype *element, const uint64_t *row_shape,
				    unsigned ndim, uint64_t n_workers)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	SEGFS_FREE char *text = NULL;
	int r;

	r = check_empty(fd);
	if (r == 0)
		r = segfs_slots_dtype(element, row_shape, ndim, &dtype);
	if (r < 0)
		return r;
	text = dup_text(dtype);
	return text ? set_attributes(fd, text, n_workers) : -ENOMEM;
}

SEGFS_PUBLIC int segfs_slots_create(const char *path, int flags, mode_t mode, const char *element,
				    const uint64_t *row_shape, unsigned ndim, uint64_t n_workers,
				    struct segfs_mapping **ret_mapping)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *inner = NULL, *row = NULL;
	SEGFS_FREE char *text = NULL;
	int r = segfs_dtype_parse(element, strlen(element), &inner);

	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	r = segfs_slots_dtype(inner, row_shape, ndim, &row);
	if (r < 0)
		return r;
	text = dup_text(row);
	if (!text)
		return -ENOMEM;
	return segfs_mapping_create(path, flags, mode, text, &n_workers, 1, 'C', ret_mapping);
}

static bool have_own_lines(const struct segfs_array *array)
{
	size_t itemsize = array->dtype->itemsize;

	return array->ndim == 1 && itemsize > 0 && itemsize % SEGFS_SLOTS_ALIGNMENT == 0 &&
	       array->offset % SEGFS_SLOTS_ALIGNMENT == 0;
}

SEGFS_PUBLIC void *segfs_slots_row(const struct segfs_array *array, void *file, uint64_t i)
{
	if (!have_own_lines(array) || i >= array->shape[0])
		return NULL;
	return (char *)file + array->offset + i * array->dtype->itemsize;
}

static bool is_row(const struct segfs_dtype *dtype)
{
	if (dtype->n_fields == 0 || strcmp(dtype->fields[0].name, "value") != 0)
		return false;
	return dtype->n_fields == 1 || (dtype->n_fields == 2 && segfs_dtype_is_padding(&dtype->fields[1]));
}

SEGFS_PUBLIC int segfs_slots_read(const struct segfs_array *array, struct segfs_slots_info *ret_info)
{
	if (!have_own_lines(array) || !is_row(array->dtype))
		return -EINVAL;
	*ret_info = (struct segfs_slots_info){
		.n_workers = array->shape[0],
		.row = array->dtype->itemsize,
		.value = &array->dtype->fields[0],
	};
	return 0;
}

SEGFS_PUBLIC size_t segfs_slots_info_format(const struct segfs_slots_info *info, char *buf, size_t size)
{
	struct segfs_text out = segfs_text_start(buf, size);
	size_t left;

	segfs_text_printf(&out, "workers %" PRIu64 " row %zu", info->n_workers, info->row);
	for (unsigned i = 0; i < info->value->ndim; i++)
		segfs_text_printf(&out, "%s%" PRIu64, i == 0 ? " shape " : ",", info->value->shape[i]);
	segfs_text_printf(&out, " dtype ");
	left = size > out.len ? size - out.len : 0;
	return out.len + segfs_dtype_format(info->value->dtype, left > 0 ? buf + out.len : NULL, left);
}
