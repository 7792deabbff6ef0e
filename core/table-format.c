/* SPDX-License-Identifier: MIT */
#include "table-internal.h"

#include <fcntl.h>
#include <sys/stat.h>

static size_t up_to_line(size_t size)
{
	return (size + SEGFS_LINE - 1) / SEGFS_LINE * SEGFS_LINE;
}

/* Where the values go: one behind the other, behind the entries. */
static int plan_values(struct segfs_table_plan *plan)
{
	size_t end = segfs_table_header_size(plan->n_fields);

	for (unsigned i = 0; i < plan->n_fields; i++) {
		struct segfs_table_place *place = &plan->places[i];

		place->stride = up_to_line(place->size);
		place->offset = end;
		if (__builtin_add_overflow(end, place->stride * SEGFS_TABLE_COPIES, &end) || end > INT64_MAX)
			return -EOVERFLOW;
	}
	plan->end = end;
	return 0;
}

static void write_entry(const struct segfs_table_place *place, struct segfs_layout_field *entry)
{
	memcpy(entry->name, place->name, strlen(place->name));
	entry->offset = place->offset;
	entry->stride = place->stride;
	entry->size = place->size;
	entry->at = place->at;
}

/* Header and entries, but for the magic. */
static int write_header(const struct segfs_table_plan *plan, const struct segfs_dtype *dtype,
			struct segfs_layout_table *header)
{
	header->version = SEGFS_TABLE_VERSION;
	header->n_fields = plan->n_fields;
	header->record_size = dtype->itemsize;
	if (segfs_dtype_format(dtype, header->dtype, sizeof(header->dtype)) >= sizeof(header->dtype))
		return -EMSGSIZE;
	for (unsigned i = 0; i < plan->n_fields; i++)
		write_entry(&plan->places[i], &header->fields[i]);
	return 0;
}

static int write_at(int fd, const void *bytes, size_t size, off_t at)
{
	ssize_t n = pwrite(fd, bytes, size, at);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

/* The magic last, in a write of its own: whoever sees it sees the rest. */
static int write_file(int fd, const struct segfs_table_plan *plan, const struct segfs_layout_table *header)
{
	int r;

	if (fallocate(fd, 0, 0, (off_t)plan->end) < 0)
		return -errno;
	r = write_at(fd, header, segfs_table_header_size(plan->n_fields), 0);
	if (r == 0)
		r = write_at(fd, SEGFS_TABLE_MAGIC, sizeof(header->magic), 0);
	return r;
}

static int check_empty(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size == 0 ? 0 : -EEXIST;
}

SEGFS_PUBLIC int segfs_table_format(int fd, const struct segfs_dtype *dtype)
{
	SEGFS_CLEANUP(segfs_table_plan_clear) struct segfs_table_plan plan = {0};
	SEGFS_FREE struct segfs_layout_table *header = NULL;
	int r;

	r = segfs_table_plan_fields(dtype, &plan);
	if (r == 0)
		r = plan_values(&plan);
	if (r < 0)
		return r;
	header = calloc(1, segfs_table_header_size(plan.n_fields));
	if (!header)
		return -ENOMEM;
	r = write_header(&plan, dtype, header);
	if (r == 0)
		r = check_empty(fd);
	if (r < 0)
		return r;
	r = write_file(fd, &plan, header);
	if (r < 0 && ftruncate(fd, 0) < 0)
		return -errno;
	return r;
}
