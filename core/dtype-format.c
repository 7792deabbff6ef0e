/* SPDX-License-Identifier: MIT */

/* The canonical text of a type, as Python would print it. */
#include "dtype-internal.h"

#include <inttypes.h>

#include "repr.h"
#include "text.h"
#include "utf8.h"

/* Where the text goes, and how it differs from the canonical one. */
struct writer {
	struct segfs_text *out;
	const char *bfloat16; /* how that is called; NULL: as the void type that numpy saves it as */
	bool latin1;	      /* rather than UTF-8 */
	bool beyond_latin1;   /* a character was met that it does not have */
};

static void put(struct segfs_text *out, const char *text)
{
	segfs_text_put(out, text, strlen(text));
}

static void put_char(struct writer *writer, uint32_t code)
{
	char bytes[SEGFS_UTF8_MAX] = {(char)code};
	size_t len = writer->latin1 ? 1 : segfs_utf8_encode(code, bytes);

	writer->beyond_latin1 |= code > 0xff;
	segfs_text_put(writer->out, bytes, len);
}

/* repr() of a string: single quotes, unless it holds one and no double quote. */
static void put_string(struct writer *writer, const char *text)
{
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
	size_t left = strlen(text), length;
	uint32_t code;

	segfs_text_put(writer->out, &quote, 1);
	for (; (length = segfs_utf8_decode(text, left, &code)) > 0; text += length, left -= length) {
		if (*text == quote || *text == '\\')
			put(writer->out, "\\");
		if (segfs_repr_is_printable(code))
			put_char(writer, code);
		else
			segfs_repr_put_escape(writer->out, code);
	}
	segfs_text_put(writer->out, &quote, 1);
}

static char byte_order(const struct segfs_dtype *dtype)
{
	if (dtype->kind == SEGFS_BYTES || dtype->kind == SEGFS_VOID || dtype->itemsize == 1)
		return '|';
	return dtype->big_endian ? '>' : '<';
}

static void put_bfloat16(struct writer *writer, const struct segfs_dtype *dtype)
{
	if (writer->bfloat16)
		put(writer->out, writer->bfloat16);
	else
		segfs_text_printf(writer->out, "%cV%zu", byte_order(dtype), dtype->itemsize);
}

static void put_scalar(struct writer *writer, const struct segfs_dtype *dtype)
{
	size_t number = dtype->kind == SEGFS_UNICODE ? dtype->itemsize / 4 : dtype->itemsize;
	struct segfs_text *out = writer->out;

	if (dtype->kind == SEGFS_BFLOAT16) {
		put_bfloat16(writer, dtype);
		return;
	}
	segfs_text_printf(out, "%c%c%zu", byte_order(dtype), (char)dtype->kind, number);
	if (dtype->unit[0] == '\0')
		return;
	if (dtype->unit_count == 1)
		segfs_text_printf(out, "[%s]", dtype->unit);
	else
		segfs_text_printf(out, "[%" PRIu32 "%s]", dtype->unit_count, dtype->unit);
}

void segfs_dtype_put_tuple(struct segfs_text *out, const uint64_t *shape, unsigned ndim)
{
	put(out, "(");
	for (unsigned i = 0; i < ndim; i++)
		segfs_text_printf(out, i > 0 ? ", %" PRIu64 : "%" PRIu64, shape[i]);
	put(out, ndim == 1 ? ",)" : ")");
}

static void put_name(struct writer *writer, const struct segfs_field *field)
{
	if (!field->title) {
		put_string(writer, field->name);
		return;
	}
	put(writer->out, "(");
	put_string(writer, field->title);
	put(writer->out, ", ");
	put_string(writer, field->name);
	put(writer->out, ")");
}

static void put_structure(struct writer *writer, const struct segfs_dtype *dtype);

/* repr() of what numpy calls a descr: a list, or a type string, which holds nothing to escape. */
static void put_descr(struct writer *writer, const struct segfs_dtype *dtype)
{
	if (dtype->n_fields > 0) {
		put_structure(writer, dtype);
		return;
	}
	put(writer->out, "'");
	put_scalar(writer, dtype);
	put(writer->out, "'");
}

static void put_field(struct writer *writer, const struct segfs_field *field)
{
	put(writer->out, "(");
	put_name(writer, field);
	put(writer->out, ", ");
	put_descr(writer, field->dtype);
	if (field->ndim > 0) {
		put(writer->out, ", ");
		segfs_dtype_put_tuple(writer->out, field->shape, field->ndim);
	}
	put(writer->out, ")");
}

static void put_structure(struct writer *writer, const struct segfs_dtype *dtype)
{
	put(writer->out, "[");
	for (size_t i = 0; i < dtype->n_fields; i++) {
		if (i > 0)
			put(writer->out, ", ");
		put_field(writer, &dtype->fields[i]);
	}
	put(writer->out, "]");
}

bool segfs_dtype_put_numpy(struct segfs_text *out, const struct segfs_dtype *dtype, bool latin1)
{
	struct writer writer = {.out = out, .latin1 = latin1};

	put_descr(&writer, dtype);
	return !writer.beyond_latin1;
}

SEGFS_PUBLIC size_t segfs_dtype_format(const struct segfs_dtype *dtype, char *buf, size_t size)
{
	struct segfs_text out = segfs_text_start(buf, size);
	struct writer writer = {.out = &out, .bfloat16 = "bfloat16"};

	if (dtype->n_fields > 0)
		put_structure(&writer, dtype);
	else
		put_scalar(&writer, dtype);
	return out.len;
}
