/* SPDX-License-Identifier: MIT */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <utlist.h>

#include "backoff.h"
#include "fs.h"

/* Pauses for a lease of our own, some 2 s in all: who has it may not get a processor for a while. */
#define OURS_MAX 320

void leases_init(struct leases *leases)
{
	pthread_mutex_init(&leases->lock, NULL);
}

void leases_destroy(struct leases *leases)
{
	pthread_mutex_destroy(&leases->lock);
}

/* It is known before it is in anybody's way. */
static void begin(struct leases *leases, struct lease *lease)
{
	lease->held = true;
	pthread_mutex_lock(&leases->lock);
	DL_APPEND(leases->first, lease);
	pthread_mutex_unlock(&leases->lock);
}

void lease_announce(struct leases *leases, struct lease *lease, ino_t ino)
{
	*lease = (struct lease){.fd = -1, .ino = ino, .until = -1};
	begin(leases, lease);
}

int lease_take(struct leases *leases, struct lease *lease, int fd, ino_t ino, int type, off_t until)
{
	int r = 0;

	*lease = (struct lease){.fd = fd, .ino = ino, .until = until};
	begin(leases, lease);
	if (fcntl(fd, F_SETLEASE, type) < 0) {
		r = -errno;
		lease_give_back(leases, lease);
	}
	return r;
}

/* With the lock held. */
static void end(struct leases *leases, struct lease *lease)
{
	if (!lease->held)
		return;
	if (lease->fd >= 0)
		fcntl(lease->fd, F_SETLEASE, F_UNLCK);
	DL_DELETE(leases->first, lease);
	lease->held = false;
}

void lease_give_back(struct leases *leases, struct lease *lease)
{
	pthread_mutex_lock(&leases->lock);
	end(leases, lease);
	pthread_mutex_unlock(&leases->lock);
}

/* A file that shrinks has its new size from the beginning; it is giving back the pages that takes long. */
static bool is_of_no_more_use(const struct lease *lease)
{
	struct stat st;

	return lease->until >= 0 && fstat(lease->fd, &st) == 0 && st.st_size == lease->until;
}

/* With the lock held. The one that segfs has on this file, or NULL. */
static struct lease *find(struct leases *leases, ino_t ino)
{
	struct lease *lease;

	DL_SEARCH_SCALAR(leases->first, lease, ino, ino);
	return lease;
}

int lease_reopen(struct fs *fs, int fd, ino_t ino, int flags)
{
	int r = -EAGAIN;

	pthread_mutex_lock(&fs->leases.lock);
	if (!find(&fs->leases, ino))
		r = segfs_store_reopen(&fs->store, fd, flags | O_NONBLOCK);
	pthread_mutex_unlock(&fs->leases.lock);
	return r;
}

/* Has segfs one on this file? One that is of no more use ends. */
static bool is_ours(struct leases *leases, ino_t ino)
{
	struct lease *lease;

	pthread_mutex_lock(&leases->lock);
	lease = find(leases, ino);
	if (lease && is_of_no_more_use(lease))
		end(leases, lease);
	pthread_mutex_unlock(&leases->lock);
	return lease;
}

/* Where no thread can be spared, there is one more attempt at once: one of ours may just have ended. */
bool lease_again(struct fs *fs, ino_t ino, struct lease_wait *wait)
{
	if (is_ours(&fs->leases, ino)) {
		if (wait->n_ours == OURS_MAX)
			return false;
		backoff_sleep(wait->n_ours++);
		return true;
	}
	if (wait->n >= BACKOFF_MAX)
		return false;
	wait->n = backoff_pause(fs, wait->n) ? wait->n + 1 : BACKOFF_MAX;
	return true;
}
