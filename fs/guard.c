/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "claim.h"
#include "creator.h"
#include "log.h"
#include "util.h"
#include "walk.h"

/* How far two clocks and a coarse third may disagree. */
#define CLOCKS_MS 1000

void guard_wake(struct fs *fs, int64_t due_ms)
{
	fs->reaper.next_ms = MIN(fs->reaper.next_ms, due_ms);
}

void guard_forget(struct fs *fs, struct ward *ward)
{
	process_ends_put(&fs->reaper.ends, ward->creator);
	ward_remove(&fs->reaper.wards, ward);
	fs->reaper.n_wards = ward_count(fs->reaper.wards);
}

static int64_t boottime_ms_of(const struct timespec *realtime)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return lifetimes_now_ms() - ((int64_t)now.tv_sec - realtime->tv_sec) * 1000 -
	       (now.tv_nsec - realtime->tv_nsec) / 1000000;
}

/*
 * What happened while no daemon was there is not known. Who had a segment then may have left it only now. Who
 * came and went has left a trace in its time of access: that is moved where it is older than the last change
 * of the file (relatime), and a note is such a change. For ttl that counts as use until now.
 */
static void assume_use_while_away(struct ward *ward, const struct stat *st)
{
	int64_t now_ms = lifetimes_now_ms();

	if (ward->use.state == LIFETIMES_ATTACHED)
		ward->last_ms = now_ms;
	else if (ward->lifetime.kind == SEGFS_TTL &&
		 boottime_ms_of(&st->st_atim) > ward->use.since_ms + CLOCKS_MS)
		ward_used(ward, now_ms);
}

static bool meet_creator(struct fs *fs, struct ward *ward, int fd)
{
	struct segfs_process creator;

	if (creator_get(fd, ward->ino, &creator) == 0)
		ward->creator = process_ends_get(&fs->reaper.ends, &creator);
	return ward->creator;
}

/* What the notes say. False: nothing by which it could ever end. */
static bool learn(struct fs *fs, struct ward *ward, int fd, const struct segfs_lifetime *lifetime)
{
	struct process_end *before = steal_pointer(&ward->creator);
	bool known = true;

	ward->lifetime = *lifetime;
	ward->use = (struct lifetimes_use){.state = LIFETIMES_UNUSED, .since_ms = lifetimes_now_ms()};
	if (lifetime->kind == SEGFS_CREATOR)
		known = meet_creator(fs, ward, fd);
	else
		lifetimes_get_use(fd, ward->ino, &ward->use);
	ward->noted = ward->use;
	process_ends_put(&fs->reaper.ends, before);
	return known;
}

static void begin(struct fs *fs, struct ward *ward, int fd, const struct stat *st, bool was_away)
{
	ward->has_events = uses_watch(&fs->reaper.uses, fd) == 0;
	ward->last_ms = MAX(ward->last_ms, ward->use.since_ms);
	ward->not_before_ms = lifetimes_now_ms() + WARD_GRACE_MS;
	ward->backoff_ms = 0;
	ward->settled = ward->told = false;
	if (was_away)
		assume_use_while_away(ward, st);
	guard_wake(fs, ward_due(ward));
	fs->reaper.n_wards = ward_count(fs->reaper.wards);
}

/* A file whose lifetime cannot be read now may have one: it is then left as it is. */
static bool wants_ward(int fd, const struct stat *st, struct segfs_lifetime *ret_lifetime)
{
	return S_ISREG(st->st_mode) && st->st_nlink > 0 && lifetimes_get(fd, st->st_ino, ret_lifetime) == 0 &&
	       ret_lifetime->kind != SEGFS_KEEP;
}

void guard_meet(struct fs *fs, int fd, bool was_away)
{
	struct segfs_lifetime lifetime;
	struct segfs_handle handle;
	struct ward *ward;
	struct stat st;
	bool wanted;

	if (fstat(fd, &st) < 0 || segfs_store_handle(fd, &handle) < 0)
		return;
	wanted = wants_ward(fd, &st, &lifetime);
	ward = ward_find(fs->reaper.wards, &handle);
	if (!ward && wanted)
		ward = ward_add(&fs->reaper.wards, &handle);
	if (!ward)
		return;
	ward->ino = st.st_ino;
	if (wanted && learn(fs, ward, fd, &lifetime)) {
		begin(fs, ward, fd, &st, was_away);
		return;
	}
	uses_ignore(&fs->reaper.uses, fd);
	guard_forget(fs, ward);
}

static bool is_left_hidden(const struct segfs_walk_entry *entry, int fd)
{
	struct segfs_lifetime lifetime;
	struct stat st;

	return !strncmp(entry->name, CLAIM_HIDDEN, strlen(CLAIM_HIDDEN)) && fstat(fd, &st) == 0 &&
	       wants_ward(fd, &st, &lifetime);
}

static bool meet_entry(const struct segfs_walk_entry *entry, void *data)
{
	SEGFS_CLOSE int fd = -1;
	struct fs *fs = data;
	int r = 0;

	if (entry->type != DT_REG)
		return !fs->reaper.stop;
	fd = openat(entry->dir_fd, entry->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return true;
	if (is_left_hidden(entry, fd))
		r = claim_restore(entry->dir_fd, entry->name);
	if (r < 0)
		log_warning("%s was about to be removed, and keeps that name: %s", entry->path, strerror(-r));
	guard_meet(fs, fd, true);
	return !fs->reaper.stop;
}

void guard_meet_all(struct fs *fs)
{
	int r = segfs_walk(fs->store.root_fd, meet_entry, fs);

	if (r < 0)
		log_error("looking for segments with a lifetime: %s", strerror(-r));
}

static bool same_use(const struct lifetimes_use *a, const struct lifetimes_use *b)
{
	return a->state == b->state && a->since_ms == b->since_ms;
}

bool guard_still_says(const struct ward *ward, int fd)
{
	struct lifetimes_use use = ward->noted;
	struct segfs_lifetime lifetime;

	if (lifetimes_get(fd, ward->ino, &lifetime) < 0 || lifetime.kind != ward->lifetime.kind ||
	    lifetime.ttl_s != ward->lifetime.ttl_s)
		return false;
	if (lifetime.kind != SEGFS_CREATOR)
		lifetimes_get_use(fd, ward->ino, &use);
	return same_use(&use, &ward->noted);
}

/* What was set anew meanwhile is not written over; the reaper will hear of it. */
void guard_note(struct fs *fs, struct ward *ward, int fd)
{
	if (same_use(&ward->use, &ward->noted))
		return;
	pthread_mutex_lock(&fs->reaper.verdict);
	if (guard_still_says(ward, fd) && lifetimes_set_use(fd, ward->ino, &ward->use) == 0)
		ward->noted = ward->use;
	pthread_mutex_unlock(&fs->reaper.verdict);
}

void guard_used(struct fs *fs, struct ward *ward)
{
	SEGFS_CLOSE int fd = -1;

	ward_used(ward, lifetimes_now_ms());
	guard_wake(fs, ward_due(ward));
	if (same_use(&ward->use, &ward->noted))
		return;
	fd = segfs_store_open_handle(&fs->store, &ward->handle, O_PATH);
	if (fd >= 0)
		guard_note(fs, ward, fd);
}
