/* SPDX-License-Identifier: MIT */

/* Writing and reading one field. What each step is for, segfs/layout.h says. */
#include "table-internal.h"

#define STACK_MAX 4096 /* bytes of a value that is read without malloc() */

void segfs_table_copy_in(uint64_t *shared, const void *from, size_t size)
{
	const char *byte = from;
	uint64_t word;

	for (; size >= sizeof(word); size -= sizeof(word), byte += sizeof(word)) {
		memcpy(&word, byte, sizeof(word));
		count_store_relaxed(shared++, word);
	}
	if (size > 0) {
		word = 0;
		memcpy(&word, byte, size);
		count_store_relaxed(shared, word);
	}
}

void segfs_table_copy_out(void *to, const uint64_t *shared, size_t size)
{
	char *byte = to;
	uint64_t word;

	for (; size >= sizeof(word); size -= sizeof(word), byte += sizeof(word)) {
		word = count_load_relaxed(shared++);
		memcpy(byte, &word, sizeof(word));
	}
	if (size > 0) {
		word = count_load_relaxed(shared);
		memcpy(byte, &word, size);
	}
}

/* A copy that is written becomes the value. */
static int commit(struct segfs_table *table, struct segfs_layout_field *entry, unsigned copy)
{
	for (unsigned i = 0; i < SEGFS_TABLE_TRIES; i++) {
		uint64_t state = count_load_seq_cst(&entry->state);
		uint64_t age = count_load_seq_cst(&table->shared->age);

		if (!segfs_table_age_is_even(age)) {
			int r = segfs_table_help(table, age);

			if (r < 0)
				return r;
		} else if (count_cas_seq_cst(&entry->state, &state, segfs_table_after_commit(state, copy)))
			return 0;
	}
	return -EAGAIN;
}

/* With `owner` held. */
static int put(struct segfs_table *table, unsigned field, const void *bytes)
{
	struct segfs_layout_field *entry = &table->shared->fields[field];
	uint64_t state = count_load_seq_cst(&entry->state);
	uint64_t count = count_load_relaxed(&entry->counts[segfs_table_now(state)]) + 1;
	unsigned next = segfs_table_next(state);

	fence_release();
	segfs_table_copy_in(segfs_table_copy(table, field, next), bytes, table->plan.places[field].size);
	count_store_relaxed(&entry->counts[next], count);
	return commit(table, entry, next);
}

SEGFS_PUBLIC int segfs_table_write(struct segfs_table *table, unsigned field, const void *bytes,
				   int64_t timeout_ns)
{
	uint32_t *owner;
	int me, died, r;

	if (field >= table->plan.n_fields)
		return -EINVAL;
	if (!table->writable)
		return -EACCES;
	me = segfs_robust_owner(table->area);
	if (me < 0)
		return me;
	owner = &table->shared->fields[field].owner;
	died = segfs_table_take(owner, (uint32_t)me, timeout_ns);
	if (died < 0)
		return died;
	r = put(table, field, bytes);
	segfs_table_let_go(owner, (uint32_t)me);
	return r < 0 ? r : died;
}

/* One look at the value; false if it was written over meanwhile. */
static bool look(const struct segfs_table *table, unsigned field, void *bytes, uint64_t *ret_count)
{
	const struct segfs_layout_field *entry = &table->shared->fields[field];
	uint64_t before = count_load_seq_cst(&entry->state), count;
	unsigned now = segfs_table_now(before);

	segfs_table_copy_out(bytes, segfs_table_copy(table, field, now), table->plan.places[field].size);
	count = count_load_relaxed(&entry->counts[now]);
	fence_acquire();
	if (!segfs_table_is_whole(before, count_load_relaxed(&entry->state)))
		return false;
	*ret_count = count;
	return true;
}

SEGFS_PUBLIC int segfs_table_read(const struct segfs_table *table, unsigned field, void *ret_bytes,
				  uint64_t *ret_count)
{
	SEGFS_FREE void *large = NULL;
	char small[STACK_MAX];
	void *bytes = small;
	size_t size;

	if (field >= table->plan.n_fields)
		return -EINVAL;
	size = table->plan.places[field].size;
	if (size > sizeof(small))
		bytes = large = malloc(size);
	if (!bytes)
		return -ENOMEM;
	for (unsigned i = 0; i < SEGFS_TABLE_TRIES; i++) {
		if (look(table, field, bytes, ret_count)) {
			memcpy(ret_bytes, bytes, size);
			return 0;
		}
	}
	return -EAGAIN;
}
