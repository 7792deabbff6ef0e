/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Text in aligned columns, one row a line and the titles in the first, for people and for awk: cells are
 * apart by blanks and hold none, since whatever might be taken for one is written as \ooo, as in
 * /proc/mounts.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 10

struct table {
	size_t n_columns, n_cells;
	bool right[TABLE_COLUMNS_MAX]; /* numbers end below each other */
	int width[TABLE_COLUMNS_MAX];
	FILE *cells; /* each ends in NUL; owned, with what it has written */
	char *text;
	size_t size;
};

/* Titles that begin with '>' are of columns aligned to the right. 0 or -ENOMEM. */
int table_init(struct table *table, size_t n_columns, const char *const titles[]);

/* The next cell, row by row; "" becomes "-". */
void table_add(struct table *table, const char *text);
__attribute__((format(printf, 2, 3))) void table_printf(struct table *table, const char *format, ...);

/* 0, or -ENOMEM if there was too little for all the cells. */
int table_print(struct table *table, FILE *out);
void table_clear(struct table *table);

/* Write a text so that it is one word: what is a blank, a control character, a backslash or no
 * UTF-8 becomes \ooo. */
void table_escape(const char *text, FILE *out);
