/* SPDX-License-Identifier: MIT */
#include "space.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "backoff.h"
#include "fresh.h"
#include "fs.h"
#include "journal.h"
#include "util.h"

/* So long after a removal, or a last close, space is awaited. */
#define AWAITED_MS BACKOFF_MS

/* Pauses where no space is awaited, but some may come; and those of space_settle(). */
#define DOUBTS_MAX 4
#define SETTLE_MAX 8

/* Pauses after a removal even where nothing is known to hold the file: threads that look at files on their
 * own account, as when a change is heard of, do so for an instant, and are not counted. */
#define STRAYS_MAX 8

/* Bytes: by the time that so much has been written, what was on its way has come. */
#define ENOUGH (64 << 20)

void space_init(struct space *space)
{
	pthread_mutex_init(&space->lock, NULL);
}

void space_start(struct fs *fs)
{
	if (fs->ledger.page->n_workers == 1)
		return;
	space_note_close(fs);
	fs->space.unknown_until_ms = fs->space.awaited_until_ms;
}

void space_note_close(struct fs *fs)
{
	fs->space.awaited_until_ms = fresh_now_ms() + AWAITED_MS;
}

void space_note_removal(struct fs *fs, pid_t pid, uint64_t ino)
{
	struct space *space = &fs->space;

	space_note_close(fs);
	pthread_mutex_lock(&space->lock);
	space->removals[space->n_removals++ % COUNT_OF(space->removals)] =
		(struct space_removal){.pid = pid, .ino = ino};
	pthread_mutex_unlock(&space->lock);
}

static bool is_awaited(struct fs *fs)
{
	return fresh_now_ms() <= fs->space.awaited_until_ms;
}

/* What the supervisor holds is looked at after the nodes, and what threads hold after both: each lets go only
 * when the one before has been told, or told it. */
static bool is_held_by_us(struct fs *fs)
{
	return fresh_now_ms() <= fs->space.unknown_until_ms || fs->ledger.page->n_pin_words > 0 ||
	       fs->ledger.page->unpins_missed || promoter_is_looking(fs) ||
	       journal_has_letting_go(&fs->ledger);
}

static bool is_on_its_way(struct fs *fs)
{
	return fs->nodes.n_nameless > 0 || is_held_by_us(fs);
}

static bool is_nameless(struct fs *fs, uint64_t ino)
{
	struct node node;

	return node_get(&fs->nodes, ino, &node) == 0 && node.nameless;
}

/* Has this process removed a file that the kernel has not forgotten? */
static bool has_removed(struct fs *fs, pid_t pid)
{
	struct space *space = &fs->space;
	bool found = false;

	pthread_mutex_lock(&space->lock);
	for (size_t i = 0; i < COUNT_OF(space->removals); i++) {
		struct space_removal *removal = &space->removals[i];

		if (removal->ino == 0 || removal->pid != pid)
			continue;
		if (is_nameless(fs, removal->ino))
			found = true;
		else
			removal->ino = 0;
	}
	pthread_mutex_unlock(&space->lock);
	return found;
}

/* What came while the attempt was made it may not have found. That a file was closed may not be known yet. */
bool space_again(struct fs *fs, struct space_wait *wait, int r)
{
	bool awaited = is_awaited(fs);

	if ((r != -ENOSPC && r != -EDQUOT) || wait->was_last || (!awaited && !is_on_its_way(fs)))
		return false;
	if (wait->n >= (awaited ? BACKOFF_MAX : DOUBTS_MAX))
		return false;
	if (!backoff_pause(fs, wait->n++))
		return false;
	wait->was_last = !is_on_its_way(fs) && (!awaited || wait->n >= STRAYS_MAX);
	return true;
}

static bool is_short(const struct fs *fs)
{
	struct statvfs st;

	return fstatvfs(fs->store.root_fd, &st) == 0 && st.f_bfree < ENOUGH / st.f_frsize;
}

void space_settle(struct fs *fs, pid_t pid)
{
	if (!is_awaited(fs) || !is_short(fs))
		return;
	for (unsigned n = 0; n < SETTLE_MAX && (has_removed(fs, pid) || is_held_by_us(fs)) && is_short(fs);
	     n++)
		if (!backoff_pause(fs, n))
			return;
}
