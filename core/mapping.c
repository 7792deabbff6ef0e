/* SPDX-License-Identifier: MIT */
#include <segfs/mapping.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <segfs/segment.h>

#include "atomics.h"
#include "dtype-internal.h"
#include "named.h"
#include "store.h"
#include "util.h"

struct segfs_mapping {
	struct segfs_array array; /* owned */
	int fd;			  /* owned */
	int flags;		  /* O_RDWR or O_RDONLY */
	char *file;		  /* mapped from its first byte on; NULL if it is empty; owned */
	size_t length;
	void *control; /* a segfs_control, owned; set once, by the first who asks */
};

SEGFS_PUBLIC struct segfs_mapping *segfs_mapping_close(struct segfs_mapping *mapping)
{
	if (!mapping)
		return NULL;
	segfs_control_close(mapping->control);
	if (mapping->file)
		munmap(mapping->file, mapping->length);
	close_fd(&mapping->fd);
	segfs_array_clear(&mapping->array);
	free(mapping);
	return NULL;
}

static void mapping_cleanup(struct segfs_mapping **mapping)
{
	*mapping = segfs_mapping_close(*mapping);
}

/* ---- attaching */

/* Rings and tables have a description, too, but their elements do not lie as those of an array. */
static bool is_array(const struct segfs_segment *segment)
{
	return segment->kind == SEGFS_KIND_ARRAY || segment->kind == SEGFS_KIND_NPY;
}

static int describe(struct segfs_mapping *mapping)
{
	struct segfs_segment segment;
	int r = segfs_segment_read(mapping->fd, &segment);

	if (r < 0)
		return r;
	mapping->array = segment.array;
	if (!is_array(&segment))
		return -ENODATA;
	return segfs_array_check(&mapping->array, segment.size) < 0 ? -ENOTSUP : 0;
}

/* The size is looked at once more: what has gone since the first look would be SIGBUS. */
static int map(struct segfs_mapping *mapping)
{
	int protection = mapping->flags == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ;
	uint64_t elements, bytes;
	struct stat st;
	void *file;

	if (segfs_array_count(&mapping->array, &elements, &bytes) < 0)
		return -EOVERFLOW;
	mapping->length = mapping->array.offset + bytes;
	if (mapping->length == 0)
		return 0;
	file = mmap(NULL, mapping->length, protection, MAP_SHARED, mapping->fd, 0);
	if (file == MAP_FAILED)
		return -errno;
	mapping->file = file;
	if (fstat(mapping->fd, &st) < 0)
		return -errno;
	return (uint64_t)st.st_size < mapping->length ? -ESTALE : 0;
}

/* Takes `fd`; `wanted` says what the array must be like. */
static int attach(int fd, int flags, bool (*is_wanted)(const struct segfs_array *array, const void *wanted),
		  const void *wanted, struct segfs_mapping **ret_mapping)
{
	SEGFS_CLEANUP(mapping_cleanup) struct segfs_mapping *mapping = calloc(1, sizeof(*mapping));
	int r;

	if (!mapping) {
		close(fd);
		return -ENOMEM;
	}
	mapping->fd = fd;
	mapping->flags = flags;
	r = describe(mapping);
	if (r == 0 && !is_wanted(&mapping->array, wanted))
		r = -EMEDIUMTYPE;
	if (r == 0)
		r = map(mapping);
	if (r == 0)
		*ret_mapping = steal_pointer(&mapping);
	return r;
}

static bool has_dtype(const struct segfs_array *array, const void *dtype)
{
	return !dtype || segfs_dtype_equal(array->dtype, dtype);
}

SEGFS_PUBLIC int segfs_mapping_open(const char *path, int flags, const char *dtype,
				    struct segfs_mapping **ret_mapping)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *wanted = NULL;
	int fd, r = dtype ? segfs_dtype_parse(dtype, strlen(dtype), &wanted) : 0;

	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	fd = segfs_named_open(path, flags);
	return fd < 0 ? fd : attach(fd, flags, has_dtype, wanted, ret_mapping);
}

/* ---- making one */

