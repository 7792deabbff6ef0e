/* SPDX-License-Identifier: MIT */

/* Reading: any piece of the text, made of the elements that it shows. */
#include "textview.h"

#include "hexdump.h"
#include "stream.h"
#include "util.h"

/* What is read of the segment at a time, unless one element has more. */
#define BUFFER_MAX (256 * 1024)

/* A record of which less than one byte in so many is shown is not read as a whole. */
#define SPARSE 8

/* One call of segfs_textview_read(): the piece of the text that is wanted. */
struct piece {
	const struct segfs_textview *view;
	int fd;
	uint64_t from, to;
	char *buf;  /* the caller's, for the bytes from..to */
	char *cell; /* owned; for one that does not lie within as a whole */
	struct segfs_stream stream;
	uint64_t last_byte; /* where the bytes end that the piece needs */
	uint64_t line_at;   /* the line at work: in the text, */
	uint64_t line_byte; /* and in the elements */
};

static void piece_clear(struct piece *piece)
{
	segfs_stream_clear(&piece->stream);
	free_pointer(&piece->cell);
}

/* Of what belongs at `at` of the text, that which is wanted. */
static void put(struct piece *piece, uint64_t at, const char *text, size_t len)
{
	uint64_t from = MAX(at, piece->from), to = MIN(at + len, piece->to);

	if (from < to)
		memcpy(piece->buf + (from - piece->from), text + (from - at), to - from);
}

/* The columns of the line at work of which something is wanted. */
static int walk(struct piece *piece, segfs_columns_visit visit)
{
	uint64_t from = piece->from - MIN(piece->from, piece->line_at);
	uint64_t to = piece->to - MIN(piece->to, piece->line_at);

	return segfs_columns_walk(&piece->view->columns, from, to, visit, piece);
}

static int put_name(void *context, const struct segfs_place *place, uint64_t text_at, uint64_t byte_at)
{
	struct piece *piece = context;
	size_t width = place->group->cell.width, left;
	struct segfs_text name = segfs_text_start(piece->cell, width + 1);

	segfs_columns_put_name(&name, place);
	left = width - name.len;
	memmove(piece->cell + left, piece->cell, name.len);
	memset(piece->cell, ' ', left);
	piece->cell[width] = ' ';
	put(piece, piece->line_at + text_at, piece->cell, width + 1);
	return 0;
}

static int put_names(struct piece *piece)
{
	const struct segfs_textview *view = piece->view;
	int r;

	if (view->names_size == 0)
		return 0;
	piece->line_at = view->header_size;
	r = walk(piece, put_name);
	put(piece, view->header_size, "#", 1);
	put(piece, view->header_size + view->names_size - 1, "\n", 1);
	return r;
}

/* Through gaps the next element is not looked for. */
static uint64_t read_ahead(const struct piece *piece, const struct segfs_place *place, uint64_t byte)
{
	const struct segfs_textview *view = piece->view;
	uint64_t rest = (place->group->count - place->index) * place->group->stride;

	if (view->columns.element_bytes >= view->line_bytes / SPARSE)
		return piece->last_byte;
	return MIN(byte + rest, piece->last_byte);
}

static int put_value(void *context, const struct segfs_place *place, uint64_t text_at, uint64_t byte_at)
{
	struct piece *piece = context;
	const struct segfs_cell *cell = &place->group->cell;
	uint64_t at = piece->line_at + text_at, byte = piece->line_byte + byte_at;
	bool is_whole = at >= piece->from && at + cell->width < piece->to;
	char *out = is_whole ? piece->buf + (at - piece->from) : piece->cell;
	const void *bytes;
	int r;

	r = segfs_stream_get(&piece->stream, byte, cell->dtype->itemsize, read_ahead(piece, place, byte),
			     &bytes);
	if (r < 0)
		return r;
	segfs_cell_format(cell, bytes, out);
	out[cell->width] = ' ';
	if (!is_whole)
		put(piece, at, out, cell->width + 1);
	return 0;
}

