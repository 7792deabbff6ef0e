/* SPDX-License-Identifier: MIT */
#include "inspector.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "census.h"
#include "devices.h"
#include "locks.h"
#include "page-lock.h"
#include "reply.h"
#include "residency.h"
#include "util.h"

struct inspection_job {
	struct slow_job job;
	enum inspection what;
	ino_t ino;
	int fd; /* owned */
	size_t size;
};

static int print_attached(const struct segfs_identity *file, FILE *out)
{
	SEGFS_CLEANUP(segfs_pids_clear) struct segfs_pids pids = {};
	int r = segfs_census_attached(file, &pids);

	if (r == 0)
		segfs_pids_print(&pids, out);
	return r;
}

static int print_locks(const struct fs *fs, const struct segfs_identity *file, int page_fd, FILE *out)
{
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *locks = NULL;
	SEGFS_CLEANUP(segfs_page_lock_clear) struct segfs_page_lock page = {};
	int r = page_lock_read(fs, page_fd, file->ino, NULL, &page, NULL);

	if (r == 0 || r == -ENOENT)
		r = segfs_locks_read(&locks);
	return r < 0 ? r : segfs_locks_print(locks, file, SEGFS_LOCKS_TEXT, NULL, &page, out);
}

/* "2097152/8003584": bytes on huge pages, and in memory at all. */
static int print_huge(int fd, FILE *out)
{
	struct segfs_residency residency;
	int r = segfs_residency_read(fd, &residency);

	if (r == 0)
		fprintf(out, "%" PRIu64 "/%" PRIu64, residency.huge, residency.resident);
	return r;
}

static int format(const struct fs *fs, const struct inspection_job *inspection, char **ret_text)
{
	const struct segfs_identity file = devices_identity(fs, inspection->ino);
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int r;

	if (!out)
		return -ENOMEM;
	if (inspection->what == INSPECT_LOCK)
		r = print_locks(fs, &file, inspection->fd, out);
	else if (inspection->what == INSPECT_HUGE)
		r = print_huge(inspection->fd, out);
	else
		r = print_attached(&file, out);
	if (close_text(out, &text) < 0)
		return -ENOMEM;
	if (r == 0)
		*ret_text = steal_pointer(&text);
	return r;
}

static void inspect(struct fs *fs, struct slow_job *job)
{
	const struct inspection_job *inspection = (const void *)job;
	SEGFS_FREE char *text = NULL;
	int r;

	r = format(fs, inspection, &text);
	if (r < 0)
		reply(job->req, r);
	else
		reply_xattr(job->req, text, strlen(text), inspection->size);
}

static void clear(struct slow_job *job)
{
	close_fd(&((struct inspection_job *)job)->fd);
}

void inspector_submit(fuse_req_t req, enum inspection what, ino_t ino, int fd, size_t size)
{
	struct inspection_job *inspection = malloc(sizeof(*inspection));

	if (!inspection) {
		close_fd(&fd);
		reply(req, -ENOMEM);
		return;
	}
	*inspection = (struct inspection_job){.job = {.req = req, .run = inspect, .clear = clear},
					      .what = what,
					      .ino = ino,
					      .fd = fd,
					      .size = size};
	slow_lane_submit(fs_of(req), &inspection->job);
}
