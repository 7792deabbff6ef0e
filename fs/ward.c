/* SPDX-License-Identifier: MIT */
#include "ward.h"

#include <stdlib.h>

#include "util.h"

struct ward *ward_find(struct ward *table, const struct segfs_handle *handle)
{
	struct ward *ward;

	HASH_FIND(hh, table, handle, sizeof(*handle), ward);
	return ward;
}

struct ward *ward_add(struct ward **table, const struct segfs_handle *handle)
{
	struct ward *ward = calloc(1, sizeof(*ward));

	if (!ward)
		return NULL;
	ward->handle = *handle;
	HASH_ADD(hh, *table, handle, sizeof(ward->handle), ward);
	if (!ward->hh.tbl) {
		free(ward);
		return NULL;
	}
	return ward;
}

void ward_remove(struct ward **table, struct ward *ward)
{
	HASH_DELETE(hh, *table, ward);
	free(ward);
}

void ward_used(struct ward *ward, int64_t now_ms)
{
	ward->last_ms = now_ms;
	ward->not_before_ms = now_ms + WARD_GRACE_MS;
	ward->backoff_ms = 0;
	ward->settled = false;
	if (ward->lifetime.kind != SEGFS_CREATOR && ward->use.state != LIFETIMES_ATTACHED)
		ward->use = (struct lifetimes_use){.state = LIFETIMES_ATTACHED, .since_ms = now_ms};
}

void ward_refused(struct ward *ward, int64_t now_ms)
{
	int64_t longer = MIN(2 * ward->backoff_ms, WARD_RETRY_MAX_MS);

	ward->backoff_ms = ward->has_events ? MAX(longer, WARD_RETRY_MIN_MS) : WARD_RETRY_MIN_MS;
	ward->not_before_ms = now_ms + ward->backoff_ms;
	ward->settled = false;
}

/* Without events, that nobody has it now says nothing of what happens next, nor when it was last used. */
void ward_settled(struct ward *ward, int64_t now_ms)
{
	ward->settled = ward->has_events;
	ward->backoff_ms = 0;
	ward->not_before_ms = now_ms + (ward->has_events ? 0 : WARD_RETRY_MIN_MS);
	if (ward->use.state == LIFETIMES_ATTACHED)
		ward->use = (struct lifetimes_use){.state = LIFETIMES_IDLE,
						   .since_ms = ward->has_events ? ward->last_ms : now_ms};
}

/* Not a moment too early: since_ms was rounded down. */
static int64_t ttl_end(const struct ward *ward)
{
	return ward->use.since_ms + 1 + INT64_C(1000) * ward->lifetime.ttl_s;
}

bool ward_is_over(const struct ward *ward, int64_t now_ms)
{
	switch (ward->lifetime.kind) {
	case SEGFS_CREATOR:
		return ward->creator->ended;
	case SEGFS_LAST_USER:
		return ward->use.state == LIFETIMES_IDLE;
	case SEGFS_TTL:
		return ward->use.state != LIFETIMES_ATTACHED && now_ms >= ttl_end(ward);
	default:
		return false;
	}
}

static int64_t due(const struct ward *ward)
{
	switch (ward->lifetime.kind) {
	case SEGFS_CREATOR:
		return ward->creator->ended ? ward->creator->ended_ms + WARD_GRACE_MS : WARD_NEVER;
	case SEGFS_LAST_USER:
		return ward->settled && ward->use.state == LIFETIMES_UNUSED ? WARD_NEVER : 0;
	case SEGFS_TTL:
		return ward->settled ? ttl_end(ward) : 0;
	default:
		return WARD_NEVER;
	}
}

int64_t ward_due(const struct ward *ward)
{
	return ward->told ? WARD_NEVER : MAX(due(ward), ward->not_before_ms);
}
