/* SPDX-License-Identifier: MIT */

/*
 * A table as it is, for who does not map the file: read twice with pread(2), as whoever may only read takes a
 * snapshot (segfs/layout.h). The entries come out of the file anew each time; of them only states and counts
 * are believed, which can be wrong but not out of range.
 */
#include "table-internal.h"

#include <inttypes.h>

#include "array-read.h"
#include "text.h"

/* Looks at a table whose writers do not pause, until it is given up. */
#define LOOKS	 1000
#define LOOKS_NS 20000000

/* A table that is looked at. */
struct sight {
	int fd; /* borrowed */
	struct segfs_table_plan plan;
	struct segfs_layout_field *entries; /* owned, and so is what follows */
	struct segfs_layout_field *again;
	uint64_t *counts;
	char *record; /* NULL: not wanted */
};

static void sight_clear(struct sight *sight)
{
	segfs_table_plan_clear(&sight->plan);
	free(sight->entries);
	free(sight->again);
	free(sight->counts);
	free(sight->record);
}

static int sight_init(struct sight *sight, int fd, size_t record_max)
{
	int r = segfs_table_plan_read(fd, &sight->plan);

	if (r < 0)
		return r;
	sight->fd = fd;
	sight->entries = calloc(sight->plan.n_fields, sizeof(*sight->entries));
	sight->again = calloc(sight->plan.n_fields, sizeof(*sight->again));
	sight->counts = calloc(sight->plan.n_fields, sizeof(*sight->counts));
	if (!sight->entries || !sight->again || !sight->counts)
		return -ENOMEM;
	if (sight->plan.dtype->itemsize > record_max)
		return 0;
	sight->record = calloc(1, sight->plan.dtype->itemsize);
	return sight->record ? 0 : -ENOMEM;
}

static int read_entries(const struct sight *sight, struct segfs_layout_field *entries)
{
	return segfs_read_whole(sight->fd, entries, sight->plan.n_fields * sizeof(*entries),
				offsetof(struct segfs_layout_table, fields));
}

static int read_values(const struct sight *sight)
{
	for (unsigned i = 0; i < sight->plan.n_fields; i++) {
		const struct segfs_table_place *place = &sight->plan.places[i];
		unsigned now = segfs_table_now(sight->entries[i].state);
		int r = segfs_read_whole(sight->fd, sight->record + place->at, place->size,
					 place->offset + now * place->stride);

		if (r < 0)
			return r;
	}
	return 0;
}

/* All values of the states that were read: -EAGAIN unless they are the same behind the values. */
static int look(const struct sight *sight)
{
	int r;

	r = read_entries(sight, sight->entries);
	if (r < 0 || !sight->record)
		return r;
	fence_acquire();
	r = read_values(sight);
	fence_acquire();
	if (r == 0)
		r = read_entries(sight, sight->again);
	for (unsigned i = 0; r == 0 && i < sight->plan.n_fields; i++)
		if (sight->entries[i].state != sight->again[i].state)
			r = -EAGAIN;
	return r;
}

static int look_often(const struct sight *sight)
{
	int64_t deadline = segfs_futex_deadline(LOOKS_NS);
	int r;

	for (int i = 0; i < LOOKS; i++) {
		r = look(sight);
		if (r != -EAGAIN || (i > 1 && segfs_futex_is_over(deadline)))
			break;
	}
	return r;
}

static uint64_t sum_counts(struct sight *sight)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < sight->plan.n_fields; i++) {
		const struct segfs_layout_field *entry = &sight->entries[i];

		sight->counts[i] = entry->counts[segfs_table_now(entry->state)];
		sum += sight->counts[i];
	}
	return sum;
}

SEGFS_PUBLIC int segfs_table_status(int fd, size_t record_max, struct segfs_table_status *ret_status)
{
	SEGFS_CLEANUP(sight_clear) struct sight sight = {};
	uint64_t age = 0;
	int r;

	r = sight_init(&sight, fd, record_max);
	if (r == 0)
		r = look_often(&sight);
	if (r == 0)
		r = segfs_read_whole(fd, &age, sizeof(age), offsetof(struct segfs_layout_table, age));
	if (r < 0)
		return r;
	ret_status->n_fields = sight.plan.n_fields;
	ret_status->writes = sum_counts(&sight);
	ret_status->snapshots = age / 2;
	ret_status->dtype = steal_pointer(&sight.plan.dtype);
	ret_status->counts = steal_pointer(&sight.counts);
	ret_status->record = steal_pointer(&sight.record);
	return 0;
}

SEGFS_PUBLIC void segfs_table_status_clear(struct segfs_table_status *status)
{
	segfs_dtype_free(status->dtype);
	free(status->counts);
	free(status->record);
	*status = (struct segfs_table_status){0};
}

SEGFS_PUBLIC size_t segfs_table_status_format(const struct segfs_table_status *status, char *buf, size_t size)
{
	struct segfs_text out = segfs_text_start(buf, size);

	segfs_text_printf(&out, "fields %u record %zu writes %" PRIu64 " snapshots %" PRIu64,
			  status->n_fields, status->dtype->itemsize, status->writes, status->snapshots);
	return out.len;
}
