/* SPDX-License-Identifier: MIT */

/*
 * What a table says of itself: copied out of the file, and believed only if all of it agrees. The dtype says
 * which fields there are and where in the record; of the entries only the places of the values are news.
 */
#include "table-internal.h"

#include <sys/stat.h>

size_t segfs_table_header_size(unsigned n_fields)
{
	return sizeof(struct segfs_layout_table) + n_fields * sizeof(struct segfs_layout_field);
}

void segfs_table_plan_clear(struct segfs_table_plan *plan)
{
	segfs_dtype_free(plan->dtype);
	free(plan->places);
	*plan = (struct segfs_table_plan){0};
}

/* Cannot overflow: the parser has seen to it that a structure has fewer than 2^31 bytes. */
static size_t size_of(const struct segfs_field *field)
{
	size_t size = field->dtype->itemsize;

	for (unsigned i = 0; i < field->ndim; i++)
		size *= field->shape[i];
	return size;
}

static int plan_field(const struct segfs_field *field, struct segfs_table_place *place)
{
	if (strlen(field->name) > SEGFS_TABLE_NAME)
		return -ENAMETOOLONG;
	*place = (struct segfs_table_place){.name = field->name, .at = field->offset, .size = size_of(field)};
	return place->size > 0 ? 0 : -EINVAL;
}

int segfs_table_plan_fields(const struct segfs_dtype *dtype, struct segfs_table_plan *plan)
{
	plan->places = calloc(MAX(dtype->n_fields, 1u), sizeof(*plan->places));
	if (!plan->places)
		return -ENOMEM;
	for (size_t i = 0; i < dtype->n_fields; i++) {
		int r;

		if (segfs_dtype_is_padding(&dtype->fields[i]))
			continue;
		r = plan_field(&dtype->fields[i], &plan->places[plan->n_fields]);
		if (r < 0)
			return r;
		plan->n_fields++;
	}
	return plan->n_fields > 0 ? 0 : -EINVAL;
}

static bool is_name(const struct segfs_layout_field *entry, const char *name)
{
	return strncmp(entry->name, name, sizeof(entry->name)) == 0;
}

/* The values of a field: aligned, behind the entries and within the file. Subtractions cannot overflow. */
static int check_entry(const struct segfs_layout_field *entry, size_t header_size, uint64_t file_size,
		       struct segfs_table_place *place)
{
	if (!is_name(entry, place->name) || entry->size != place->size || entry->at != place->at)
		return -EINVAL;
	if (entry->offset % SEGFS_LINE || entry->stride % SEGFS_LINE || entry->stride < place->size)
		return -EINVAL;
	if (entry->offset < header_size || entry->offset > file_size ||
	    entry->stride > (file_size - entry->offset) / SEGFS_TABLE_COPIES)
		return -EINVAL;
	place->offset = entry->offset;
	place->stride = entry->stride;
	return 0;
}

static size_t end_of(const struct segfs_table_place *place)
{
	return place->offset + place->stride * SEGFS_TABLE_COPIES;
}

static int compare_places(const void *a, const void *b)
{
	const struct segfs_table_place *const *x = a, *const *y = b;

	return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

/* Does no field's value lie upon another's? Finds the end of the last as well. */
static int check_apart(struct segfs_table_plan *plan)
{
	SEGFS_FREE const struct segfs_table_place **sorted = calloc(plan->n_fields, sizeof(const void *));

	if (!sorted)
		return -ENOMEM;
	for (unsigned i = 0; i < plan->n_fields; i++)
		sorted[i] = &plan->places[i];
	qsort(sorted, plan->n_fields, sizeof(*sorted), compare_places);
	for (unsigned i = 1; i < plan->n_fields; i++) {
		if (sorted[i]->offset < end_of(sorted[i - 1]))
			return -EINVAL;
	}
	plan->end = end_of(sorted[plan->n_fields - 1]);
	return 0;
}

static int check_entries(const struct segfs_layout_field *entries, uint64_t file_size,
			 struct segfs_table_plan *plan)
{
	size_t header_size = segfs_table_header_size(plan->n_fields);

	for (unsigned i = 0; i < plan->n_fields; i++) {
		int r = check_entry(&entries[i], header_size, file_size, &plan->places[i]);

		if (r < 0)
			return r;
	}
	return check_apart(plan);
}

/* -EINVAL if there is less. */
static int read_at(int fd, void *buf, size_t size, off_t at)
{
	ssize_t n = pread(fd, buf, size, at);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EINVAL;
}

static int parse_dtype(const struct segfs_layout_table *header, struct segfs_dtype **ret_dtype)
{
	size_t len = strnlen(header->dtype, sizeof(header->dtype));
	int r;

	if (len == sizeof(header->dtype))
		return -EINVAL;
	r = segfs_dtype_parse(header->dtype, len, ret_dtype);
	return r < 0 && r != -ENOMEM ? -EINVAL : r;
}

/* All that the fixed part of the header says. */
static int check_header(const struct segfs_layout_table *header, struct segfs_table_plan *plan)
{
	int r;

	if (memcmp(header->magic, SEGFS_TABLE_MAGIC, sizeof(header->magic)) != 0 ||
	    header->version != SEGFS_TABLE_VERSION)
		return -EINVAL;
	r = parse_dtype(header, &plan->dtype);
	if (r < 0)
		return r;
	r = segfs_table_plan_fields(plan->dtype, plan);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	if (header->n_fields != plan->n_fields || header->record_size != plan->dtype->itemsize)
		return -EINVAL;
	return 0;
}

static int read_entries(int fd, uint64_t file_size, struct segfs_table_plan *plan)
{
	size_t size = plan->n_fields * sizeof(struct segfs_layout_field);
	SEGFS_FREE struct segfs_layout_field *entries = malloc(size);
	int r;

	if (!entries)
		return -ENOMEM;
	r = read_at(fd, entries, size, sizeof(struct segfs_layout_table));
	return r < 0 ? r : check_entries(entries, file_size, plan);
}

int segfs_table_plan_read(int fd, struct segfs_table_plan *ret_plan)
{
	SEGFS_CLEANUP(segfs_table_plan_clear) struct segfs_table_plan plan = {0};
	struct segfs_layout_table header;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	r = read_at(fd, &header, sizeof(header), 0);
	if (r == 0)
		r = check_header(&header, &plan);
	if (r == 0)
		r = read_entries(fd, (uint64_t)st.st_size, &plan);
	if (r < 0)
		return r;
	*ret_plan = plan;
	plan = (struct segfs_table_plan){0};
	return 0;
}
