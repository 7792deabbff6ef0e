/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of the table module share: table-format.c makes a table, table-check.c reads what one says
 * of itself, table.c opens it, table-owner.c takes its owner words, table-access.c reads and writes fields,
 * and table-snapshot.c all of them.
 */
#include <segfs/table.h>

#include "atomics.h"
#include "dtype-internal.h"
#include "futex.h"
#include "robust.h"
#include "table-state.h"
#include "util.h"

/* Tries until a word that changes under one's hands is given up: honest processes need a few. */
#define SEGFS_TABLE_TRIES 10000

/* A field, from a copy of its entry that was checked. */
struct segfs_table_place {
	const char *name; /* borrowed from the dtype */
	size_t at, size;  /* in the record */
	size_t offset, stride;
};

/* All that a table says of itself; private memory. */
struct segfs_table_plan {
	struct segfs_dtype *dtype; /* owned */
	unsigned n_fields;
	struct segfs_table_place *places; /* owned */
	size_t end;			  /* of the last value, bytes in the file */
};

struct segfs_table {
	struct segfs_table_plan plan;
	struct segfs_robust *area;	   /* owned: header and entries */
	struct segfs_layout_table *shared; /* the area's mapping */
	char *values;			   /* owned: a mapping of the file up to plan.end */
	bool writable;
};

/* The bytes of header and entries. */
size_t segfs_table_header_size(unsigned n_fields);

/* The places of the fields of a record, all but where the values are. 0, or as segfs_table_format(). */
int segfs_table_plan_fields(const struct segfs_dtype *dtype, struct segfs_table_plan *plan);

/* Read header and entries of a file and check them. 0, or as segfs_table_open(). */
int segfs_table_plan_read(int fd, struct segfs_table_plan *ret_plan);

/* Free what a plan owns and zero it. */
void segfs_table_plan_clear(struct segfs_table_plan *plan);

/*
 * Take an owner word for `me`, a thread id that segfs_robust_owner() gave: 0, or 1 (the owner before died),
 * or -ETIMEDOUT, -EFAULT (the file was cut). And let go of it.
 */
int segfs_table_take(uint32_t *word, uint32_t me, int64_t timeout_ns);
void segfs_table_let_go(uint32_t *word, uint32_t me);

/* See that `age`, which was odd, becomes even: segfs/layout.h. 0, or -EAGAIN. */
int segfs_table_help(struct segfs_table *table, uint64_t age);

/* Bytes of a copy that others may be writing to. `shared` is aligned and goes on to the next multiple of 8.
 */
void segfs_table_copy_out(void *to, const uint64_t *shared, size_t size);
void segfs_table_copy_in(uint64_t *shared, const void *from, size_t size);

static inline uint64_t *segfs_table_copy(const struct segfs_table *table, unsigned field, unsigned copy)
{
	const struct segfs_table_place *place = &table->plan.places[field];

	return (uint64_t *)(table->values + place->offset + copy * place->stride);
}