static int set_attribute(int fd, const char *name, const struct segfs_segment *segment)
{
	SEGFS_FREE char *value = NULL;
	ssize_t len = segfs_segment_text(segment, name, &value);

	return len < 0 ? (int)len : segfs_segment_set(fd, name, value, (size_t)len, 0);
}

/* The shape is last: with it the file gets its size. */
static int make(int fd, const void *plan)
{
	const struct segfs_segment segment = {.kind = SEGFS_KIND_ARRAY,
					      .array = *(const struct segfs_array *)plan};
	int r = 0;

	if (segment.array.order != 'C')
		r = set_attribute(fd, SEGFS_ATTR_ORDER, &segment);
	if (r == 0)
		r = set_attribute(fd, SEGFS_ATTR_DTYPE, &segment);
	return r < 0 ? r : set_attribute(fd, SEGFS_ATTR_SHAPE, &segment);
}

static int plan_array(const char *dtype, const uint64_t *shape, unsigned ndim, char order,
		      struct segfs_array *array)
{
	uint64_t elements, bytes;
	int r;

	if (ndim > SEGFS_MAX_NDIM || (order != 'C' && order != 'F'))
		return -EINVAL;
	r = segfs_dtype_parse(dtype, strlen(dtype), &array->dtype);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	array->order = order;
	array->ndim = ndim;
	for (unsigned i = 0; i < ndim; i++)
		array->shape[i] = shape[i];
	return segfs_array_count(array, &elements, &bytes);
}

static bool is_same(const struct segfs_array *array, const void *wanted)
{
	return segfs_array_equal(array, wanted);
}

SEGFS_PUBLIC int segfs_mapping_create(const char *path, int flags, mode_t mode, const char *dtype,
				      const uint64_t *shape, unsigned ndim, char order,
				      struct segfs_mapping **ret_mapping)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array plan = {};
	int r = plan_array(dtype, shape, ndim, order, &plan);

	if (r == 0)
		r = segfs_named_create(path, flags, mode, make, &plan);
	return r < 0 ? r : attach(r, O_RDWR, is_same, &plan, ret_mapping);
}

/* ---- using it */

SEGFS_PUBLIC const struct segfs_array *segfs_mapping_array(const struct segfs_mapping *mapping)
{
	return &mapping->array;
}

SEGFS_PUBLIC void *segfs_mapping_data(const struct segfs_mapping *mapping)
{
	return mapping->file ? mapping->file + mapping->array.offset : NULL;
}

SEGFS_PUBLIC int segfs_mapping_fd(const struct segfs_mapping *mapping)
{
	return mapping->fd;
}

SEGFS_PUBLIC int segfs_mapping_check(const struct segfs_mapping *mapping)
{
	struct segfs_segment segment;
	int r = segfs_segment_read(mapping->fd, &segment);

	if (r < 0)
		return r;
	if (!is_array(&segment) || segment.array.offset != mapping->array.offset ||
	    !segfs_array_equal(&segment.array, &mapping->array))
		r = -ESTALE;
	segfs_segment_clear(&segment);
	return r;
}

/* By way of the descriptor's path, which is what the file is called by now. */
static int open_control(const struct segfs_mapping *mapping, struct segfs_control **ret_control)
{
	char path[SEGFS_FD_PATH_MAX];
	struct segfs_control *control;
	struct segfs_control_stat control_stat;
	struct stat st;
	int r;

	if (fstat(mapping->fd, &st) < 0)
		return -errno;
	segfs_fd_path(mapping->fd, path);
	r = segfs_control_open(path, mapping->flags, &control);
	if (r < 0)
		return r;
	segfs_control_stat(control, &control_stat);
	if (control_stat.ino != st.st_ino) {
		segfs_control_close(control);
		return -ESTALE;
	}
	*ret_control = control;
	return 0;
}

SEGFS_PUBLIC int segfs_mapping_control(struct segfs_mapping *mapping, struct segfs_control **ret_control)
{
	struct segfs_control *control = pointer_load_acquire(&mapping->control), *mine = NULL;
	int r;

	if (!control) {
		r = open_control(mapping, &mine);
		if (r < 0)
			return r;
		control = pointer_set_once(&mapping->control, mine);
		if (control != mine)
			segfs_control_close(mine);
	}
	*ret_control = control;
	return 0;
}
