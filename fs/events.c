/* SPDX-License-Identifier: MIT */
#include "events.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>

#include "atomics.h"
#include "event-file.h"
#include "fs.h"
#include "futex.h"
#include "journal.h"
#include "reply.h"
#include "util.h"

/* How often those are looked at for which the system call has no room. */
#define SURPLUS_NAP_NS INT64_C(5000000)

/* Who changes the words that are slept on without publishing anything has this many wakings before each one
 * waits a little. */
#define USELESS_MAX 16
#define USELESS_NS  1000000

void events_kick(struct events *events)
{
	word_add_seq_cst(&events->wake, 1);
	segfs_futex_wake(&events->wake, 1);
}

/* ------------------------------------------------------------------------------------------------------------
 * Requests
 */

/* `seen`: NULL: all there is now. */
static int open_file(struct fs *fs, const struct segfs_handle *segment, int page_fd, uid_t uid, int flags,
		     uint64_t id, const uint64_t *seen)
{
	struct events *events = &fs->events;
	struct event_file *file;
	int r;

	pthread_mutex_lock(&events->lock);
	file = event_file_find(events, id);
	r = file ? 0 : event_file_open(events, segment, page_fd, uid, flags, id);
	if (!file && r == 0) {
		file = event_file_find(events, id);
		if (seen)
			event_file_resume(file, *seen);
		event_file_note(fs, file);
	}
	pthread_mutex_unlock(&events->lock);
	return r;
}

int events_open(struct fs *fs, const struct segfs_handle *segment, int page_fd, uid_t uid, int flags,
		uint64_t ino, uint64_t *ret_id)
{
	uint64_t id = ledger_open_new(&fs->ledger, journal_unique(), ino, false);
	int r;

	if (id == 0)
		return -ENFILE;
	r = open_file(fs, segment, page_fd, uid, flags, id, NULL);
	if (r < 0) {
		ledger_open_free(&fs->ledger, ledger_open_of(&fs->ledger, id));
		return r;
	}
	*ret_id = id;
	return 0;
}

bool events_knows(struct fs *fs, uint64_t id)
{
	struct events *events = &fs->events;
	bool known;

	pthread_mutex_lock(&events->lock);
	known = event_file_find(events, id);
	pthread_mutex_unlock(&events->lock);
	return known;
}

int events_restore(struct fs *fs, const struct segfs_handle *segment, int page_fd, uid_t uid, uint64_t id)
{
	const struct ledger_open *open = ledger_open_of(&fs->ledger, id);

	const uint64_t seen = open ? open->note : 0;

	return open ? open_file(fs, segment, page_fd, uid, O_RDWR, id, &seen) : -EBADF;
}

void events_close(struct fs *fs, uint64_t id)
{
	struct ledger_open *open = ledger_open_of(&fs->ledger, id);
	struct events *events = &fs->events;
	struct event_file *file;

	pthread_mutex_lock(&events->lock);
	file = event_file_find(events, id);
	if (file)
		event_file_free(events, file);
	pthread_mutex_unlock(&events->lock);
	if (open)
		ledger_open_free(&fs->ledger, open);
}

/*
 * libfuse calls this with a lock of the request held, which it also takes to note the function: so that is
 * done without ours. The request itself lives until this returns, answered or not.
 */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct events *events = data;

	pthread_mutex_lock(&events->lock);
	if (event_file_dequeue(events, req))
		reply(req, -EINTR);
	pthread_mutex_unlock(&events->lock);
}

/* 0: it has been answered, or waits. An interrupt that came before it did has found nothing to do. */
static int read_or_wait(struct events *events, struct event_file *file, fuse_req_t req, size_t size,
			bool nonblock)
{
	int r;

	if (!file)
		return -EBADF;
	event_page_look(file->page);
	if (event_file_is_readable(file)) {
		event_file_give(file, req, size);
		file->polled = file->handle && !event_file_is_readable(file);
	} else if (nonblock) {
		file->polled = file->handle;
		event_file_update(events, file);
		return -EAGAIN;
	} else {
		r = event_file_enqueue(events, file, req, size);
		if (r < 0)
			return r;
		if (fuse_req_interrupted(req) && event_file_dequeue(events, req))
			return -EINTR;
	}
	event_file_update(events, file);
	return 0;
}

void events_read(fuse_req_t req, uint64_t id, size_t size, bool nonblock)
{
	struct events *events = &fs_of(req)->events;
	int r;

	fuse_req_interrupt_func(req, on_interrupt, events);
	pthread_mutex_lock(&events->lock);
	r = read_or_wait(events, event_file_find(events, id), req, size, nonblock);
	pthread_mutex_unlock(&events->lock);
	if (r < 0)
		reply(req, r);
}

int events_publish(struct fs *fs, uint64_t id)
{
	struct events *events = &fs->events;
	struct event_file *file;
	int r = -EIO;

	pthread_mutex_lock(&events->lock);
	file = event_file_find(events, id);
	if (file && !file->lost)
		r = event_page_publish(file->page);
	pthread_mutex_unlock(&events->lock);
	return r;
}

