/* SPDX-License-Identifier: MIT */
#pragma once

/* A table on tmpfs, and its numbers. */
#include <segfs/layout.h>
#include <segfs/table.h>

#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dtype-internal.h"
#include "file_on_tmpfs.h"
#include "util.h"

#define MS INT64_C(1000000)

/* Three counters, a value of several lines, and something to lay out. */
#define RECORD                                                                                               \
	"[('a', '<u8'), ('b', '<u8'), ('c', '<u8'), ('wide', '<u8', (24,)), ('', '|V3'), "                   \
	"('nested', [('x', '|u1'), ('y', '<f4', (2,))])]"

enum { A, B, C, WIDE, NESTED };
enum { N_WIDE = 24, HEADER = sizeof(struct segfs_layout_table) };

struct __attribute__((packed)) record {
	uint64_t a, b, c;
	uint64_t wide[N_WIDE];
	char padding[3];
	uint8_t x;
	float y[2];
};

static inline struct segfs_dtype *dtype_of(const char *text)
{
	struct segfs_dtype *dtype;

	ck_assert_int_eq(segfs_dtype_parse(text, strlen(text), &dtype), 0);
	return dtype;
}

static inline int format(int fd, const char *text)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = dtype_of(text);

	return segfs_table_format(fd, dtype);
}

static inline int table_file(const char *text)
{
	int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(format(fd, text), 0);
	return fd;
}

static inline void close_table(struct segfs_table **table)
{
	*table = segfs_table_close(*table);
}

#define TABLE SEGFS_CLEANUP(close_table) struct segfs_table

static inline struct segfs_table *open_table(int fd)
{
	struct segfs_table *table;

	ck_assert_int_eq(segfs_table_open(fd, &table), 0);
	return table;
}

static inline struct segfs_layout_table *map(int fd)
{
	struct stat st;
	void *file;

	ck_assert_int_eq(fstat(fd, &st), 0);
	file = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(file, MAP_FAILED);
	return file;
}

static inline uint64_t read_u64(struct segfs_table *table, unsigned field)
{
	uint64_t value, count;

	ck_assert_int_eq(segfs_table_read(table, field, &value, &count), 0);
	return value;
}

static inline void write_u64(struct segfs_table *table, unsigned field, uint64_t value)
{
	ck_assert_int_eq(segfs_table_write(table, field, &value, -1), 0);
}
