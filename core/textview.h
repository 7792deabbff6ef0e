/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A segment's elements as text, for people, awk, gnuplot and numpy.loadtxt.
 *
 *	# dtype=<f8 shape=2,3 order=C
 *	                       1                      0.5                      nan
 *	  -2.2250738585072014e-308                      inf                       -0
 *
 * The first line is the header; `()` is the shape of a scalar. Structures have a second such line, the
 * names of their columns (see columns.h). Then one line for each row along the last axis; an element a
 * line if there is but one axis or none; a record a line for structures, whatever their shape. The rows
 * are in C order whatever the order in the file. Where a line is one of more than two dimensions (of which
 * a record is one), an empty line parts each two-dimensional block from the next, as gnuplot wants it.
 * Each cell (see cell.h) is right-aligned and has one blank or the newline behind it. An empty array is
 * its header. A raw segment is "# raw, N bytes" and a line for 16 bytes (see hexdump.h).
 *
 * All widths follow from the type, and the size of the whole with them: what is read at an offset is made
 * from the elements there, and from no others.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <segfs/segment.h>

#include "columns.h"

struct segfs_textview {
	uint64_t size; /* of the text, bytes */
	bool is_raw;
	struct segfs_array array;     /* unless raw; its dtype is borrowed from the segment */
	struct segfs_columns columns; /* unless raw; owned */
	char *header;		      /* owned */
	size_t header_size;	      /* bytes of the first line */
	uint64_t names_size;	      /* of the second line, 0 if there is none */
	uint64_t n_lines;	      /* the header's and the empty ones left out */
	uint64_t n_block;	      /* lines from one empty line to the next */
	uint64_t line_size;	      /* newline included; the last one of a raw segment can be shorter */
	uint64_t line_bytes;	      /* of the segment */
	uint64_t raw_bytes;	      /* of all of it, if raw */
};

/*
 * Lay out the text of a segment, whose dtype must outlive the view. No element is read.
 *
 * 0, or -EOVERFLOW (the text is longer than INT64_MAX, or one cell wider than SEGFS_CELL_WIDTH_MAX, which
 * takes strings and voids of half a million bytes), -ENOMEM. *ret_view is untouched on failure.
 */
int segfs_textview_init(struct segfs_textview *ret_view, const struct segfs_segment *segment);

/* Also a view that was never initialized but is zero. */
void segfs_textview_clear(struct segfs_textview *view);

/*
 * Read from the text as pread(2) does, the elements from the open file `fd` as they are now. Less than `len`
 * bytes only at the end, 0 there and beyond. Or -ESTALE (the file has become too short for them), -ENOMEM, or
 * -errno of pread(2). Any thread. It allocates as much as the elements asked for take, 256 KiB at most; with
 * elements or cells larger than that up to 2 MiB.
 */
ssize_t segfs_textview_read(const struct segfs_textview *view, int fd, char *buf, size_t len,
			    uint64_t offset);
