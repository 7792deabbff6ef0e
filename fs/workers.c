/* SPDX-License-Identifier: MIT */
#include "workers.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "caller.h"
#include "fs.h"
#include "journal.h"
#include "log.h"
#include "util.h"

/* One to wait while the other answers. */
#define READING_MIN 2

/* After so many requests for which nobody had to be called, one less is wanted. */
#define CALM 1000

/* A thread has its buffer from its first request on: one that cannot have it tries again after so long. */
#define NO_MEMORY_NS 10000000

/* Its only use is to make a read(2) of /dev/fuse return, so that the thread sees that it shall end. */
#define WAKE_SIGNAL SIGUSR2

static void on_wake(int number)
{
	(void)number;
}

/* This thread has read a request. If nobody waits for the next one, a thread that rests shall. */
static void leave_off_reading(struct workers *workers)
{
	bool call;

	pthread_mutex_lock(&workers->lock);
	call = --workers->n_reading == 0 && workers->n_resting > 0;
	if (call) {
		workers->n_resting--;
		workers->n_called++;
		workers->n_reading++;
		workers->n_wanted++;
		workers->n_calm = 0;
	} else if (++workers->n_calm == CALM) {
		workers->n_wanted = MAX(workers->n_wanted - 1, READING_MIN);
		workers->n_calm = 0;
	}
	pthread_mutex_unlock(&workers->lock);
	if (call)
		pthread_cond_signal(&workers->call);
}

/* Returns when this thread is to wait for a request. */
static void rest(struct workers *workers)
{
	pthread_mutex_lock(&workers->lock);
	if (workers->n_reading < workers->n_wanted) {
		workers->n_reading++;
	} else {
		workers->n_resting++;
		while (workers->n_called == 0 && !workers->stop)
			pthread_cond_wait(&workers->call, &workers->lock);
		workers->n_called -= workers->n_called > 0;
	}
	pthread_mutex_unlock(&workers->lock);
}

static void process(struct fs *fs, const struct fuse_buf *request)
{
	fuse_session_process_buf(fs->session, request);
	journal_end();
	spare_give_back(fs);
}

static void process_put_aside(struct fs *fs)
{
	struct fuse_buf *request;

	while (!fuse_session_exited(fs->session) && (request = spare_next(fs))) {
		process(fs, request);
		free(request);
	}
}

static void serve(struct fs *fs)
{
	struct fuse_buf buf = {};

	rest(&fs->workers);
	while (!fuse_session_exited(fs->session)) {
		int r = fuse_session_receive_buf(fs->session, &buf);

		if (r == -ENOMEM)
			nanosleep(&(struct timespec){.tv_nsec = NO_MEMORY_NS}, NULL);
		if (r == -EINTR || r == -EAGAIN || r == -ENOMEM)
			continue;
		if (r < 0)
			log_error("/dev/fuse: %s", strerror(-r));
		if (r <= 0)
			break;
		leave_off_reading(&fs->workers);
		if (spare_admit(fs, &buf)) {
			process(fs, &buf);
			process_put_aside(fs);
		}
		rest(&fs->workers);
	}
	free(buf.mem);
}

static void *run(void *data)
{
	struct fs *fs = data;
	sigset_t wake;
	int r;

	sigemptyset(&wake);
	sigaddset(&wake, WAKE_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
	journal_enter(&fs->ledger);
	spare_enter();
	r = caller_thread_init();
	if (r < 0)
		log_error("unshare: %s", strerror(-r));
	else
		serve(fs);
	eventfd_write(fs->workers.ended, 1);
	return NULL;
}

int workers_start(struct fs *fs, unsigned n)
{
	struct sigaction action = {.sa_handler = on_wake};
	struct workers *workers = &fs->workers;
	int r = 0;

	sigaction(WAKE_SIGNAL, &action, NULL);
	workers->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	workers->threads = calloc(n, sizeof(*workers->threads));
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->call, NULL);
	workers->n_wanted = READING_MIN;
	if (workers->ended < 0 || !workers->threads)
		return -ENOMEM;
	while (r == 0 && workers->n < n) {
		r = -pthread_create(&workers->threads[workers->n], NULL, run, fs);
		workers->n += r == 0;
	}
	return r;
}

/* The signal may come just before the thread begins to read, so it is sent until it has had its effect. */
static void end(pthread_t thread)
{
	struct timespec soon;

	do {
		pthread_kill(thread, WAKE_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += 10000000;
		if (soon.tv_nsec >= 1000000000) {
			soon.tv_sec++;
			soon.tv_nsec -= 1000000000;
		}
	} while (pthread_timedjoin_np(thread, NULL, &soon) == ETIMEDOUT);
}

void workers_stop(struct fs *fs)
{
	struct workers *workers = &fs->workers;

	if (!workers->threads)
		return;
	fuse_session_exit(fs->session);
	pthread_mutex_lock(&workers->lock);
	workers->stop = true;
	pthread_cond_broadcast(&workers->call);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->n; i++)
		end(workers->threads[i]);
	free(workers->threads);
	close_fd(&workers->ended);
	*workers = (struct workers){.ended = -1};
}
