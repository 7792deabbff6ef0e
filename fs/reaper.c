/* SPDX-License-Identifier: MIT */

/* The reaper's thread: what wakes it, and how it comes to know its wards. What it does about them: reap.c. */
#include "reaper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "control.h"
#include "fs.h"
#include "guard.h"
#include "log.h"
#include "reap.h"
#include "util.h"

/* The shortest time between two looks at the events, within which the kernel merges them: whoever opens and
 * closes a segment without pause wakes this thread a hundred times a second and no more. */
#define PAUSE_NS 10000000

#define ASK_MS 1000

/* What in epoll is not a process_end. */
static char the_wake, the_timer, the_uses;

struct reaper_note {
	struct reaper_note *next;
	struct segfs_handle handle;
};

void reaper_look(struct fs *fs, int fd)
{
	struct reaper *reaper = &fs->reaper;
	struct reaper_note *note;

	if (!reaper->running)
		return;
	note = calloc(1, sizeof(*note));
	if (note && segfs_store_handle(fd, &note->handle) < 0) {
		free(note);
		return;
	}
	pthread_mutex_lock(&reaper->lock);
	if (note) {
		note->next = reaper->queue;
		reaper->queue = note;
	}
	reaper->lost |= !note;
	pthread_mutex_unlock(&reaper->lock);
	eventfd_write(reaper->wake, 1);
}

/* The notes of the queue, in no order: what counts is what each file says by now. */
static struct reaper_note *take_queue(struct reaper *reaper, bool *ret_lost)
{
	struct reaper_note *queue;

	pthread_mutex_lock(&reaper->lock);
	queue = steal_pointer(&reaper->queue);
	*ret_lost = reaper->lost;
	reaper->lost = false;
	pthread_mutex_unlock(&reaper->lock);
	return queue;
}

static void meet_queued(struct fs *fs)
{
	bool lost;
	struct reaper_note *note = take_queue(&fs->reaper, &lost), *next;

	for (; note; note = next) {
		SEGFS_CLOSE int fd = segfs_store_open_handle(&fs->store, &note->handle, O_PATH);

		if (fd >= 0)
			guard_meet(fs, fd, false);
		next = note->next;
		free(note);
	}
	if (lost)
		guard_meet_all(fs);
}

static void on_use(const struct segfs_handle *handle, bool is_gone, void *data)
{
	struct fs *fs = data;
	struct ward *ward;

	if (!handle) { /* any of them, then */
		for (ward = fs->reaper.wards; ward; ward = ward->hh.next)
			if (ward->use.state != LIFETIMES_UNUSED)
				guard_used(fs, ward);
		return;
	}
	ward = ward_find(fs->reaper.wards, handle);
	if (ward && is_gone)
		guard_forget(fs, ward);
	else if (ward)
		guard_used(fs, ward);
}

static void note_end(struct fs *fs, struct process_end *end)
{
	process_ends_note(&fs->reaper.ends, end);
	guard_wake(fs, end->ended_ms + WARD_GRACE_MS);
}

static void ask_for_ends(struct fs *fs)
{
	struct reaper *reaper = &fs->reaper;
	int64_t now_ms = lifetimes_now_ms();

	if (reaper->ends.n_asked == 0 || now_ms < reaper->ask_ms)
		return;
	if (process_ends_ask(&reaper->ends))
		guard_wake(fs, now_ms + WARD_GRACE_MS);
	reaper->ask_ms = now_ms + ASK_MS;
}

static void set_timer(const struct reaper *reaper)
{
	int64_t at_ms = reaper->ends.n_asked > 0 ? MIN(reaper->next_ms, reaper->ask_ms) : reaper->next_ms;
	struct itimerspec time = {};

	at_ms = MAX(at_ms, 1); /* 0 would mean never */
	if (at_ms < WARD_NEVER)
		time.it_value = (struct timespec){at_ms / 1000, at_ms % 1000 * 1000000};
	timerfd_settime(reaper->timer, TFD_TIMER_ABSTIME, &time, NULL);
}

/*
 * Until something happens or is due. True if a segment has been opened or closed. The ends of processes are
 * noted here and now: what is done later may free what epoll has named.
 */
static bool wait_for_events(struct fs *fs)
{
	struct epoll_event events[64];
	eventfd_t unused;
	bool used = false;
	int n;

	set_timer(&fs->reaper);
	n = epoll_wait(fs->reaper.epoll, events, COUNT_OF(events), -1);
	eventfd_read(fs->reaper.wake, &unused);
	for (int i = 0; i < n; i++) {
		void *what = events[i].data.ptr;

		if (what == &the_uses)
			used = true;
		else if (what != &the_wake && what != &the_timer)
			note_end(fs, what);
	}
	return used;
}

static void *run(void *data)
{
	struct fs *fs = data;
	struct reaper *reaper = &fs->reaper;

	guard_meet_all(fs);
	while (!reaper->stop) {
		bool used = wait_for_events(fs);

		meet_queued(fs);
		if (used)
			uses_read(&reaper->uses, on_use, fs);
		ask_for_ends(fs);
		while (!reaper->stop && reaper->next_ms <= lifetimes_now_ms())
			reap(fs);
		if (used)
			nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
	return NULL;
}

static int listen_to(const struct reaper *reaper, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};

	return fd < 0 || epoll_ctl(reaper->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int open_sources(struct reaper *reaper)
{
	int r;

	reaper->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (reaper->epoll < 0)
		return -errno;
	reaper->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = listen_to(reaper, reaper->wake, &the_wake);
	if (r < 0)
		return r;
	reaper->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	r = listen_to(reaper, reaper->timer, &the_timer);
	if (r < 0)
		return r;
	r = uses_start(&reaper->uses);
	if (r < 0) {
		log_warning("fanotify: %s; segments with a lifetime are looked at each second", strerror(-r));
		return 0;
	}
	return listen_to(reaper, reaper->uses.fd, &the_uses);
}

int reaper_start(struct fs *fs)
{
	struct reaper *reaper = &fs->reaper;
	int r;

	pthread_mutex_init(&reaper->lock, NULL);
	pthread_mutex_init(&reaper->verdict, NULL);
	reaper->next_ms = WARD_NEVER;
	if (control_is_read_only(fs))
		return 0;
	signal(SIGIO, SIG_IGN); /* that somebody waits for a lease */
	r = open_sources(reaper);
	if (r < 0)
		return r;
	process_ends_init(&reaper->ends, reaper->epoll);
	r = -pthread_create(&reaper->thread, NULL, run, fs);
	reaper->running = r == 0;
	return r;
}

void reaper_stop(struct fs *fs)
{
	struct reaper *reaper = &fs->reaper;
	struct reaper_note *note, *next_note;
	struct ward *ward, *next;
	bool lost;

	if (reaper->running) {
		reaper->stop = true;
		eventfd_write(reaper->wake, 1);
		pthread_join(reaper->thread, NULL);
		reaper->running = false;
		HASH_ITER (hh, reaper->wards, ward, next)
			guard_forget(fs, ward);
		process_ends_destroy(&reaper->ends);
		for (note = take_queue(reaper, &lost); note; note = next_note) {
			next_note = note->next;
			free(note);
		}
	}
	uses_stop(&reaper->uses);
	close_fd(&reaper->timer);
	close_fd(&reaper->wake);
	close_fd(&reaper->epoll);
}
