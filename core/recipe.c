/* SPDX-License-Identifier: MIT */
#include "recipe.h"

#include <stdbool.h>

#include <segfs/ring.h>
#include <segfs/slots.h>
#include <segfs/table.h>

#include "dtype-internal.h"
#include "util.h"

/* Text that is read word by word. */
struct words {
	const char *next, *end;
};

struct word {
	const char *text;
	size_t len; /* 0: there is none */
};

/* What the words say. */
struct recipe {
	uint64_t count; /* 0: not said */
	bool has_shape;
	unsigned ndim;
	uint64_t shape[SEGFS_MAX_NDIM];
	struct segfs_dtype *dtype; /* owned */
};

static void recipe_clear(struct recipe *recipe)
{
	segfs_dtype_free(recipe->dtype);
}

static struct word next_word(struct words *in)
{
	struct word word;

	while (in->next < in->end && *in->next == ' ')
		in->next++;
	word.text = in->next;
	while (in->next < in->end && *in->next != ' ')
		in->next++;
	word.len = (size_t)(in->next - word.text);
	return word;
}

static bool is(struct word word, const char *name)
{
	return word.len == strlen(name) && !memcmp(word.text, name, word.len);
}

/* Of what kind the dtype is no dtype, nobody needs to know: of the attribute it is a wrong value. */
static int parse_dtype(const char *text, size_t len, struct segfs_dtype **ret_dtype)
{
	int r = segfs_dtype_parse(text, len, ret_dtype);

	return r < 0 && r != -ENOMEM ? -EINVAL : r;
}

static int parse_count(struct word word, struct recipe *recipe)
{
	uint64_t count = 0;

	if (recipe->count > 0)
		return -EINVAL;
	for (size_t i = 0; i < word.len; i++) {
		if (word.text[i] < '0' || word.text[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(count, 10, &count) ||
		    __builtin_add_overflow(count, (uint64_t)(word.text[i] - '0'), &count))
			return -EINVAL;
	}
	recipe->count = count;
	return count > 0 ? 0 : -EINVAL;
}

static int parse_shape(struct word word, struct recipe *recipe)
{
	int r;

	if (recipe->has_shape || word.len == 0)
		return -EINVAL;
	recipe->has_shape = true;
	r = segfs_shape_parse(word.text, word.len, recipe->shape, &recipe->ndim);
	return r < 0 && r != -ENOMEM ? -EINVAL : r;
}

/* All from `capacity` or `workers`, which is called `count` here, to the end. */
static int parse(struct words *in, const char *count, struct recipe *recipe)
{
	int r = 0;

	while (r == 0) {
		struct word word = next_word(in);

		if (is(word, "dtype"))
			break;
		if (is(word, count))
			r = parse_count(next_word(in), recipe);
		else if (is(word, "shape"))
			r = parse_shape(next_word(in), recipe);
		else
			r = -EINVAL;
	}
	if (r == 0 && recipe->count == 0)
		r = -EINVAL;
	return r < 0 ? r : parse_dtype(in->next, (size_t)(in->end - in->next), &recipe->dtype);
}

static int format_ring(int fd, const struct recipe *recipe, unsigned policy)
{
	size_t size = segfs_dtype_format(recipe->dtype, NULL, 0) + 1;
	SEGFS_FREE char *dtype = malloc(size);

	if (!dtype)
		return -ENOMEM;
	segfs_dtype_format(recipe->dtype, dtype, size);
	return segfs_ring_format(fd, dtype, recipe->shape, recipe->ndim, recipe->count, policy);
}

int segfs_recipe_ring(int fd, const char *text, size_t len)
{
	SEGFS_CLEANUP(recipe_clear) struct recipe recipe = {};
	struct words in = {.next = text, .end = text + len};
	struct word policy = next_word(&in);
	int r;

	if (!is(policy, "block") && !is(policy, "overwrite"))
		return -EINVAL;
	r = parse(&in, "capacity", &recipe);
	if (r < 0)
		return r;
	return format_ring(fd, &recipe, is(policy, "block") ? SEGFS_RING_BLOCK : SEGFS_RING_OVERWRITE);
}

int segfs_recipe_table(int fd, const char *text, size_t len)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	int r = parse_dtype(text, len, &dtype);

	return r < 0 ? r : segfs_table_format(fd, dtype);
}

int segfs_recipe_slots(int fd, const char *text, size_t len)
{
	SEGFS_CLEANUP(recipe_clear) struct recipe recipe = {};
	struct words in = {.next = text, .end = text + len};
	int r = parse(&in, "workers", &recipe);

	if (r < 0)
		return r;
	return segfs_slots_format(fd, recipe.dtype, recipe.shape, recipe.ndim, recipe.count);
}
