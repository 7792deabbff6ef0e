/* SPDX-License-Identifier: MIT */
#include "raster.h"

#include <math.h>

#include "array-read.h"
#include "element.h"
#include "util.h"

/* Bytes read at once; and samples farther apart than GAP_MAX are read one by one, not with all between them.
 */
#define PIECE_SIZE 65536
#define GAP_MAX	   4096
#define BAND_SIZE  (1u << 22)

/* A row (C) or a column (F) of samples as they follow each other in the file, in elements, and in the pixels.
 */
struct line {
	uint64_t first;
	uint64_t stride; /* from a sample to the next */
	size_t run;	 /* of a sample: the channels of a pixel, or 1 */
	size_t n;	 /* samples */
	size_t out;	 /* where the first one goes, bytes */
	size_t out_stride;
};

struct segfs_raster_reader {
	const struct segfs_raster *raster; /* borrowed from the caller, as is the array */
	const struct segfs_array *array;
	int fd; /* borrowed as well */
	void (*take)(struct segfs_raster_reader *reader, const struct line *line, size_t at, size_t n);
	long double min, max;
	long double unit;      /* 0.5 where max - min is too large a number, else 1 */
	unsigned char *pixels; /* borrowed during a read; NULL where it is for the extremes */
	unsigned char piece[PIECE_SIZE];
};

static unsigned channels_of(const struct segfs_array *array)
{
	bool is_byte = array->dtype->kind == SEGFS_UINT && array->dtype->itemsize == 1;

	if (array->ndim == 2 && segfs_element_is_real(array->dtype))
		return 1;
	if (array->ndim == 3 && is_byte && (array->shape[2] == 3 || array->shape[2] == 4))
		return (unsigned)array->shape[2];
	return 0;
}

static uint64_t ceil_div(uint64_t a, uint64_t b)
{
	return a / b + (a % b != 0);
}

static bool step_fits(uint64_t height, uint64_t width, uint64_t step)
{
	uint64_t h = ceil_div(height, step), w = ceil_div(width, step);

	return h <= SEGFS_RASTER_SIDE_MAX && w <= SEGFS_RASTER_SIDE_MAX && h * w <= SEGFS_RASTER_PIXELS_MAX;
}

/* The smallest step that fits, by bisection: whatever is larger fits as well. */
static uint64_t find_step(uint64_t height, uint64_t width)
{
	uint64_t low = 1, high = MAX(height, width);

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (step_fits(height, width, middle))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

int segfs_raster_init(const struct segfs_array *array, struct segfs_raster *ret_raster)
{
	struct segfs_raster raster = {.channels = channels_of(array)};
	uint64_t n_elements, n_bytes;

	if (raster.channels == 0 || segfs_array_count(array, &n_elements, &n_bytes) < 0 || n_elements == 0)
		return -ENOTSUP;
	raster.step = find_step(array->shape[0], array->shape[1]);
	raster.height = (uint32_t)ceil_div(array->shape[0], raster.step);
	raster.width = (uint32_t)ceil_div(array->shape[1], raster.step);
	*ret_raster = raster;
	return 0;
}

uint32_t segfs_raster_band(const struct segfs_raster *raster)
{
	return MIN(raster->height, MAX(1, BAND_SIZE / (raster->width * raster->channels)));
}

/* An infinity minus itself is NaN; so is whatever is computed from NaN or from x87's invalid encodings. */
static bool is_finite(long double value)
{
	return value - value == 0;
}

static void take_extremes(struct segfs_raster_reader *reader, const struct line *line, size_t at, size_t n)
{
	size_t stride = line->stride * reader->array->dtype->itemsize;

	for (size_t i = 0; i < n; i++) {
		long double value = segfs_element_real(reader->array->dtype, reader->piece + i * stride);

		if (!is_finite(value))
			continue;
		if (value < reader->min)
			reader->min = value;
		if (value > reader->max)
			reader->max = value;
	}
}

/* A value can be anything by now, also where it was finite before; NaN is not larger than the smallest. */
static unsigned char scale(const struct segfs_raster_reader *reader, long double value)
{
	long double unit = reader->unit, low = reader->min * unit;

	if (!(value > reader->min))
		return 0;
	if (value >= reader->max)
		return 255;
	/* As a double first: x87 is slow to make integers. */
	return (unsigned char)((double)((value * unit - low) / (reader->max * unit - low)) * 255 + 0.5);
}

static void take_scaled(struct segfs_raster_reader *reader, const struct line *line, size_t at, size_t n)
{
	size_t stride = line->stride * reader->array->dtype->itemsize;
	unsigned char *out = reader->pixels + line->out + at * line->out_stride;

	for (size_t i = 0; i < n; i++, out += line->out_stride)
		*out = scale(reader, segfs_element_real(reader->array->dtype, reader->piece + i * stride));
}

static void take_bool(struct segfs_raster_reader *reader, const struct line *line, size_t at, size_t n)
{
	unsigned char *out = reader->pixels + line->out + at * line->out_stride;

	for (size_t i = 0; i < n; i++, out += line->out_stride)
		*out = reader->piece[i * line->stride] != 0 ? 255 : 0;
}

static void take_bytes(struct segfs_raster_reader *reader, const struct line *line, size_t at, size_t n)
{
	unsigned char *out = reader->pixels + line->out + at * line->out_stride;

	if (line->stride == line->run && line->out_stride == line->run) {
		memcpy(out, reader->piece, n * line->run);
		return;
	}
	for (size_t i = 0; i < n; i++, out += line->out_stride)
		memcpy(out, reader->piece + i * line->stride, line->run);
}

/* Samples that one pread(2) fetches. */
static size_t samples_at_once(const struct line *line, size_t itemsize)
{
	return line->stride > GAP_MAX / itemsize ? 1 : PIECE_SIZE / (line->stride * itemsize);
}

static int read_line(struct segfs_raster_reader *reader, const struct line *line)
{
	size_t most = samples_at_once(line, reader->array->dtype->itemsize);

	for (size_t at = 0; at < line->n; at += most) {
		size_t n = MIN(most, line->n - at);
		int r = segfs_array_read(reader->array, reader->fd, line->first + at * line->stride,
					 (n - 1) * line->stride + line->run, reader->piece);

		if (r < 0)
			return r;
		reader->take(reader, line, at, n);
	}
	return 0;
}

/* Elements are in the order row, column, channel. */
static int read_c(struct segfs_raster_reader *reader, uint32_t row, uint32_t n)
{
	const struct segfs_raster *raster = reader->raster;
	uint64_t row_elements = reader->array->shape[1] * raster->channels;
	struct line line = {
		.stride = raster->step * raster->channels,
		.run = raster->channels,
		.n = raster->width,
		.out_stride = raster->channels,
	};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		line.first = (row + i) * raster->step * row_elements;
		r = read_line(reader, &line);
		line.out += (size_t)raster->width * raster->channels;
	}
	return r;
}

