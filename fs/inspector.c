/* SPDX-License-Identifier: MIT */
#include "inspector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "process.h"
#include "reply.h"
#include "util.h"

struct inspection_job {
	struct slow_job job;
	enum inspection what;
	ino_t ino;
	size_t size;
};

static int format_pids(const struct segfs_pids *pids, char **ret_text)
{
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	segfs_pids_print(pids, out);
	if (fclose(out) != 0)
		return -ENOMEM;
	*ret_text = steal_pointer(&text);
	return 0;
}

static int read_attached(const struct segfs_identity *file, char **ret_text)
{
	SEGFS_CLEANUP(segfs_pids_clear) struct segfs_pids pids = {};
	int r = segfs_process_attached(file, &pids);

	return r < 0 ? r : format_pids(&pids, ret_text);
}

static void inspect(struct fs *fs, struct slow_job *job)
{
	const struct inspection_job *inspection = (const void *)job;
	const struct segfs_identity file = {.dev = {fs->dev, fs->store.dev}, .ino = inspection->ino};
	SEGFS_FREE char *text = NULL;
	int r;

	if (inspection->what == INSPECT_LOCK)
		r = segfs_process_locks(&file, &text);
	else
		r = read_attached(&file, &text);
	if (r < 0)
		reply(job->req, r);
	else
		reply_xattr(job->req, text, strlen(text), inspection->size);
}

void inspector_submit(fuse_req_t req, enum inspection what, ino_t ino, size_t size)
{
	struct inspection_job *inspection = malloc(sizeof(*inspection));

	if (!inspection) {
		reply(req, -ENOMEM);
		return;
	}
	*inspection = (struct inspection_job){
		.job = {.req = req, .run = inspect}, .what = what, .ino = ino, .size = size};
	slow_lane_submit(fs_of(req), &inspection->job);
}
