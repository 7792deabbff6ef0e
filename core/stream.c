/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include <assert.h>
#include <stdbool.h>

#include "array-read.h"
#include "util.h"

/* What lies between two pieces is read with them if it is at most this long: cheaper than another pread(). */
#define GAP_MAX	    4096
#define WINDOW_SIZE (16 * 1024)

/* A piece of the file, so that neighbouring elements take one pread(2). */
struct window {
	int fd;
	uint64_t start;
	size_t len;
	char buf[WINDOW_SIZE];
};

/* Elements on their way from the file of an array in F order to C order. */
struct gather {
	const struct segfs_array *array;
	struct window window;
	char *out;
	uint64_t first; /* the index in C order of the element at `out` */
};

/* Some of them: every inner-th in C order, and so all along one axis. */
struct run {
	uint64_t first, count, inner;
	uint64_t distance; /* in the file, from one to the next, in bytes */
	uint64_t end;	   /* how far to read ahead, a place in the file */
};

static int read_file(int fd, uint64_t at, size_t n, void *ret_bytes)
{
	struct segfs_dtype byte = {.kind = SEGFS_VOID, .itemsize = 1};
	struct segfs_array file = {.dtype = &byte, .order = 'C'};

	return segfs_array_read(&file, fd, at, n, ret_bytes);
}

static int window_get(struct window *window, uint64_t at, size_t n, uint64_t end, void *ret_bytes)
{
	size_t len = MIN(MAX(end, at + n) - at, sizeof(window->buf));
	int r;

	if (n > sizeof(window->buf))
		return read_file(window->fd, at, n, ret_bytes);
	if (at < window->start || at + n > window->start + window->len) {
		r = read_file(window->fd, at, len, window->buf);
		if (r < 0)
			return r;
		window->start = at;
		window->len = len;
	}
	memcpy(ret_bytes, window->buf + (at - window->start), n);
	return 0;
}

/* The place in the file of an element, by its index in C order. The first axis is the fastest there. */
static uint64_t place_of(const struct segfs_array *array, uint64_t index)
{
	uint64_t place = 0;

	for (unsigned i = array->ndim; i-- > 0;) {
		place = place * array->shape[i] + index % array->shape[i];
		index /= array->shape[i];
	}
	return array->offset + place * array->dtype->itemsize;
}

static int gather_run(struct gather *gather, const struct run *run)
{
	size_t itemsize = gather->array->dtype->itemsize;
	uint64_t at = place_of(gather->array, run->first);
	char *out = gather->out + (run->first - gather->first) * itemsize;
	bool is_sparse = run->distance - itemsize > GAP_MAX;

	for (uint64_t i = 0; i < run->count; i++) {
		uint64_t end = is_sparse ? at + itemsize : run->end;
		int r = window_get(&gather->window, at, itemsize, end, out);

		if (r < 0)
			return r;
		at += run->distance;
		out += run->inner * itemsize;
	}
	return 0;
}

/*
 * Elements first..last, which differ along an axis of which one step is `inner` elements in C order and
 * `distance` bytes in the file. All with the same place below that axis are one run; whether the next run
 * begins soon after it, the distance along the last axis tells.
 */
static int gather_runs(struct gather *gather, uint64_t first, uint64_t last, uint64_t inner,
		       uint64_t distance)
{
	const struct segfs_array *array = gather->array;
	uint64_t elements = 0, bytes = 0, to_next;

	segfs_array_count(array, &elements, &bytes);
	to_next = bytes / array->shape[array->ndim - 1];
	for (uint64_t i = 0; i < inner; i++) {
		uint64_t from = first / inner + (i < first % inner), to = last / inner - (i > last % inner);
		struct run run = {from * inner + i, to - from + 1, inner, distance, array->offset + bytes};
		int r;

		if (inner == 1 || to_next > run.count * distance + GAP_MAX)
			run.end = place_of(array, run.first) + run.count * distance;
		run.end = MIN(run.end, array->offset + bytes);
		r = gather_run(gather, &run);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Any elements first..last. They are looked at along the first axis on which they differ, as it is the
 * fastest in the file. Of three steps along it the middle one is complete; two can be far from that, as the
 * end of one row and the beginning of the next, and are gathered each by itself.
 */
static int gather(struct gather *work, uint64_t first, uint64_t last)
{
	const struct segfs_array *array = work->array;
	uint64_t inner = 1, distance = array->dtype->itemsize, boundary;
	unsigned axis = 0;
	int r;

	for (unsigned i = 0; i < array->ndim; i++)
		inner *= array->shape[i];
	do {
		inner /= array->shape[axis];
		if (first / inner != last / inner || inner == 1)
			break;
		distance *= array->shape[axis++];
	} while (true);
	if (inner == 1 || last / inner - first / inner > 1)
		return gather_runs(work, first, last, inner, distance);
	boundary = last / inner * inner;
	r = gather(work, first, boundary - 1);
	return r < 0 ? r : gather(work, boundary, last);
}

static int gather_elements(const struct segfs_stream *stream, uint64_t first, uint64_t count)
{
	struct gather work = {.array = stream->array, .out = stream->buf, .first = first};

	work.window.fd = stream->fd;
	return gather(&work, first, first + count - 1);
}

/* Within one element. */
static int read_part(struct segfs_stream *stream, uint64_t at, size_t len)
{
	size_t itemsize = stream->array->dtype->itemsize;
	uint64_t place = place_of(stream->array, at / itemsize) + at % itemsize;

	return read_file(stream->fd, place, len, stream->buf);
}

static bool is_contiguous(const struct segfs_array *array)
{
	return !array || array->order == 'C' || array->ndim < 2;
}

/* At most `len` bytes into the buffer: fewer where they do not lie together. */
static int fill(struct segfs_stream *stream, uint64_t at, size_t len)
{
	uint64_t offset = stream->array ? stream->array->offset : 0;
	size_t itemsize = stream->array ? stream->array->dtype->itemsize : 1;
	int r;

	if (is_contiguous(stream->array)) {
		r = read_file(stream->fd, offset + at, len, stream->buf);
	} else if (at % itemsize != 0 || len < itemsize) {
		len = MIN(len, itemsize - at % itemsize);
		r = read_part(stream, at, len);
	} else {
		len -= len % itemsize;
		r = gather_elements(stream, at / itemsize, len / itemsize);
	}
	stream->start = at;
	stream->len = r < 0 ? 0 : len;
	return r;
}

int segfs_stream_get(struct segfs_stream *stream, uint64_t at, size_t n, uint64_t end, const void **ret_bytes)
{
	assert(n <= stream->size);
	if (n > 0 && (at < stream->start || at + n > stream->start + stream->len)) {
		int r = fill(stream, at, MIN(MAX(end, at + n) - at, stream->size));

		if (r < 0)
			return r;
	}
	*ret_bytes = n > 0 ? stream->buf + (at - stream->start) : stream->buf;
	return 0;
}

int segfs_stream_init(struct segfs_stream *ret_stream, const struct segfs_array *array, int fd, size_t size)
{
	char *buf = malloc(MAX(size, 1));

	if (!buf)
		return -ENOMEM;
	*ret_stream = (struct segfs_stream){.array = array, .fd = fd, .buf = buf, .size = size};
	return 0;
}

void segfs_stream_clear(struct segfs_stream *stream)
{
	free_pointer(&stream->buf);
}
