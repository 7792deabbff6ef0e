/* SPDX-License-Identifier: MIT */
#include "named.h"
#include "table-internal.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>

/* Header and entries, with the owner words in them. */
static int map_header(int fd, struct segfs_table *table)
{
	const struct segfs_words words[] = {
		{.offset = offsetof(struct segfs_layout_table, taker), .stride = SEGFS_LINE, .n = 1},
		{
			.offset = offsetof(struct segfs_layout_table, members),
			.stride = sizeof(struct segfs_layout_member),
			.n = SEGFS_MEMBERS,
			.members = true,
		},
		{
			.offset = offsetof(struct segfs_layout_table, fields[0].owner),
			.stride = sizeof(struct segfs_layout_field),
			.n = table->plan.n_fields,
		},
	};
	int r = segfs_robust_map(fd, segfs_table_header_size(table->plan.n_fields), table->writable, words,
				 COUNT_OF(words), &table->area);

	if (r == 0)
		table->shared = segfs_robust_data(table->area);
	return r;
}

static int map_values(int fd, struct segfs_table *table)
{
	int protection = table->writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *values = mmap(NULL, table->plan.end, protection, MAP_SHARED, fd, 0);

	if (values == MAP_FAILED)
		return -errno;
	table->values = values;
	return 0;
}

static int open_table(int fd, struct segfs_table *table)
{
	int flags = fcntl(fd, F_GETFL), r;

	if (flags < 0)
		return -errno;
	table->writable = (flags & O_ACCMODE) == O_RDWR;
	r = segfs_table_plan_read(fd, &table->plan);
	if (r == 0)
		r = map_header(fd, table);
	return r < 0 ? r : map_values(fd, table);
}

SEGFS_PUBLIC int segfs_table_open(int fd, struct segfs_table **ret_table)
{
	struct segfs_table *table = calloc(1, sizeof(*table));
	int r;

	if (!table)
		return -ENOMEM;
	r = open_table(fd, table);
	if (r < 0)
		segfs_table_close(table);
	else
		*ret_table = table;
	return r;
}

static int make(int fd, const void *dtype)
{
	return segfs_table_format(fd, dtype);
}

SEGFS_PUBLIC int segfs_table_create(const char *path, int flags, mode_t mode, const char *dtype,
				    struct segfs_table **ret_table)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *wanted = NULL;
	SEGFS_CLOSE int fd = -1;
	struct segfs_table *table;
	int r = segfs_dtype_parse(dtype, strlen(dtype), &wanted);

	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	fd = segfs_named_create(path, flags, mode, make, wanted);
	if (fd < 0)
		return fd;
	r = segfs_table_open(fd, &table);
	if (r < 0)
		return r;
	if (!segfs_dtype_equal(segfs_table_dtype(table), wanted)) {
		segfs_table_close(table);
		return -EMEDIUMTYPE;
	}
	*ret_table = table;
	return 0;
}

SEGFS_PUBLIC struct segfs_table *segfs_table_close(struct segfs_table *table)
{
	if (!table)
		return NULL;
	segfs_robust_unmap(table->area);
	if (table->values)
		munmap(table->values, table->plan.end);
	segfs_table_plan_clear(&table->plan);
	free(table);
	return NULL;
}

SEGFS_PUBLIC const struct segfs_dtype *segfs_table_dtype(const struct segfs_table *table)
{
	return table->plan.dtype;
}

SEGFS_PUBLIC int segfs_table_field(const struct segfs_table *table, unsigned field,
				   struct segfs_table_field *ret_field)
{
	const struct segfs_table_place *place;

	if (field >= table->plan.n_fields)
		return -EINVAL;
	place = &table->plan.places[field];
	*ret_field =
		(struct segfs_table_field){.name = place->name, .size = place->size, .offset = place->at};
	return 0;
}

SEGFS_PUBLIC int segfs_table_find(const struct segfs_table *table, const char *name)
{
	for (unsigned i = 0; i < table->plan.n_fields; i++) {
		if (strcmp(table->plan.places[i].name, name) == 0)
			return (int)i;
	}
	return -ENOENT;
}
