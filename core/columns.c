/* SPDX-License-Identifier: MIT */
#include "columns.h"

#include <inttypes.h>
#include <stdio.h>

#include "dtype-internal.h"
#include "repr.h"
#include "utf8.h"
#include "util.h"

/* The first name has the comment sign and a blank before it. */
#define FIRST_INDENT 2

/* What init carries down the nested structures. */
struct builder {
	struct segfs_columns *columns;
	size_t indent; /* of the next column */
};

static int add_groups(struct builder *builder, struct segfs_group *group, const struct segfs_dtype *structure,
		      size_t name_width);

static void put_escaped(struct segfs_text *out, const char *text)
{
	size_t left = strlen(text), length;
	uint32_t code;

	for (; (length = segfs_utf8_decode(text, left, &code)) > 0; text += length, left -= length) {
		if (code == '\\')
			segfs_text_put(out, "\\\\", 2);
		else if (code == ' ' || !segfs_repr_is_printable(code))
			segfs_repr_put_escape(out, code);
		else
			segfs_text_put(out, text, length);
	}
}

static void put_index(struct segfs_text *out, const struct segfs_field *field, uint64_t index)
{
	uint64_t below = 1;

	for (unsigned i = 1; i < field->ndim; i++)
		below *= field->shape[i];
	for (unsigned i = 0; i < field->ndim; i++) {
		segfs_text_printf(out, "%c%" PRIu64, i == 0 ? '[' : ',', index / below % field->shape[i]);
		below /= i + 1 < field->ndim ? field->shape[i + 1] : 1;
	}
	if (field->ndim > 0)
		segfs_text_put(out, "]", 1);
}

void segfs_columns_put_name(struct segfs_text *out, const struct segfs_place *place)
{
	if (place->outer)
		segfs_columns_put_name(out, place->outer);
	if (!place->group->field)
		return;
	if (out->len > 0)
		segfs_text_put(out, ".", 1);
	put_escaped(out, place->group->field->name);
	put_index(out, place->group->field, place->index);
}

/* The last item has the longest name. */
static size_t name_width(const struct segfs_group *group, size_t outer_width)
{
	struct segfs_text text = segfs_text_start(NULL, 0);
	struct segfs_place last = {.group = group, .index = group->count - 1};

	segfs_columns_put_name(&text, &last);
	return text.len + (outer_width > 0 ? outer_width + strlen(".") : 0);
}

static int add_cell(struct builder *builder, struct segfs_group *group, const struct segfs_dtype *dtype,
		    size_t name_width)
{
	struct segfs_columns *columns = builder->columns;
	size_t least = name_width > 0 ? name_width + builder->indent : 0;
	int r = segfs_cell_init(&group->cell, dtype);

	if (r < 0)
		return r;
	if (least > SEGFS_CELL_WIDTH_MAX)
		return -EOVERFLOW;
	builder->indent = 0;
	group->cell.width = MAX(group->cell.width, least);
	group->text_size = group->cell.width + 1;
	columns->widest = MAX(columns->widest, group->cell.width);
	columns->largest = MAX(columns->largest, dtype->itemsize);
	return 0;
}

/* All items of a group, in its text_size already. 0 or -EOVERFLOW. */
static int measure(const struct segfs_group *group, uint64_t *ret_text_size)
{
	int64_t size;

	if (__builtin_mul_overflow(group->count, group->text_size, &size))
		return -EOVERFLOW;
	*ret_text_size = (uint64_t)size;
	return 0;
}

/* 0 or -EOVERFLOW: a structure of no bytes can repeat as often as it likes. */
static int count_items(const struct segfs_field *field, uint64_t *ret_count)
{
	int64_t count = 1;

	for (unsigned i = 0; i < field->ndim; i++) {
		if (field->shape[i] == 0) {
			*ret_count = 0;
			return 0;
		}
	}
	for (unsigned i = 0; i < field->ndim; i++) {
		if (__builtin_mul_overflow(count, field->shape[i], &count))
			return -EOVERFLOW;
	}
	*ret_count = (uint64_t)count;
	return 0;
}

static int add_items(struct builder *builder, struct segfs_group *group, const struct segfs_dtype *dtype,
		     size_t name_width)
{
	group->stride = dtype->itemsize;
	return dtype->n_fields > 0 ? add_groups(builder, group, dtype, name_width)
				   : add_cell(builder, group, dtype, name_width);
}