/* The kernel goes on telling its pollers by the handle that it has given at the first poll: it is kept. */
static void keep_handle(struct event_file *file, struct fuse_pollhandle *handle)
{
	if (file->handle)
		fuse_pollhandle_destroy(file->handle);
	file->handle = handle;
}

static unsigned poll_file(struct events *events, struct event_file *file, struct fuse_pollhandle *handle)
{
	unsigned ready = POLLOUT | POLLWRNORM;

	event_page_look(file->page);
	if (handle)
		keep_handle(file, handle);
	if (!file->reads)
		return event_file_is_broken(file) ? ready | POLLERR : ready;
	if (event_file_is_readable(file))
		ready |= POLLIN | POLLRDNORM;
	if (event_file_is_broken(file))
		ready |= POLLERR;
	file->polled = file->handle && !event_file_is_readable(file);
	event_file_update(events, file);
	return ready;
}

unsigned events_poll(struct fs *fs, uint64_t id, struct fuse_pollhandle *handle)
{
	struct events *events = &fs->events;
	struct event_file *file;
	unsigned ready = POLLERR;

	pthread_mutex_lock(&events->lock);
	file = event_file_find(events, id);
	if (file)
		ready = poll_file(events, file, handle);
	else if (handle)
		fuse_pollhandle_destroy(handle);
	pthread_mutex_unlock(&events->lock);
	return ready;
}

void events_count(struct fs *fs, size_t *ret_n_files, size_t *ret_n_reads)
{
	struct events *events = &fs->events;

	pthread_mutex_lock(&events->lock);
	*ret_n_files = HASH_COUNT(events->files);
	*ret_n_reads = HASH_COUNT(events->reads);
	pthread_mutex_unlock(&events->lock);
}

/* ------------------------------------------------------------------------------------------------------------
 * The thread
 */

struct sleep {
	struct segfs_futex_word words[SEGFS_FUTEX_WORDS];
	size_t n;
	bool surplus; /* there was not room for all */
	bool useful;  /* somebody was told something, or asked for this */
};

static void visit(struct events *events, struct event_page *page, struct sleep *sleep)
{
	struct segfs_futex_word word = {.word = &page->control->event.sleepers};
	bool room = sleep->n < SEGFS_FUTEX_WORDS;

	if (room)
		word.value = event_page_arm(page);
	event_page_look(page);
	sleep->useful |= event_file_serve_all(events, page);
	if (page->n_waiting == 0)
		return;
	if (room)
		sleep->words[sleep->n++] = word;
	else
		sleep->surplus = true;
}

/* All pages that somebody waits for. Of a publisher that comes meanwhile, its word tells. */
static void prepare(struct events *events, struct sleep *sleep)
{
	struct event_page *page, *next;
	uint32_t wake = word_load_seq_cst(&events->wake);

	sleep->useful = sleep->words[0].value != wake;
	sleep->surplus = false;
	sleep->words[0] = (struct segfs_futex_word){.word = &events->wake, .value = wake};
	sleep->n = 1;
	HASH_ITER (hh, events->pages, page, next)
		if (page->n_waiting > 0)
			visit(events, page, sleep);
}

/* True if it has slept to the end. */
static bool go_to_sleep(const struct sleep *sleep)
{
	int64_t nap_ns = sleep->surplus ? SURPLUS_NAP_NS : sleep->n > 1 ? SEGFS_NAP_NS : -1;

	return segfs_futex_wait_any(sleep->words, sleep->n, segfs_futex_deadline(nap_ns)) == -ETIMEDOUT;
}

static void *run(void *data)
{
	struct fs *fs = data;
	struct events *events = &fs->events;
	struct sleep sleep = {};
	unsigned n_useless = 0;
	bool stop;

	for (;;) {
		pthread_mutex_lock(&events->lock);
		prepare(events, &sleep);
		stop = events->stop;
		pthread_mutex_unlock(&events->lock);
		if (stop)
			return NULL;
		n_useless = sleep.useful ? 0 : n_useless + 1;
		if (n_useless > USELESS_MAX)
			nanosleep(&(struct timespec){.tv_nsec = USELESS_NS}, NULL);
		if (go_to_sleep(&sleep))
			n_useless = 0;
	}
}

int events_start(struct fs *fs)
{
	struct events *events = &fs->events;
	int r;

	pthread_mutex_init(&events->lock, NULL);
	r = -pthread_create(&events->thread, NULL, run, fs);
	events->running = r == 0;
	return r;
}

void events_stop(struct fs *fs)
{
	struct events *events = &fs->events;
	struct event_file *file, *next;

	if (!events->running)
		return;
	pthread_mutex_lock(&events->lock);
	events->stop = true;
	HASH_ITER (hh, events->files, file, next)
		event_file_free(events, file);
	pthread_mutex_unlock(&events->lock);
	events_kick(events);
	pthread_join(events->thread, NULL);
	events->running = false;
}
