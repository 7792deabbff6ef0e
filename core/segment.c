/* SPDX-License-Identifier: MIT */
#include <segfs/segment.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <segfs/npy.h>
#include <segfs/ring.h>

#include "huge.h"
#include "table-internal.h"
#include "util.h"

/* The four attributes while each may still be missing or be wrong. */
struct stored {
	bool has_dtype, has_shape;
	struct segfs_array array; /* order 'C' and offset 0 unless stored otherwise */
};

static int parse_order(const char *value, size_t len, char *ret_order)
{
	if (len != 1 || (value[0] != 'C' && value[0] != 'F'))
		return -EINVAL;
	*ret_order = value[0];
	return 0;
}

static int parse_offset(const char *value, size_t len, uint64_t *ret_offset)
{
	uint64_t offset = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(offset, 10, &offset) ||
		    __builtin_add_overflow(offset, (uint64_t)(value[i] - '0'), &offset) || offset > INT64_MAX)
			return -EINVAL;
	}
	*ret_offset = offset;
	return 0;
}

static int parse_dtype(struct stored *stored, const char *value, size_t len)
{
	struct segfs_dtype *dtype;
	int r;

	r = segfs_dtype_parse(value, len, &dtype);
	if (r < 0)
		return r;
	segfs_dtype_free(stored->array.dtype);
	stored->array.dtype = dtype;
	stored->has_dtype = true;
	return 0;
}

/* One attribute's text into the set. Every refusal is -EINVAL to the user, but for a lack of memory. */
static int stored_parse(struct stored *stored, const char *name, const char *value, size_t len)
{
	int r;

	if (!strcmp(name, SEGFS_ATTR_DTYPE))
		r = parse_dtype(stored, value, len);
	else if (!strcmp(name, SEGFS_ATTR_ORDER))
		r = parse_order(value, len, &stored->array.order);
	else if (!strcmp(name, SEGFS_ATTR_OFFSET))
		r = parse_offset(value, len, &stored->array.offset);
	else {
		r = segfs_shape_parse(value, len, stored->array.shape, &stored->array.ndim);
		stored->has_shape |= r == 0;
	}
	return r < 0 && r != -ENOMEM ? -EINVAL : r;
}

/* A missing attribute, or one that somebody wrote past us and that means nothing, leaves the set as it is. */
static int stored_read_one(int fd, const char *name, struct stored *stored)
{
	SEGFS_FREE char *value = NULL;
	char small[256];
	ssize_t n;
	int r;

	n = fgetxattr(fd, name, small, sizeof(small));
	if (n >= 0) {
		r = stored_parse(stored, name, small, (size_t)n);
		return r == -EINVAL ? 0 : r;
	}
	if (errno == ENODATA || errno == EOPNOTSUPP)
		return 0;
	if (errno != ERANGE)
		return -errno;

	value = malloc(XATTR_SIZE_MAX);
	if (!value)
		return -ENOMEM;
	n = fgetxattr(fd, name, value, XATTR_SIZE_MAX);
	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	r = stored_parse(stored, name, value, (size_t)n);
	return r == -EINVAL ? 0 : r;
}

static void stored_clear(struct stored *stored)
{
	segfs_array_clear(&stored->array);
}

static bool is_in_list(const char *name, const char *list, ssize_t n)
{
	for (const char *at = list; at < list + n; at += strlen(at) + 1)
		if (!strcmp(at, name))
			return true;
	return false;
}

