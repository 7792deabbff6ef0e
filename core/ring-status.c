/* SPDX-License-Identifier: MIT */
#include <segfs/ring.h>

#include <inttypes.h>

#include "ring-internal.h"
#include "ring-words.h"
#include "text.h"
#include "util.h"

static uint32_t alive(const struct segfs_layout_ring *header, uint32_t owner)
{
	return ring_lives(header, owner) ? owner & SEGFS_OWNER_TID : 0;
}

/* The copy is not of one moment: a consumer may be ahead of the `committed` that was read before it. */
static void add_consumer(struct segfs_ring_status *status, const struct segfs_layout_ring *header, uint32_t i)
{
	const struct segfs_layout_consumer *place = &header->consumers[i];
	uint64_t next = MIN(place->next, status->committed);
	unsigned n = status->n_consumers;

	if (!alive(header, place->owner))
		return;
	status->consumers[n].place = i;
	status->consumers[n].consumer = alive(header, place->owner);
	status->consumers[n].lag = status->committed - next;
	status->consumers[n].lost = place->lost;
	status->n_consumers++;
}

static void fill(struct segfs_ring_status *status, const struct segfs_layout_ring *header)
{
	status->committed = header->committed.count;
	status->begun = header->begun;
	status->dropped = header->dropped;
	status->producer = alive(header, header->producer);
	status->producer_died = status->producer == 0 && !ring_is_free(header->producer);
	status->epoch = header->epoch;
	for (uint32_t i = 0; i < SEGFS_RING_CONSUMERS; i++)
		add_consumer(status, header, i);
}

SEGFS_PUBLIC int segfs_ring_status(int fd, struct segfs_ring_status *ret_status)
{
	SEGFS_FREE struct segfs_layout_ring *header = malloc(sizeof(*header));
	struct segfs_ring_status status = {};
	uint64_t file_size;
	int r;

	if (!header)
		return -ENOMEM;
	r = segfs_ring_read_header(fd, header, &file_size);
	if (r == 0)
		r = segfs_ring_check(header, file_size, &status.info);
	if (r < 0)
		return r;
	fill(&status, header);
	*ret_status = status;
	return 0;
}

static void put_producer(struct segfs_text *out, const struct segfs_ring_status *status)
{
	if (status->producer != 0)
		segfs_text_printf(out, " producer %" PRIu32, status->producer);
	else
		segfs_text_printf(out, " producer %s", status->producer_died ? "died" : "none");
}

static void put_consumers(struct segfs_text *out, const struct segfs_ring_status *status)
{
	segfs_text_printf(out, " consumers%s", status->n_consumers == 0 ? " none" : "");
	for (unsigned i = 0; i < status->n_consumers; i++)
		segfs_text_printf(out, "%s%" PRIu32 " lag %" PRIu64 " lost %" PRIu64, i > 0 ? "," : " ",
				  status->consumers[i].consumer, status->consumers[i].lag,
				  status->consumers[i].lost);
	if (status->dropped > 0)
		segfs_text_printf(out, " dropped %" PRIu64, status->dropped);
}

SEGFS_PUBLIC size_t segfs_ring_status_format(const struct segfs_ring_status *status, char *buf, size_t size)
{
	struct segfs_text out = segfs_text_start(buf, size);

	segfs_text_printf(&out, "%s capacity %" PRIu64 " committed %" PRIu64,
			  status->info.policy == SEGFS_RING_BLOCK ? "block" : "overwrite",
			  status->info.capacity, status->committed);
	put_producer(&out, status);
	put_consumers(&out, status);
	return out.len;
}