/* Appended to its structure's groups, which have room for it. A group without columns is left out again. */
static int add_field(struct builder *builder, struct segfs_group *structure, const struct segfs_field *field,
		     size_t outer_width)
{
	struct segfs_group *group = &structure->groups[structure->n_groups];
	uint64_t size;
	int r;

	*group = (struct segfs_group){.offset = field->offset, .field = field};
	r = count_items(field, &group->count);
	if (r < 0 || group->count == 0)
		return r;
	structure->n_groups++;
	r = add_items(builder, group, field->dtype, name_width(group, outer_width));
	if (r < 0)
		return r;
	r = measure(group, &size);
	if (r < 0)
		return r;
	if (size == 0) {
		free(group->groups);
		structure->n_groups--;
	}
	structure->text_size += size;
	return structure->text_size > INT64_MAX ? -EOVERFLOW : 0;
}

static int add_groups(struct builder *builder, struct segfs_group *group, const struct segfs_dtype *structure,
		      size_t name_width)
{
	group->groups = calloc(structure->n_fields, sizeof(*group->groups));
	if (!group->groups)
		return -ENOMEM;
	for (size_t i = 0; i < structure->n_fields; i++) {
		int r = 0;

		if (!segfs_dtype_is_padding(&structure->fields[i]))
			r = add_field(builder, group, &structure->fields[i], name_width);
		if (r < 0)
			return r;
	}
	return 0;
}

static void clear_group(struct segfs_group *group)
{
	for (size_t i = 0; i < group->n_groups; i++)
		clear_group(&group->groups[i]);
	free(group->groups);
}

void segfs_columns_clear(struct segfs_columns *columns)
{
	clear_group(&columns->all);
	*columns = (struct segfs_columns){};
}

static uint64_t element_bytes(const struct segfs_group *group)
{
	uint64_t bytes = 0;

	if (!group->groups)
		return group->count * group->stride;
	for (size_t i = 0; i < group->n_groups; i++)
		bytes += element_bytes(&group->groups[i]);
	return group->count * bytes;
}

int segfs_columns_init(struct segfs_columns *ret_columns, const struct segfs_dtype *dtype, uint64_t count)
{
	SEGFS_CLEANUP(segfs_columns_clear) struct segfs_columns columns = {.all.count = count};
	struct builder builder = {.columns = &columns, .indent = FIRST_INDENT};
	int r = add_items(&builder, &columns.all, dtype, 0);

	if (r == 0)
		r = measure(&columns.all, &columns.text_size);
	if (r < 0)
		return r;
	columns.element_bytes = element_bytes(&columns.all);
	*ret_columns = columns;
	columns = (struct segfs_columns){};
	return 0;
}

struct walk {
	uint64_t from, to;
	segfs_columns_visit visit;
	void *context;
};

static int walk_group(const struct walk *walk, const struct segfs_place *outer,
		      const struct segfs_group *group, uint64_t text, uint64_t byte);

static int walk_item(const struct walk *walk, const struct segfs_place *place, uint64_t text, uint64_t byte)
{
	const struct segfs_group *group = place->group;
	int r = 0;

	if (!group->groups)
		return walk->visit(walk->context, place, text, byte);
	for (size_t i = 0; i < group->n_groups && r >= 0; i++) {
		const struct segfs_group *inner = &group->groups[i];

		r = walk_group(walk, place, inner, text, byte + inner->offset);
		text += inner->count * inner->text_size;
	}
	return r;
}

/* Items before `from` are jumped over. */
static int walk_group(const struct walk *walk, const struct segfs_place *outer,
		      const struct segfs_group *group, uint64_t text, uint64_t byte)
{
	struct segfs_place place = {.outer = outer, .group = group};
	int r = 0;

	if (text < walk->from)
		place.index = (walk->from - text) / group->text_size;
	for (; place.index < group->count && r >= 0; place.index++) {
		uint64_t item_text = text + place.index * group->text_size;

		if (item_text >= walk->to)
			break;
		r = walk_item(walk, &place, item_text, byte + place.index * group->stride);
	}
	return r;
}

int segfs_columns_walk(const struct segfs_columns *columns, uint64_t from, uint64_t to,
		       segfs_columns_visit visit, void *context)
{
	struct walk walk = {.from = from, .to = to, .visit = visit, .context = context};

	return columns->text_size > 0 ? walk_group(&walk, NULL, &columns->all, 0, 0) : 0;
}
