/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"
#include "util.h"

int table_init(struct table *table, size_t n_columns, const char *const titles[])
{
	*table = (struct table){.n_columns = n_columns};
	table->cells = open_memstream(&table->text, &table->size);
	if (!table->cells)
		return -ENOMEM;
	for (size_t i = 0; i < n_columns; i++) {
		table->right[i] = titles[i][0] == '>';
		table_add(table, titles[i] + table->right[i]);
	}
	return 0;
}

void table_escape(const char *text, FILE *out)
{
	size_t left = strlen(text), length;
	uint32_t code;

	for (; left > 0; text += length, left -= length) {
		length = segfs_utf8_decode(text, left, &code);
		if (length == 0 || code <= ' ' || code == '\\' || (code >= 0x7f && code < 0xa0)) {
			fprintf(out, "\\%03o", (unsigned char)*text);
			length = 1;
		} else {
			fwrite(text, length, 1, out);
		}
	}
}

/* Bytes in the middle of a character of UTF-8 take no place of their own. */
static int width_of(const char *text)
{
	int width = 0;

	for (; *text; text++)
		width += (*text & 0xc0) != 0x80;
	return width;
}

static const char *cell_at(const struct table *table, long at)
{
	fflush(table->cells); /* brings text and size up to date */
	return table->text + at;
}

void table_add(struct table *table, const char *text)
{
	int *width = &table->width[table->n_cells++ % table->n_columns];
	long at = ftell(table->cells);

	table_escape(*text ? text : "-", table->cells);
	putc('\0', table->cells);
	if (!ferror(table->cells))
		*width = MAX(*width, width_of(cell_at(table, at)));
}

void table_printf(struct table *table, const char *format, ...)
{
	SEGFS_FREE char *text = NULL;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (n < 0)
		text = NULL;
	table_add(table, text ?: "");
}

/* Nothing follows the last column, so nothing pads it. */
static void print_cell(const struct table *table, size_t column, const char *text, FILE *out)
{
	bool is_last = column == table->n_columns - 1;
	int padding = table->width[column] - width_of(text);

	if (table->right[column])
		fprintf(out, "%*s%s", padding, "", text);
	else
		fprintf(out, "%s%*s", text, is_last ? 0 : padding, "");
	fputs(is_last ? "\n" : "  ", out);
}

int table_print(struct table *table, FILE *out)
{
	const char *cell, *end;

	if (fflush(table->cells) != 0 || ferror(table->cells))
		return -ENOMEM;
	cell = table->text;
	end = cell + table->size;
	for (size_t i = 0; i < table->n_cells; i++, cell += strlen(cell) + 1) {
		if (cell >= end) /* an allocation that failed took a NUL away */
			return -ENOMEM;
		print_cell(table, i % table->n_columns, cell, out);
	}
	return 0;
}

void table_clear(struct table *table)
{
	if (table->cells)
		fclose(table->cells);
	free(table->text);
	*table = (struct table){};
}
