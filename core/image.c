/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <inttypes.h>
#include <png.h>
#include <stdio.h>

#include "text.h"
#include "util.h"

#define SIGNATURE_SIZE	 8
#define CHUNK_SIZE	 12 /* length, type and checksum */
#define IHDR_SIZE	 (CHUNK_SIZE + 13)
#define IEND_SIZE	 CHUNK_SIZE
#define IDAT_DATA	 65536 /* bytes of the zlib stream in one chunk */
#define SOFTWARE	 "segfs"
#define DESCRIPTION_SIZE 256 /* of a scalar dtype, three lengths and two steps */

/* A private chunk, of no meaning to others, that editors may copy. */
static const png_byte padding_type[] = "paDd";

/* What is being written, and where to. */
struct writer {
	png_structp png;
	png_infop info;
	char *bytes;
	size_t size, len;
	int error; /* what it means if libpng gives up */
};

static void describe(const struct segfs_raster *raster, const struct segfs_array *array,
		     char ret_text[DESCRIPTION_SIZE])
{
	char dtype[DESCRIPTION_SIZE / 4], shape[DESCRIPTION_SIZE / 2];
	struct segfs_text out = segfs_text_start(ret_text, DESCRIPTION_SIZE);

	segfs_dtype_format(array->dtype, dtype, sizeof(dtype));
	segfs_shape_format(array->shape, array->ndim, shape, sizeof(shape));
	segfs_text_printf(&out, "dtype %s, shape %s", dtype, shape);
	if (raster->step > 1)
		segfs_text_printf(&out, ", of which rows and columns 0, %" PRIu64 ", %" PRIu64 ", ...",
				  raster->step, 2 * raster->step);
}

static uint64_t text_size(const char *key, const char *text)
{
	return CHUNK_SIZE + strlen(key) + 1 + strlen(text);
}

/*
 * The most that the pixels can take. zlib gives a stored block 5 bytes of its own and the stream 6; the
 * blocks are as long as its window or longer (32 kB; small pictures have a smaller window, which holds them
 * whole), far from the 1,280 bytes that a 256th allows for.
 */
static uint64_t idat_bound(const struct segfs_raster *raster)
{
	uint64_t raw = raster->height * (1 + (uint64_t)raster->width * raster->channels);
	uint64_t stream = raw + raw / 256 + 64;

	return stream + (stream / IDAT_DATA + 1) * CHUNK_SIZE;
}

int segfs_image_init(struct segfs_image *ret_image, const struct segfs_array *array)
{
	char description[DESCRIPTION_SIZE];
	struct segfs_image image;
	int r;

	r = segfs_raster_init(array, &image.raster);
	if (r < 0)
		return r;
	describe(&image.raster, array, description);
	image.size = SIGNATURE_SIZE + IHDR_SIZE + text_size("Software", SOFTWARE) +
		     text_size("Description", description) + idat_bound(&image.raster) + CHUNK_SIZE +
		     IEND_SIZE;
	*ret_image = image;
	return 0;
}

static PNG_NORETURN void give_up(png_structp png, png_const_charp message)
{
	png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp message)
{
}

static void append(png_structp png, png_bytep bytes, size_t len)
{
	struct writer *writer = png_get_io_ptr(png);

	if (len > writer->size - writer->len) {
		writer->error = -EIO;
		png_error(png, "longer than it can be");
	}
	memcpy(writer->bytes + writer->len, bytes, len);
	writer->len += len;
}

static void flush(png_structp png)
{
}

static void write_texts(const struct writer *writer, const struct segfs_raster *raster,
			const struct segfs_array *array)
{
	char description[DESCRIPTION_SIZE], software[] = SOFTWARE;
	char software_key[] = "Software", description_key[] = "Description";
	png_text texts[] = {
		{.compression = PNG_TEXT_COMPRESSION_NONE, .key = software_key, .text = software},
		{.compression = PNG_TEXT_COMPRESSION_NONE, .key = description_key, .text = description},
	};

	describe(raster, array, description);
	png_set_text(writer->png, writer->info, texts, COUNT_OF(texts));
}

