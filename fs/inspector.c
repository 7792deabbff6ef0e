/* SPDX-License-Identifier: MIT */
#include "inspector.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs.h"
#include "process.h"
#include "reply.h"
#include "util.h"

struct inspector_job {
	struct inspector_job *next;
	fuse_req_t req;
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

static void answer(struct fs *fs, const struct inspector_job *job)
{
	const struct segfs_identity file = {.dev = {fs->dev, fs->store.dev}, .ino = job->ino};
	SEGFS_FREE char *text = NULL;
	int r;

	if (job->what == INSPECT_LOCK)
		r = segfs_process_locks(&file, &text);
	else
		r = read_attached(&file, &text);
	if (r < 0)
		reply(job->req, r);
	else
		reply_xattr(job->req, text, strlen(text), job->size);
}

/* Waits for the next job; NULL when the thread shall end. */
static struct inspector_job *take(struct inspector *inspector)
{
	struct inspector_job *job = NULL;

	pthread_mutex_lock(&inspector->lock);
	while (!inspector->first && !inspector->stop)
		pthread_cond_wait(&inspector->wake, &inspector->lock);
	if (!inspector->stop) {
		job = inspector->first;
		inspector->first = job->next;
		if (!inspector->first)
			inspector->last = &inspector->first;
	}
	pthread_mutex_unlock(&inspector->lock);
	return job;
}

static void *run(void *data)
{
	struct fs *fs = data;
	struct inspector_job *job;

	while ((job = take(&fs->inspector))) {
		answer(fs, job);
		free(job);
	}
	return NULL;
}

int inspector_start(struct fs *fs)
{
	struct inspector *inspector = &fs->inspector;
	int r;

	inspector->last = &inspector->first;
	pthread_mutex_init(&inspector->lock, NULL);
	pthread_cond_init(&inspector->wake, NULL);
	r = -pthread_create(&inspector->thread, NULL, run, fs);
	inspector->running = r == 0;
	return r;
}

void inspector_stop(struct fs *fs)
{
	struct inspector *inspector = &fs->inspector;
	struct inspector_job *job;

	if (!inspector->running)
		return;
	pthread_mutex_lock(&inspector->lock);
	inspector->stop = true;
	pthread_cond_signal(&inspector->wake);
	pthread_mutex_unlock(&inspector->lock);
	pthread_join(inspector->thread, NULL);
	inspector->running = false;

	while ((job = inspector->first)) {
		inspector->first = job->next;
		reply(job->req, -EINTR);
		free(job);
	}
}

void inspector_submit(struct fs *fs, fuse_req_t req, enum inspection what, ino_t ino, size_t size)
{
	struct inspector *inspector = &fs->inspector;
	struct inspector_job *job = malloc(sizeof(*job));

	if (!job) {
		reply(req, -ENOMEM);
		return;
	}
	*job = (struct inspector_job){.req = req, .what = what, .ino = ino, .size = size};
	pthread_mutex_lock(&inspector->lock);
	*inspector->last = job;
	inspector->last = &job->next;
	pthread_cond_signal(&inspector->wake);
	pthread_mutex_unlock(&inspector->lock);
}
