/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An array as the pixels of a picture, 8 bits a channel, row by row.
 *
 * These are pictures, in either order and none of them empty:
 *
 *	uint8 [height, width]           grey, as they are
 *	uint8 [height, width, 3 or 4]   red, green, blue and perhaps alpha, as they are
 *	bool [height, width]            black and white
 *	real numbers [height, width]    grey between their extremes
 *
 * Of numbers, black is the smallest finite one shown and white the largest; +inf is white, -inf and NaN are
 * black, and so is everything if all are equal. A large array is shown by every step-th row and column, so
 * that no side is longer than SEGFS_RASTER_SIDE_MAX and there are at most SEGFS_RASTER_PIXELS_MAX pixels.
 * What this module does not do: it knows no file format of pictures.
 */
#include <stdint.h>

#include <segfs/array.h>

#define SEGFS_RASTER_SIDE_MAX	65535
#define SEGFS_RASTER_PIXELS_MAX (16u << 20)

struct segfs_raster {
	uint32_t width, height; /* pixels */
	unsigned channels;	/* bytes of a pixel; 1: grey, 3: RGB, 4: RGBA */
	uint64_t step;		/* 1: every row and column */
};

struct segfs_raster_reader;

/* Which picture is this array? 0, or -ENOTSUP: none. *ret_raster is untouched then. */
int segfs_raster_init(const struct segfs_array *array, struct segfs_raster *ret_raster);

/*
 * Begin to read a picture from the file `fd`, which stays the caller's, as do `raster` and `array`: keep all
 * three while reading. Numbers to be scaled are all read once here, for the extremes among them, and once
 * again later; what others have written by then counts, and what is beyond the extremes is black or white.
 * 0, or -ESTALE (the file has become too short), -ENOMEM, or -errno of pread(2). Free the reader with
 * segfs_raster_free(); one thread at a time.
 */
int segfs_raster_open(const struct segfs_raster *raster, const struct segfs_array *array, int fd,
		      struct segfs_raster_reader **ret_reader);

/* The pixels of `n` rows from `row` on, without gaps. 0, or -ESTALE, or -errno of pread(2). */
int segfs_raster_read(struct segfs_raster_reader *reader, uint32_t row, uint32_t n,
		      unsigned char *ret_pixels);

/* So many rows are read well together: their pixels take 4 MB or less, or they are one row. */
uint32_t segfs_raster_band(const struct segfs_raster *raster);

/* NULL is fine, and returned. */
struct segfs_raster_reader *segfs_raster_free(struct segfs_raster_reader *reader);