static void write_head(const struct writer *writer, const struct segfs_raster *raster,
		       const struct segfs_array *array)
{
	static const int color_types[] = {
		[1] = PNG_COLOR_TYPE_GRAY, [3] = PNG_COLOR_TYPE_RGB, [4] = PNG_COLOR_TYPE_RGB_ALPHA};

	png_set_compression_level(writer->png, 0);
	png_set_compression_buffer_size(writer->png, IDAT_DATA);
	png_set_filter(writer->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
	png_set_IHDR(writer->png, writer->info, raster->width, raster->height, 8,
		     color_types[raster->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
		     PNG_FILTER_TYPE_DEFAULT);
	write_texts(writer, raster, array);
	png_write_info(writer->png, writer->info);
}

static int write_pixels(const struct writer *writer, const struct segfs_raster *raster,
			struct segfs_raster_reader *reader, unsigned char *band)
{
	uint32_t most = segfs_raster_band(raster);

	for (uint32_t row = 0; row < raster->height; row += most) {
		uint32_t n = MIN(most, raster->height - row);
		int r = segfs_raster_read(reader, row, n, band);

		if (r < 0)
			return r;
		for (uint32_t i = 0; i < n; i++)
			png_write_row(writer->png, band + (size_t)i * raster->width * raster->channels);
	}
	return 0;
}

/* Fills what is left but for the last chunk. */
static void write_padding(struct writer *writer)
{
	static const png_byte zeros[4096];
	size_t left = writer->size - writer->len;

	if (left < CHUNK_SIZE + IEND_SIZE) {
		writer->error = -EIO;
		png_error(writer->png, "no room for the padding");
	}
	left -= CHUNK_SIZE + IEND_SIZE;
	png_write_chunk_start(writer->png, padding_type, (png_uint_32)left);
	for (size_t n; left > 0; left -= n) {
		n = MIN(left, sizeof(zeros));
		png_write_chunk_data(writer->png, zeros, n);
	}
	png_write_chunk_end(writer->png);
}

/*
 * libpng reports errors by a jump back to here. It runs no cleanup on its way, so neither this function nor
 * what it calls between here and libpng owns anything.
 */
static int write_png(struct writer *writer, const struct segfs_raster *raster,
		     const struct segfs_array *array, struct segfs_raster_reader *reader, unsigned char *band)
{
	int r;

	if (setjmp(png_jmpbuf(writer->png)) != 0)
		return writer->error;
	write_head(writer, raster, array);
	r = write_pixels(writer, raster, reader, band);
	if (r < 0)
		return r;
	write_padding(writer);
	png_write_end(writer->png, NULL);
	return 0;
}

static void end_writer(struct writer *writer)
{
	png_destroy_write_struct(&writer->png, &writer->info);
	free(writer->bytes);
}

static int begin_writer(struct writer *writer, uint64_t size)
{
	*writer = (struct writer){.size = size, .error = -ENOMEM};
	writer->bytes = malloc(size);
	writer->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, give_up, ignore);
	if (writer->png)
		writer->info = png_create_info_struct(writer->png);
	if (!writer->bytes || !writer->info)
		return -ENOMEM;
	png_set_write_fn(writer->png, writer, append, flush);
	return 0;
}

static void free_reader(struct segfs_raster_reader **reader)
{
	*reader = segfs_raster_free(*reader);
}

int segfs_image_render(const struct segfs_image *image, const struct segfs_array *array, int fd,
		       char **ret_png)
{
	const struct segfs_raster *raster = &image->raster;
	SEGFS_CLEANUP(free_reader) struct segfs_raster_reader *reader = NULL;
	SEGFS_FREE unsigned char *band =
		malloc((size_t)segfs_raster_band(raster) * raster->width * raster->channels);
	SEGFS_CLEANUP(end_writer) struct writer writer = {};
	int r;

	if (!band)
		return -ENOMEM;
	r = begin_writer(&writer, image->size);
	if (r == 0)
		r = segfs_raster_open(raster, array, fd, &reader);
	if (r == 0)
		r = write_png(&writer, raster, array, reader, band);
	if (r == 0)
		*ret_png = steal_pointer(&writer.bytes);
	return r;
}