/* Most files have few attributes or none: to ask which they are is quicker than to ask for each of four. */
static int stored_read(int fd, struct stored *stored)
{
	static const char *const names[] = {
		SEGFS_ATTR_DTYPE,
		SEGFS_ATTR_SHAPE,
		SEGFS_ATTR_ORDER,
		SEGFS_ATTR_OFFSET,
	};
	char list[512];
	ssize_t n = flistxattr(fd, list, sizeof(list));

	stored->array.order = 'C';
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		int r = n < 0 || is_in_list(names[i], list, n) ? stored_read_one(fd, names[i], stored) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

/* What the first bytes of a file claim; RAW: nothing. */
static int read_claim(int fd, enum segfs_kind *ret_kind)
{
	static const struct {
		enum segfs_kind kind;
		const char *magic;
		size_t len;
	} magics[] = {
		{SEGFS_KIND_NPY, "\x93NUMPY", 6},
		{SEGFS_KIND_RING, SEGFS_RING_MAGIC, 8},
		{SEGFS_KIND_TABLE, SEGFS_TABLE_MAGIC, 8},
	};
	char bytes[8] = {};

	*ret_kind = SEGFS_KIND_RAW;
	if (pread(fd, bytes, sizeof(bytes), 0) < 0)
		return -errno;
	for (size_t i = 0; i < COUNT_OF(magics); i++)
		if (!memcmp(bytes, magics[i].magic, magics[i].len))
			*ret_kind = magics[i].kind;
	return 0;
}

static int read_npy(int fd, uint64_t size, struct segfs_array *ret_array)
{
	struct segfs_array array;
	int r;

	r = segfs_npy_read(fd, &array);
	if (r < 0)
		return r;
	r = segfs_array_fits(&array, size);
	if (r < 0)
		segfs_array_clear(&array);
	else
		*ret_array = array;
	return r;
}

static int read_ring(int fd, struct segfs_array *ret_array)
{
	struct segfs_ring_info info;
	int r = segfs_ring_read(fd, &info);

	if (r == 0)
		*ret_array = info.frame;
	return r;
}

static int read_table(int fd, struct segfs_array *ret_array)
{
	SEGFS_CLEANUP(segfs_table_plan_clear) struct segfs_table_plan plan = {};
	int r = segfs_table_plan_read(fd, &plan);

	if (r == 0)
		*ret_array = (struct segfs_array){.dtype = steal_pointer(&plan.dtype), .order = 'C'};
	return r;
}

static int read_claimed(int fd, enum segfs_kind kind, uint64_t size, struct segfs_array *ret_array)
{
	switch (kind) {
	case SEGFS_KIND_NPY:
		return read_npy(fd, size, ret_array);
	case SEGFS_KIND_RING:
		return read_ring(fd, ret_array);
	case SEGFS_KIND_TABLE:
		return read_table(fd, ret_array);
	default:
		return 0;
	}
}

/* A header that does not parse, or promises more than the file has, is none: 0, and the segment raw. */
static int read_header(int fd, struct segfs_segment *segment)
{
	enum segfs_kind kind;
	int r;

	r = read_claim(fd, &kind);
	if (r == 0)
		r = read_claimed(fd, kind, segment->size, &segment->array);
	if (r == -EINVAL || r == -ENOTSUP || r == -EOVERFLOW || r == -EMSGSIZE)
		return 0;
	if (r == 0)
		segment->kind = kind;
	return r;
}

static int read_attributes(int fd, struct segfs_segment *segment)
{
	SEGFS_CLEANUP(stored_clear) struct stored stored = {};
	int r;

	r = stored_read(fd, &stored);
	if (r < 0)
		return r;
	if (!stored.has_dtype || !stored.has_shape || segfs_array_check(&stored.array, segment->size) < 0)
		return 0;
	segment->kind = SEGFS_KIND_ARRAY;
	segment->array = stored.array;
	stored.array.dtype = NULL;
	return 0;
}

int segfs_segment_read(int fd, struct segfs_segment *ret_segment)
{
	struct segfs_segment segment = {.kind = SEGFS_KIND_RAW};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	segment.size = (uint64_t)st.st_size;
	r = read_header(fd, &segment);
	if (r == 0 && segment.kind == SEGFS_KIND_RAW)
		r = read_attributes(fd, &segment);
	if (r < 0)
		return r;
	*ret_segment = segment;
	return 0;
}

void segfs_segment_clear(struct segfs_segment *segment)
{
	segfs_array_clear(&segment->array);
	segment->kind = SEGFS_KIND_RAW;
}

const char *segfs_kind_name(enum segfs_kind kind)
{
	static const char *const names[] = {
		[SEGFS_KIND_RAW] = "raw",   [SEGFS_KIND_ARRAY] = "array", [SEGFS_KIND_NPY] = "npy",
		[SEGFS_KIND_RING] = "ring", [SEGFS_KIND_TABLE] = "table",
	};

	return names[kind];
}

static ssize_t array_format(const struct segfs_array *array, const char *name, char *buf, size_t size)
{
	if (!strcmp(name, SEGFS_ATTR_DTYPE))
		return (ssize_t)segfs_dtype_format(array->dtype, buf, size);
	if (!strcmp(name, SEGFS_ATTR_SHAPE))
		return (ssize_t)segfs_shape_format(array->shape, array->ndim, buf, size);
	if (!strcmp(name, SEGFS_ATTR_ORDER))
		return snprintf(buf, size, "%c", array->order);
	if (!strcmp(name, SEGFS_ATTR_OFFSET))
		return snprintf(buf, size, "%" PRIu64, array->offset);
	return -ENODATA;
}

static ssize_t array_text(const struct segfs_array *array, const char *name, char **ret_text)
{
	ssize_t n = array_format(array, name, NULL, 0);
	char *text;

	if (n < 0)
		return n;
	text = malloc((size_t)n + 1);
	if (!text)
		return -ENOMEM;
	array_format(array, name, text, (size_t)n + 1);
	*ret_text = text;
	return n;
}

static bool has_attribute(const struct segfs_segment *segment, const char *name)
{
	/* The record of a table does not lie in the file as a whole. */
	return segment->kind != SEGFS_KIND_RAW &&
	       (segment->kind != SEGFS_KIND_TABLE || !strcmp(name, SEGFS_ATTR_DTYPE));
}

ssize_t segfs_segment_format(const struct segfs_segment *segment, const char *name, char *buf, size_t size)
{
	return has_attribute(segment, name) ? array_format(&segment->array, name, buf, size) : -ENODATA;
}

ssize_t segfs_segment_text(const struct segfs_segment *segment, const char *name, char **ret_text)
{
	return has_attribute(segment, name) ? array_text(&segment->array, name, ret_text) : -ENODATA;
}

/* What can be said before dtype and shape are both known. */
static int check_partial(const struct stored *stored, uint64_t size)
{
	if (size > 0 && stored->array.offset > size)
		return -EINVAL;
	if (stored->has_dtype && stored->array.offset % stored->array.dtype->alignment)
		return -EINVAL;
	return 0;
}

/* Gives an empty file the size and the pages of its array. */
static int reserve(int fd, const struct segfs_array *array)
{
	uint64_t elements, bytes;

	if (segfs_array_count(array, &elements, &bytes) < 0 || bytes > INT64_MAX - array->offset ||
	    segfs_array_check(array, array->offset + bytes) < 0)
		return -EINVAL;
	if (array->offset + bytes == 0)
		return 0;
	return segfs_huge_reserve(fd, 0, (off_t)(array->offset + bytes));
}

static int store_value(int fd, const char *name, const struct segfs_array *array, int flags)
{
	SEGFS_FREE char *text = NULL;
	ssize_t n = array_text(array, name, &text);

	if (n < 0 || n >= XATTR_SIZE_MAX)
		return n < 0 ? (int)n : -EINVAL;
	return fsetxattr(fd, name, text, (size_t)n, flags) < 0 ? -errno : 0;
}

/* A header cannot be set, but copying tools write back what they have read: what it says already is no
 * change. */
static int accept_if_same(const struct segfs_segment *segment, const char *name, const char *value,
			  size_t len)
{
	SEGFS_CLEANUP(stored_clear) struct stored given = {.array.order = 'C'};
	SEGFS_FREE char *wanted = NULL, *actual = NULL;
	ssize_t n;
	int r;

	r = stored_parse(&given, name, value, len);
	if (r < 0)
		return r;
	n = array_text(&given.array, name, &wanted);
	if (n >= 0)
		n = segfs_segment_text(segment, name, &actual);
	if (n < 0)
		return n == -ENOMEM ? -ENOMEM : -EINVAL;
	return strcmp(wanted, actual) ? -EINVAL : 0;
}

static int set_stored(int fd, uint64_t size, const char *name, const char *value, size_t len, int flags)
{
	SEGFS_CLEANUP(stored_clear) struct stored stored = {};
	bool whole;
	int r;

	r = stored_read(fd, &stored);
	if (r == 0)
		r = stored_parse(&stored, name, value, len);
	if (r < 0)
		return r;
	whole = stored.has_dtype && stored.has_shape;
	if (!whole)
		r = check_partial(&stored, size);
	else if (size > 0)
		r = segfs_array_check(&stored.array, size) < 0 ? -EINVAL : 0;
	else
		r = reserve(fd, &stored.array);
	if (r < 0)
		return r;
	r = store_value(fd, name, &stored.array, flags);
	if (r < 0 && whole && size == 0 && ftruncate(fd, 0) < 0)
		return -errno;
	return r;
}

int segfs_segment_set(int fd, const char *name, const char *value, size_t len, int flags)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {.kind = SEGFS_KIND_RAW};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	segment.size = (uint64_t)st.st_size;
	r = read_header(fd, &segment);
	if (r < 0)
		return r;
	if (segment.kind == SEGFS_KIND_RAW)
		return set_stored(fd, segment.size, name, value, len, flags);
	return accept_if_same(&segment, name, value, len);
}