static int put_hexdump(struct piece *piece, uint64_t line)
{
	char text[SEGFS_HEXDUMP_WIDTH];
	uint64_t last_byte = MIN(piece->line_byte + SEGFS_HEXDUMP_BYTES, piece->last_byte);
	size_t n = last_byte - piece->line_byte;
	const void *bytes;
	int r;

	r = segfs_stream_get(&piece->stream, piece->line_byte, n, piece->last_byte, &bytes);
	if (r < 0)
		return r;
	put(piece, piece->line_at, text, segfs_hexdump_line(piece->line_byte, bytes, n, text));
	return 0;
}

static uint64_t body_at(const struct segfs_textview *view)
{
	return view->header_size + view->names_size;
}

/* The line at this place in the text; of an empty line, that below it. */
static uint64_t line_of(const struct segfs_textview *view, uint64_t at)
{
	uint64_t in_body = at - body_at(view), block_size = view->n_block * view->line_size + 1;

	return in_body / block_size * view->n_block + in_body % block_size / view->line_size;
}

static void go_to(struct piece *piece, uint64_t line)
{
	const struct segfs_textview *view = piece->view;

	piece->line_at = body_at(view) + line * view->line_size + line / view->n_block;
	piece->line_byte = line * view->line_bytes;
}

static int put_line(struct piece *piece, uint64_t line)
{
	const struct segfs_textview *view = piece->view;
	int r;

	if (view->is_raw)
		return put_hexdump(piece, line);
	if (line > 0 && line % view->n_block == 0)
		put(piece, piece->line_at - 1, "\n", 1);
	r = walk(piece, put_value);
	put(piece, piece->line_at + view->line_size - 1, "\n", 1);
	return r;
}

static int end_here(void *context, const struct segfs_place *place, uint64_t text_at, uint64_t byte_at)
{
	struct piece *piece = context;

	piece->last_byte = piece->line_byte + byte_at + place->group->stride;
	return 0;
}

/* The bytes of the segment from that line on to the end of the last element wanted. */
static void find_bytes(struct piece *piece, uint64_t *ret_first)
{
	const struct segfs_textview *view = piece->view;
	struct piece end = *piece;

	go_to(&end, line_of(view, MAX(piece->from, body_at(view))));
	*ret_first = end.line_byte;
	end.from = end.to - 1;
	go_to(&end, line_of(view, end.from));
	end.last_byte = end.line_byte;
	if (view->is_raw)
		end.last_byte = MIN(end.line_byte + SEGFS_HEXDUMP_BYTES, view->raw_bytes);
	else
		walk(&end, end_here);
	piece->last_byte = end.last_byte;
}

static int open_stream(struct piece *piece)
{
	const struct segfs_textview *view = piece->view;
	uint64_t first_byte;
	size_t size;

	find_bytes(piece, &first_byte);
	size = MIN(piece->last_byte - first_byte, BUFFER_MAX);
	return segfs_stream_init(&piece->stream, view->is_raw ? NULL : &view->array, piece->fd,
				 MAX(size, view->columns.largest));
}

static int put_lines(struct piece *piece)
{
	const struct segfs_textview *view = piece->view;
	uint64_t line;
	int r;

	if (piece->to <= body_at(view))
		return 0;
	r = open_stream(piece);
	if (r < 0)
		return r;
	line = line_of(view, MAX(piece->from, body_at(view)));
	for (go_to(piece, line); line < view->n_lines && piece->line_at <= piece->to; go_to(piece, ++line)) {
		r = put_line(piece, line);
		if (r < 0)
			return r;
	}
	return 0;
}

ssize_t segfs_textview_read(const struct segfs_textview *view, int fd, char *buf, size_t len, uint64_t offset)
{
	SEGFS_CLEANUP(piece_clear) struct piece piece = {.view = view, .fd = fd, .buf = buf, .from = offset};
	int r;

	if (offset >= view->size || len == 0)
		return 0;
	piece.to = offset + MIN(len, view->size - offset);
	piece.cell = malloc(view->columns.widest + 1);
	if (!piece.cell)
		return -ENOMEM;
	put(&piece, 0, view->header, view->header_size);
	r = put_names(&piece);
	if (r == 0)
		r = put_lines(&piece);
	return r < 0 ? r : (ssize_t)(piece.to - piece.from);
}
