/* SPDX-License-Identifier: MIT */
#include "reap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "census.h"
#include "claim.h"
#include "creator.h"
#include "guard.h"
#include "log.h"
#include "table.h"
#include "util.h"

/* Each takes two descriptors, for a moment; all share one pause. */
#define BATCH 256

struct attempt {
	struct ward *ward;
	struct claim claim;
	struct lease lease; /* the claim's */
	bool hidden;	    /* to be removed after the pause */
	bool removed;	    /* and has been */
	int error;	    /* -errno of what has been in the way */
};

struct batch {
	struct fs *fs;
	int64_t now_ms;
	struct segfs_census *census; /* owned, taken when first needed */
	struct attempt attempts[BATCH];
	size_t n;
};

static void gather(struct batch *batch)
{
	struct reaper *reaper = &batch->fs->reaper;

	reaper->next_ms = WARD_NEVER;
	for (struct ward *ward = reaper->wards; ward; ward = ward->hh.next) {
		int64_t due_ms = ward_due(ward);

		if (due_ms > batch->now_ms || batch->n == BATCH)
			guard_wake(batch->fs, due_ms);
		else
			batch->attempts[batch->n++] = (struct attempt){.ward = ward, .claim = CLAIM_NONE};
	}
}

/* Not whether anybody has it, which the lease tells, but whether that is somebody other than this process. */
static bool is_attached(struct batch *batch, const struct ward *ward)
{
	const struct segfs_user *users;

	if (!batch->census && segfs_census_take(batch->fs->dev, &batch->census) < 0)
		return false;
	return segfs_census_find(batch->census, ward->ino, &users) > 0;
}

/*
 * An open tells of itself; but who had it open when the ward was met, and had not opened it through segfs or
 * before it was marked, is found in /proc.
 */
static void refuse(struct batch *batch, struct ward *ward)
{
	if (ward->lifetime.kind != SEGFS_CREATOR && ward->use.state != LIFETIMES_ATTACHED &&
	    is_attached(batch, ward))
		guard_used(batch->fs, ward);
	ward_refused(ward, batch->now_ms);
	guard_wake(batch->fs, ward_due(ward));
}

/* The kept backing id is an opener too. */
static int take(struct fs *fs, struct attempt *attempt)
{
	const struct ward *ward = attempt->ward;

	if (!passthrough_retire(&fs->passthrough, &fs->nodes, node_id(&fs->nodes, ward->ino)))
		return -EAGAIN;
	lease_announce(&fs->leases, &attempt->lease, ward->ino);
	return claim_take(&fs->store, &ward->handle, &attempt->claim);
}

static void let_go(struct batch *batch, struct attempt *attempt)
{
	claim_release(&attempt->claim);
	lease_give_back(&batch->fs->leases, &attempt->lease);
}

static void print_reason(const struct ward *ward, int fd, FILE *out)
{
	struct segfs_process creator = {.pid = ward->creator ? (pid_t)ward->creator->key.pid : 0};

	switch (ward->lifetime.kind) {
	case SEGFS_CREATOR:
		creator_get(fd, ward->ino, &creator);
		fprintf(out, "its creator, pid %d (", creator.pid);
		table_escape(creator.command, out);
		fputs("), has ended", out);
		break;
	case SEGFS_LAST_USER:
		fputs("its last user has gone", out);
		break;
	default:
		fprintf(out, "nobody had it attached for %u s", ward->lifetime.ttl_s);
	}
}

/* "removed /dev/shm/x: its last user has gone" */
static void tell(const struct fs *fs, const char *what, const struct attempt *attempt)
{
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	fprintf(out, "%s ", what);
	table_escape(fs->options.store, out);
	putc('/', out);
	table_escape(attempt->claim.path, out);
	fputs(": ", out);
	print_reason(attempt->ward, attempt->claim.fd, out);
	if (close_text(out, &text) == 0)
		log_info("%s", text);
}

/* Its time has come: 0 once it is hidden, or with dry-run told of. */
static int condemn(struct fs *fs, struct attempt *attempt)
{
	int r;

	r = claim_locate(&fs->store, &attempt->claim);
	if (r < 0)
		return r;
	if (fs->options.dry_run) {
		tell(fs, "would remove", attempt);
		attempt->ward->told = true;
		return 0;
	}
	r = claim_hide(&attempt->claim);
	attempt->hidden = r == 0;
	return r;
}

static int look(struct batch *batch, struct attempt *attempt)
{
	struct ward *ward = attempt->ward;
	int r;

	r = take(batch->fs, attempt);
	if (r < 0)
		return r;
	ward_settled(ward, batch->now_ms);
	guard_note(batch->fs, ward, attempt->claim.fd);
	guard_wake(batch->fs, ward_due(ward));
	return ward_is_over(ward, batch->now_ms) ? condemn(batch->fs, attempt) : 0;
}

static void pause_for_openers(void)
{
	nanosleep(&(struct timespec){.tv_nsec = CLAIM_PAUSE_MS * 1000000}, NULL);
}

static int execute(struct fs *fs, struct attempt *attempt)
{
	int r;

	pthread_mutex_lock(&fs->reaper.verdict);
	r = guard_still_says(attempt->ward, attempt->claim.fd) ? claim_remove(&attempt->claim) : -EAGAIN;
	pthread_mutex_unlock(&fs->reaper.verdict);
	attempt->removed = r == 0;
	return r;
}

static void conclude(struct batch *batch, struct attempt *attempt)
{
	struct ward *ward = attempt->ward;

	if (attempt->removed) {
		batch->fs->ledger.page->n_removed[ward->lifetime.kind]++;
		tell(batch->fs, "removed", attempt);
		sweep_look(batch->fs);
		let_go(batch, attempt);
	}
	if (attempt->removed || attempt->error == -ESTALE)
		guard_forget(batch->fs, ward);
	else if (attempt->error < 0)
		refuse(batch, ward);
}

/* Somebody may be waiting for any of the claims: what can take long, the log and a look through /proc, comes
 * when all those are given back. */
static void work(struct batch *batch)
{
	struct attempt *const end = batch->attempts + batch->n;
	bool any_hidden = false;

	for (struct attempt *attempt = batch->attempts; attempt < end; attempt++) {
		attempt->error = look(batch, attempt);
		any_hidden |= attempt->hidden;
		if (!attempt->hidden)
			let_go(batch, attempt);
	}
	if (any_hidden)
		pause_for_openers();
	for (struct attempt *attempt = batch->attempts; attempt < end; attempt++) {
		if (attempt->hidden)
			attempt->error = execute(batch->fs, attempt);
		if (!attempt->removed)
			let_go(batch, attempt);
	}
	for (struct attempt *attempt = batch->attempts; attempt < end; attempt++)
		conclude(batch, attempt);
}

void reap(struct fs *fs)
{
	SEGFS_FREE struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch) {
		fs->reaper.next_ms = lifetimes_now_ms() + WARD_RETRY_MIN_MS;
		return;
	}
	batch->fs = fs;
	batch->now_ms = lifetimes_now_ms();
	gather(batch);
	work(batch);
	segfs_census_free(batch->census);
}