/* Elements are in the order channel, column, row: each column gives a few pixels of its own. */
static int read_f(struct segfs_raster_reader *reader, uint32_t row, uint32_t n)
{
	const struct segfs_raster *raster = reader->raster;
	const uint64_t *shape = reader->array->shape;
	struct line line = {
		.stride = raster->step,
		.run = 1,
		.n = n,
		.out_stride = (size_t)raster->width * raster->channels,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < line.out_stride; i++) {
		uint64_t channel = i / raster->width, column = i % raster->width;

		line.first = (channel * shape[1] + column * raster->step) * shape[0] + row * raster->step;
		line.out = column * raster->channels + channel;
		r = read_line(reader, &line);
	}
	return r;
}

static int read_rows(struct segfs_raster_reader *reader, uint32_t row, uint32_t n)
{
	return reader->array->order == 'F' ? read_f(reader, row, n) : read_c(reader, row, n);
}

int segfs_raster_read(struct segfs_raster_reader *reader, uint32_t row, uint32_t n, unsigned char *ret_pixels)
{
	reader->pixels = ret_pixels;
	return read_rows(reader, row, n);
}

static int find_extremes(struct segfs_raster_reader *reader)
{
	uint32_t height = reader->raster->height, band = segfs_raster_band(reader->raster);
	int r = 0;

	reader->min = INFINITY;
	reader->max = -INFINITY;
	reader->take = take_extremes;
	for (uint32_t row = 0; r == 0 && row < height; row += band)
		r = read_rows(reader, row, MIN(band, height - row));
	if (reader->min > reader->max)
		reader->min = reader->max = 0; /* nothing is finite */
	reader->unit = is_finite(reader->max - reader->min) ? 1 : 0.5L;
	return r;
}

/* How samples become pixels; that of numbers has to know the extremes first. */
static int choose_take(struct segfs_raster_reader *reader)
{
	const struct segfs_dtype *dtype = reader->array->dtype;
	int r = 0;

	if (dtype->kind == SEGFS_BOOL) {
		reader->take = take_bool;
	} else if (dtype->kind == SEGFS_UINT && dtype->itemsize == 1) {
		reader->take = take_bytes;
	} else {
		r = find_extremes(reader);
		reader->take = take_scaled;
	}
	return r;
}

struct segfs_raster_reader *segfs_raster_free(struct segfs_raster_reader *reader)
{
	free(reader);
	return NULL;
}

int segfs_raster_open(const struct segfs_raster *raster, const struct segfs_array *array, int fd,
		      struct segfs_raster_reader **ret_reader)
{
	SEGFS_FREE struct segfs_raster_reader *reader = malloc(sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->raster = raster;
	reader->array = array;
	reader->fd = fd;
	r = choose_take(reader);
	if (r == 0)
		*ret_reader = steal_pointer(&reader);
	return r;
}
