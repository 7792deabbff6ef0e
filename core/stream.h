/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bytes of an array as if it lay in C order, whatever its order, read through a buffer: for one pass from
 * a place to a later one. Byte 0 is the first of the first element.
 *
 * Of an array in F order, elements that follow each other in C order lie far apart in the file; they are
 * gathered for as many rows as fit in the buffer, so that what lies together is read together. The file is
 * read with pread(2), never mapped. A stream is for one thread.
 */
#include <stddef.h>
#include <stdint.h>

#include <segfs/array.h>

struct segfs_stream {
	const struct segfs_array *array; /* borrowed; NULL: the file as it is */
	int fd;				 /* borrowed */
	char *buf;			 /* owned */
	size_t size;			 /* of the buffer */
	uint64_t start;			 /* what the buffer holds */
	size_t len;
};

/* `size` is the most that is read at a time, and the largest piece that can be asked for. 0 or -ENOMEM. */
int segfs_stream_init(struct segfs_stream *ret_stream, const struct segfs_array *array, int fd, size_t size);

void segfs_stream_clear(struct segfs_stream *stream);

/*
 * Lend the `n` bytes from `at` on, until the next call; all in one element. `end` tells how far it is worth
 * reading ahead, in bytes that belong to the array. 0, or -ESTALE (the file ends before them), -ENOMEM, or
 * -errno of pread(2).
 */
int segfs_stream_get(struct segfs_stream *stream, uint64_t at, size_t n, uint64_t end,
		     const void **ret_bytes);
