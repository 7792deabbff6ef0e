/* SPDX-License-Identifier: MIT */
/*
 * Text and picture of a segment: a line with its dtype, one with its shape, one with order, offset and where
 * to look, and then its bytes. A text read in pieces is the text read at once.
 */
#include <segfs/segment.h>

#include "image.h"
#include "target.h"
#include "textview.h"

#define WINDOW 3000

static void read_text(const struct segfs_segment *segment, int fd, uint64_t at)
{
	SEGFS_CLEANUP(segfs_textview_clear) struct segfs_textview view = {};
	char whole[WINDOW], pieces[WINDOW];
	ssize_t n, first;

	if (segfs_textview_init(&view, segment) < 0)
		return;
	at = view.size ? at % view.size : 0;
	n = segfs_textview_read(&view, fd, whole, sizeof(whole), at);
	MUST(n <= (ssize_t)sizeof(whole));
	if (n < 2)
		return;
	MUST(memchr(whole, '\0', (size_t)n) == NULL);
	first = segfs_textview_read(&view, fd, pieces, (size_t)n / 2, at);
	MUST(first == n / 2);
	MUST(segfs_textview_read(&view, fd, pieces + first, (size_t)(n - first), at + (uint64_t)first) ==
	     n - first);
	MUST(memcmp(whole, pieces, (size_t)n) == 0);
}

static void draw_image(const struct segfs_array *array, int fd)
{
	struct segfs_image image;
	SEGFS_FREE char *png = NULL;

	if (segfs_image_init(&image, array) == 0 && image.size < FUZZ_FILE_MAX &&
	    segfs_image_render(&image, array, fd, &png) == 0)
		MUST(!memcmp(png, "\x89PNG", 4) && !memcmp(png + image.size - 8, "IEND", 4));
}

static char *take_line(char **rest, const char *end)
{
	char *line = *rest, *newline = memchr(line, '\n', (size_t)(end - line));

	if (!newline)
		return NULL;
	*newline = '\0';
	*rest = newline + 1;
	return line;
}

static int describe(const char *dtype, const char *shape, const char *rest, struct segfs_array *array,
		    unsigned long long *ret_at)
{
	unsigned long long offset = 0;
	int r = segfs_dtype_parse(dtype, strlen(dtype), &array->dtype);

	*ret_at = 0;
	sscanf(rest, "%c %llu %llu", &array->order, &offset, ret_at);
	array->offset = offset;
	return r < 0 ? r : segfs_shape_parse(shape, strlen(shape), array->shape, &array->ndim);
}

/* A file of these bytes is described by what fits it; and once more as one that has become shorter since. */
static void look(struct segfs_segment *segment, const char *bytes, size_t size, uint64_t at)
{
	SEGFS_CLOSE int fd = fuzz_file(bytes, size);

	segment->size = size;
	if (segfs_array_fits(&segment->array, size) < 0)
		segment->kind = SEGFS_KIND_RAW;
	read_text(segment, fd, at);
	if (segment->kind == SEGFS_KIND_RAW)
		return;
	draw_image(&segment->array, fd);
	MUST(ftruncate(fd, (off_t)size / 2) == 0);
	draw_image(&segment->array, fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SEGFS_CLEANUP(segfs_segment_clear)
	struct segfs_segment segment = {.kind = SEGFS_KIND_ARRAY, .array.order = 'C'};
	SEGFS_FREE char *text = rest_copy(&(struct input){data, size});
	char *rest = text, *end = text + size, *dtype, *shape, *places;
	unsigned long long at;

	dtype = size ? take_line(&rest, end) : NULL;
	shape = dtype ? take_line(&rest, end) : NULL;
	places = shape ? take_line(&rest, end) : NULL;
	if (places && describe(dtype, shape, places, &segment.array, &at) == 0)
		look(&segment, rest, (size_t)(end - rest), at);
	return 0;
}
