/* SPDX-License-Identifier: MIT */

/*
 * Reading all fields as of one moment: by reading them twice, which writes nothing, and where that does not
 * succeed because somebody writes, by ages (segfs/layout.h).
 */
#include "table-internal.h"

#define STACK_MAX 4096 /* bytes of a record that is read without malloc() */
#define LOOKS	  2    /* without writing, before it is done by ages */
#define AGES	  100  /* nobody else takes a snapshot meanwhile: the first is right */

/* Help one field into the next age: 0, or 1 (all have been helped by others), or -EAGAIN. */
static int help_field(struct segfs_table *table, unsigned field, uint64_t age)
{
	uint64_t *word = &table->shared->fields[field].state;

	for (unsigned i = 0; i < SEGFS_TABLE_TRIES; i++) {
		uint64_t state = count_load_seq_cst(word);

		if (count_load_seq_cst(&table->shared->age) != age)
			return 1;
		if (segfs_table_is_helped(state, age) ||
		    count_cas_seq_cst(word, &state, segfs_table_after_help(state)))
			return 0;
	}
	return -EAGAIN;
}

int segfs_table_help(struct segfs_table *table, uint64_t age)
{
	for (unsigned i = 0; i < table->plan.n_fields; i++) {
		int r = help_field(table, i, age);

		if (r != 0)
			return r < 0 ? r : 0;
	}
	count_cas_seq_cst(&table->shared->age, &age, age + 1);
	return 0;
}

static void copy_field(const struct segfs_table *table, unsigned field, unsigned copy, char *record)
{
	const struct segfs_table_place *place = &table->plan.places[field];

	segfs_table_copy_out(record + place->at, segfs_table_copy(table, field, copy), place->size);
}

/* Serial numbers only grow: their sum is the same if each of them is. */
static uint64_t sum_serials(const struct segfs_table *table)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < table->plan.n_fields; i++)
		sum += segfs_table_serial(count_load_seq_cst(&table->shared->fields[i].state));
	return sum;
}

/* All values that are `now`; false unless there was a moment when all of them were. */
static bool look(const struct segfs_table *table, char *record)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < table->plan.n_fields; i++) {
		uint64_t state = count_load_seq_cst(&table->shared->fields[i].state);

		sum += segfs_table_serial(state);
		copy_field(table, i, segfs_table_now(state), record);
	}
	fence_acquire();
	return sum_serials(table) == sum;
}

static void copy_kept(const struct segfs_table *table, char *record)
{
	for (unsigned i = 0; i < table->plan.n_fields; i++) {
		uint64_t state = count_load_seq_cst(&table->shared->fields[i].state);

		copy_field(table, i, segfs_table_kept(state), record);
	}
}

/* Begin an age and help it to its end. True if we did, and *ret_age is it. */
static int begin_age(struct segfs_table *table, uint64_t *ret_age)
{
	uint64_t age = count_load_seq_cst(&table->shared->age);
	int r;

	if (!segfs_table_age_is_even(age))
		return segfs_table_help(table, age);
	if (!count_cas_seq_cst(&table->shared->age, &age, age + 1))
		return 0;
	r = segfs_table_help(table, age + 1);
	if (r < 0)
		return r;
	*ret_age = age + 2;
	return 1;
}

/* With `taker` held. One round, or two if the taker before was killed half-way. */
static int look_by_age(struct segfs_table *table, char *record)
{
	for (unsigned i = 0; i < AGES; i++) {
		uint64_t age = 0;
		int r = begin_age(table, &age);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		copy_kept(table, record);
		fence_acquire();
		if (count_load_relaxed(&table->shared->age) == age)
			return 0;
	}
	return -EAGAIN;
}

static int snapshot_by_age(struct segfs_table *table, char *record, int64_t timeout_ns)
{
	uint32_t *taker = &table->shared->taker;
	int me = segfs_robust_owner(table->area), r;

	if (me < 0)
		return me;
	r = segfs_table_take(taker, (uint32_t)me, timeout_ns);
	if (r < 0)
		return r == -ETIMEDOUT ? -EAGAIN : r;
	r = look_by_age(table, record);
	segfs_table_let_go(taker, (uint32_t)me);
	return r;
}

/* For whoever may not write. */
static int snapshot_by_luck(struct segfs_table *table, char *record, int64_t timeout_ns)
{
	int64_t deadline = segfs_futex_deadline(timeout_ns);

	while (!look(table, record)) {
		if (segfs_futex_is_over(deadline))
			return -EAGAIN;
		cpu_pause();
	}
	return 0;
}

static int snapshot(struct segfs_table *table, char *record, int64_t timeout_ns)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		if (look(table, record))
			return 0;
	}
	return table->writable ? snapshot_by_age(table, record, timeout_ns)
			       : snapshot_by_luck(table, record, timeout_ns);
}

SEGFS_PUBLIC int segfs_table_snapshot(struct segfs_table *table, void *ret_record, int64_t timeout_ns)
{
	size_t size = table->plan.dtype->itemsize;
	SEGFS_FREE char *large = NULL;
	char small[STACK_MAX], *record = small;
	int r;

	if (size > sizeof(small))
		record = large = malloc(size);
	if (!record)
		return -ENOMEM;
	memset(record, 0, size);
	r = snapshot(table, record, timeout_ns);
	if (r == 0)
		memcpy(ret_record, record, size);
	return r;
}
