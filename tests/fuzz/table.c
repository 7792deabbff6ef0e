/* SPDX-License-Identifier: MIT */
/*
 * A table whose header somebody spoils, before it is opened and while it is used. The first byte says what is
 * in the file; then come steps.
 */
#include <segfs/layout.h>
#include <segfs/table.h>
#include <sys/stat.h>

#include "dtype-internal.h"
#include "target.h"

#define MAX_STEPS 64
#define SHORT_NS  20000

static void read_field(struct segfs_table *table, unsigned i)
{
	SEGFS_FREE char *value = NULL;
	struct segfs_table_field field;
	uint64_t count;

	if (segfs_table_field(table, i, &field) < 0)
		return;
	MUST(field.offset + field.size <= segfs_table_dtype(table)->itemsize);
	value = malloc(field.size);
	MUST(value);
	segfs_table_read(table, i, value, &count);
	segfs_table_find(table, field.name);
}

static void write_field(struct segfs_table *table, unsigned i)
{
	struct segfs_table_field field;
	SEGFS_FREE char *value = NULL;

	if (segfs_table_field(table, i, &field) < 0)
		return;
	value = calloc(1, field.size);
	MUST(value);
	segfs_table_write(table, i, value, SHORT_NS);
}

static void use(struct segfs_table *table, struct input *in)
{
	SEGFS_FREE char *record = NULL;

	switch (draw_byte(in) % 3) {
	case 0:
		read_field(table, draw_byte(in) % 8);
		break;
	case 1:
		write_field(table, draw_byte(in) % 8);
		break;
	default:
		record = malloc(segfs_table_dtype(table)->itemsize);
		MUST(record);
		segfs_table_snapshot(table, record, SHORT_NS);
	}
}

static void step(struct input *in, int fd, struct segfs_table **table)
{
	uint8_t what = draw_byte(in);

	if (what % 4 == 0)
		scribble(in, fd, sizeof(struct segfs_layout_table) + 4 * sizeof(struct segfs_layout_field));
	else if (what % 16 == 2)
		*table = segfs_table_close(*table);
	else if (*table)
		use(*table, in);
	else
		segfs_table_open(fd, table);
}

static int make_file(uint8_t what)
{
	static const char *const records[] = {
		"[('a', '<u8'), ('b', '<u8')]",
		"[('wide', '<u8', (24,)), ('', '|V3'), ('nested', [('x', '|u1'), ('y', '<f4', (2,))])]",
		"[('large', '|V5000'), ('small', '?')]",
	};
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	const char *text = records[what % COUNT_OF(records)];
	int fd = fuzz_file("", 0);

	MUST(segfs_dtype_parse(text, strlen(text), &dtype) == 0 && segfs_table_format(fd, dtype) == 0);
	return fd;
}

/* Open for reading only, it is read in another way. */
static void read_only(int fd, const struct input *steps)
{
	char path[32];
	struct input in = *steps;
	struct segfs_table *table = NULL;
	SEGFS_CLOSE int again = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	if (again < 0 || segfs_table_open(again, &table) < 0)
		return;
	for (int i = 0; i < MAX_STEPS && in.size > 0; i++)
		use(table, &in);
	segfs_table_close(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	SEGFS_CLOSE int fd = make_file(draw_byte(&in));
	const struct input steps = in;
	struct segfs_table *table = NULL;

	for (int i = 0; i < MAX_STEPS && in.size > 0; i++)
		step(&in, fd, &table);
	segfs_table_close(table);
	read_only(fd, &steps);
	return 0;
}
