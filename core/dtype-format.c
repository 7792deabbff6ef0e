/* SPDX-License-Identifier: MIT */

/* The canonical text of a type, as Python would print it. */
#include "dtype-internal.h"

#include <inttypes.h>

#include "text.h"
#include "utf8.h"

/*
 * Beyond ASCII, what repr() escapes because str.isprintable() is false: the Unicode categories Cc, Cf, Cs,
 * Co, Zs, Zl and Zp, noncharacters, and the planes without characters. Other unassigned code points are left
 * out, as they change with each version of Python; either spelling is read back.
 */
static const struct {
	uint32_t first, last;
} unprintable[] = {
	{0x80, 0xa0},	    {0xad, 0xad},	{0x600, 0x605},	     {0x61c, 0x61c},	 {0x6dd, 0x6dd},
	{0x70f, 0x70f},	    {0x890, 0x891},	{0x8e2, 0x8e2},	     {0x1680, 0x1680},	 {0x180e, 0x180e},
	{0x2000, 0x200f},   {0x2028, 0x202f},	{0x205f, 0x206f},    {0x3000, 0x3000},	 {0xd800, 0xf8ff},
	{0xfdd0, 0xfdef},   {0xfeff, 0xfeff},	{0xffef, 0xfffb},    {0xfffe, 0xffff},	 {0x110bd, 0x110bd},
	{0x110cd, 0x110cd}, {0x13430, 0x13438}, {0x1bca0, 0x1bca3},  {0x1d173, 0x1d17a}, {0x1fffe, 0x1ffff},
	{0x2fffe, 0x2ffff}, {0x3fffe, 0xe00ff}, {0xe01f0, 0x10ffff},
};

static bool is_printable(uint32_t code)
{
	if (code < 0x80)
		return code >= ' ' && code < 0x7f;
	for (size_t i = 0; i < COUNT_OF(unprintable); i++) {
		if (code <= unprintable[i].last)
			return code < unprintable[i].first;
	}
	return true;
}

static void put(struct segfs_text *out, const char *text)
{
	segfs_text_put(out, text, strlen(text));
}

static void put_escape(struct segfs_text *out, uint32_t code)
{
	if (code == '\n')
		put(out, "\\n");
	else if (code == '\r')
		put(out, "\\r");
	else if (code == '\t')
		put(out, "\\t");
	else if (code < 0x100)
		segfs_text_printf(out, "\\x%02" PRIx32, code);
	else if (code < 0x10000)
		segfs_text_printf(out, "\\u%04" PRIx32, code);
	else
		segfs_text_printf(out, "\\U%08" PRIx32, code);
}

/* repr() of a string: single quotes, unless it holds one and no double quote. */
static void put_string(struct segfs_text *out, const char *text)
{
	char quote = strchr(text, '\'') && !strchr(text, '"') ? '"' : '\'';
	size_t left = strlen(text), length;
	uint32_t code;

	segfs_text_put(out, &quote, 1);
	for (; (length = segfs_utf8_decode(text, left, &code)) > 0; text += length, left -= length) {
		if (*text == quote || *text == '\\')
			put(out, "\\");
		if (is_printable(code))
			segfs_text_put(out, text, length);
		else
			put_escape(out, code);
	}
	segfs_text_put(out, &quote, 1);
}

static char byte_order(const struct segfs_dtype *dtype)
{
	if (dtype->kind == SEGFS_BYTES || dtype->kind == SEGFS_VOID || dtype->itemsize == 1)
		return '|';
	return dtype->big_endian ? '>' : '<';
}

static void put_scalar(struct segfs_text *out, const struct segfs_dtype *dtype)
{
	size_t number = dtype->kind == SEGFS_UNICODE ? dtype->itemsize / 4 : dtype->itemsize;

	if (dtype->kind == SEGFS_BFLOAT16) {
		put(out, "bfloat16");
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

static void put_shape(struct segfs_text *out, const struct segfs_field *field)
{
	put(out, "(");
	for (unsigned i = 0; i < field->ndim; i++)
		segfs_text_printf(out, i > 0 ? ", %" PRIu64 : "%" PRIu64, field->shape[i]);
	put(out, field->ndim == 1 ? ",)" : ")");
}

static void put_name(struct segfs_text *out, const struct segfs_field *field)
{
	if (!field->title) {
		put_string(out, field->name);
		return;
	}
	put(out, "(");
	put_string(out, field->title);
	put(out, ", ");
	put_string(out, field->name);
	put(out, ")");
}

static void put_structure(struct segfs_text *out, const struct segfs_dtype *dtype);

static void put_field(struct segfs_text *out, const struct segfs_field *field)
{
	put(out, "(");
	put_name(out, field);
	put(out, ", ");
	if (field->dtype->n_fields > 0) {
		put_structure(out, field->dtype);
	} else {
		put(out, "'"); /* a type string holds nothing to escape */
		put_scalar(out, field->dtype);
		put(out, "'");
	}
	if (field->ndim > 0) {
		put(out, ", ");
		put_shape(out, field);
	}
	put(out, ")");
}

static void put_structure(struct segfs_text *out, const struct segfs_dtype *dtype)
{
	put(out, "[");
	for (size_t i = 0; i < dtype->n_fields; i++) {
		if (i > 0)
			put(out, ", ");
		put_field(out, &dtype->fields[i]);
	}
	put(out, "]");
}

SEGFS_PUBLIC size_t segfs_dtype_format(const struct segfs_dtype *dtype, char *buf, size_t size)
{
	struct segfs_text out = segfs_text_start(buf, size);

	if (dtype->n_fields > 0)
		put_structure(&out, dtype);
	else
		put_scalar(&out, dtype);
	return out.len;
}
