/* SPDX-License-Identifier: MIT */
#include "slow-lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "caller.h"
#include "fs.h"
#include "journal.h"
#include "log.h"
#include "reply.h"

static void job_free(struct slow_job *job)
{
	if (job->clear)
		job->clear(job);
	free(job);
}

/* Waits for the next job; NULL when the thread shall end. */
static struct slow_job *take(struct slow_lane *lane)
{
	struct slow_job *job = NULL;

	pthread_mutex_lock(&lane->lock);
	while (!lane->first && !lane->stop)
		pthread_cond_wait(&lane->wake, &lane->lock);
	if (!lane->stop) {
		job = lane->first;
		lane->first = job->next;
		if (!lane->first)
			lane->last = &lane->first;
	}
	pthread_mutex_unlock(&lane->lock);
	return job;
}

static void *run(void *data)
{
	struct fs *fs = data;
	struct slow_job *job;
	int r = caller_thread_init();

	if (r < 0)
		log_error("unshare: %s", strerror(-r));
	while ((job = take(&fs->slow_lane))) {
		journal_resume(job->unique);
		job->run(fs, job);
		job_free(job);
	}
	return NULL;
}

int slow_lane_start(struct fs *fs)
{
	struct slow_lane *lane = &fs->slow_lane;
	int r;

	lane->last = &lane->first;
	pthread_mutex_init(&lane->lock, NULL);
	pthread_cond_init(&lane->wake, NULL);
	r = -pthread_create(&lane->thread, NULL, run, fs);
	lane->running = r == 0;
	return r;
}

void slow_lane_stop(struct fs *fs)
{
	struct slow_lane *lane = &fs->slow_lane;
	struct slow_job *job;

	if (!lane->running)
		return;
	pthread_mutex_lock(&lane->lock);
	lane->stop = true;
	pthread_cond_signal(&lane->wake);
	pthread_mutex_unlock(&lane->lock);
	pthread_join(lane->thread, NULL);
	lane->running = false;

	while ((job = lane->first)) {
		lane->first = job->next;
		reply(job->req, -EINTR);
		job_free(job);
	}
}

void slow_lane_submit(struct fs *fs, struct slow_job *job)
{
	struct slow_lane *lane = &fs->slow_lane;

	job->next = NULL;
	job->unique = journal_unique();
	pthread_mutex_lock(&lane->lock);
	*lane->last = job;
	lane->last = &job->next;
	pthread_cond_signal(&lane->wake);
	pthread_mutex_unlock(&lane->lock);
}
