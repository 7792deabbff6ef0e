/* SPDX-License-Identifier: MIT */
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "formers.h"
#include "fresh.h"
#include "fs.h"
#include "lifetimes.h"
#include "log.h"
#include "succession.h"
#include "util.h"

#define EVENTS                                                                                               \
	(IN_ATTRIB | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR |          \
	 IN_EXCL_UNLINK)

/*
 * The pause between two looks at the queue. Within it the kernel merges like events, so that a program which
 * writes without pause wakes this thread a few hundred times a second and no more; an event after silence is
 * handled at once.
 */
#define PAUSE_MS 3

/* The longest that watch_sync() waits. */
#define SYNC_NS 20000000

static int add(struct fs *fs, uint64_t ino, int fd)
{
	char path[SEGFS_FD_PATH_MAX];
	int watch;

	segfs_fd_path(fd, path);
	watch = inotify_add_watch(fs->watch.inotify, path, EVENTS);
	if (watch < 0)
		return -errno;
	node_set_watch(&fs->nodes, ino, watch);
	return 0;
}

/*
 * A directory that is forgotten by one thread and found again by another has one watch with one number:
 * adding and noting it is one step, and so is seeing that nobody has it and removing it.
 */
void watch_add(struct fs *fs, uint64_t ino, int fd)
{
	struct watch *watch = &fs->watch;
	int r;

	pthread_mutex_lock(&watch->numbers);
	r = add(fs, ino, fd);
	if (r == -ENOSPC && !watch->complained) {
		log_warning("no inotify watch left: directories are no longer cached; "
			    "raise fs.inotify.max_user_watches");
		watch->complained = true;
	}
	pthread_mutex_unlock(&watch->numbers);
}

void watch_remove(struct fs *fs, int number)
{
	struct watch *watch = &fs->watch;

	if (number < 0)
		return;
	pthread_mutex_lock(&watch->numbers);
	if (node_of_watch(&fs->nodes, number) == 0)
		inotify_rm_watch(watch->inotify, number);
	pthread_mutex_unlock(&watch->numbers);
}

/*
 * A name has come, gone or changed its meaning. A name that still leads somewhere only expires, to be asked
 * for again; one that is gone is dropped, which lets go of the file and so of its memory.
 */
static void name_changed(struct fs *fs, uint64_t dir, int dir_fd, const char *name)
{
	struct stat st;
	uint64_t ino;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		fuse_lowlevel_notify_inval_entry(fs->session, dir, name, strlen(name));
		return;
	}
	ino = node_id(&fs->nodes, st.st_ino);
	if (!names_lead_to(&fs->names, dir, name, ino))
		transport_expire_entry(&fs->transport, dir, name);
	fresh_refresh_seen(fs, ino, &st);
}

/*
 * For chmod(2) and chown(2) the kernel compares the caller with the owner it last heard of, and does not ask
 * again even where it knows that to be old. Asking for the name brings the new owner along.
 */
static void child_changed(struct fs *fs, uint64_t dir, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (fresh_refresh_seen(fs, node_id(&fs->nodes, st.st_ino), &st))
		transport_expire_entry(&fs->transport, dir, name);
}

static void expire_formers(struct fs *fs)
{
	char name[LEDGER_NAME_MAX + 1];
	uint64_t parent;

	for (uint32_t at = 0; formers_next(&fs->ledger, &at, &parent, name);)
		transport_expire_entry(&fs->transport, parent, name);
	if (formers_are_lost(&fs->ledger))
		transport_expire_all(&fs->transport);
}

/* Events were lost: nothing that was told is certain any more. */
static void refresh_all(struct fs *fs)
{
	SEGFS_FREE uint64_t *inos = NULL;
	ssize_t n = node_list(&fs->nodes, &inos);

	log_warning("inotify queue overflow: everything cached is looked at anew");
	for (ssize_t i = 0; i < n; i++) {
		SEGFS_FREE char *name = NULL;
		struct node node;

		if (node_get_named(&fs->nodes, inos[i], &node, &name) < 0)
			continue;
		if (name)
			transport_expire_entry(&fs->transport, node.parent, name);
		node_unshow(&fs->nodes, inos[i]);
		fuse_lowlevel_notify_inval_inode(fs->session, inos[i], -1, 0);
	}
	expire_formers(fs);
}

/* The directory whose events are being handled. Those of one come in a row: it is opened once for all of
 * them, and itself looked at once. */
struct place {
	int watch;
	uint64_t ino; /* 0: none that we know */
	int fd;	      /* O_PATH, owned; -1: none */
	bool changed;
};

static void leave(struct fs *fs, struct place *place)
{
	close_fd(&place->fd);
	if (place->changed)
		fresh_refresh(fs, place->ino);
	*place = (struct place){.watch = -1, .fd = -1};
}

static void enter(struct fs *fs, struct place *place, int watch)
{
	if (place->watch == watch)
		return;
	leave(fs, place);
	place->watch = watch;
	place->ino = node_of_watch(&fs->nodes, watch);
	if (place->ino)
		place->fd = node_open(&fs->nodes, &fs->store, place->ino, O_PATH);
}

static void handle_event(struct fs *fs, struct place *place, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		refresh_all(fs);
		return;
	}
	if (event->mask & IN_IGNORED)
		return;
	enter(fs, place, event->wd);
	if (place->ino == 0)
		return;
	if (event->len == 0) {
		place->changed = true;
		return;
	}
	if (place->fd < 0)
		return;
	if (event->mask & (IN_ATTRIB | IN_MODIFY)) {
		child_changed(fs, place->ino, place->fd, event->name);
		return;
	}
	if (event->mask & (IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO))
		sweep_look(fs);
	name_changed(fs, place->ino, place->fd, event->name);
	place->changed = true;
}

static void handle_events(struct fs *fs, const char *buf, size_t n)
{
	struct place place = {.watch = -1, .fd = -1};

	for (size_t at = 0; at + sizeof(struct inotify_event) <= n;) {
		const struct inotify_event *event = (const void *)(buf + at);

		handle_event(fs, &place, event);
		at += sizeof(*event) + event->len;
	}
	leave(fs, &place);
}

static bool is_stopping(struct watch *watch)
{
	bool stop;

	pthread_mutex_lock(&watch->lock);
	stop = watch->stop;
	pthread_mutex_unlock(&watch->lock);
	return stop;
}

/* All that is in the queue now; when the mount ends, nobody wants to know of it any more. */
static void drain(struct fs *fs)
{
	_Alignas(struct inotify_event) char buf[64 * 1024];
	ssize_t n;

	while (!is_stopping(&fs->watch) && (n = read(fs->watch.inotify, buf, sizeof(buf))) > 0)
		handle_events(fs, buf, (size_t)n);
}

static void wait_for(int fd, int other_fd, int timeout_ms)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = other_fd, .events = POLLIN}};

	poll(fds, other_fd >= 0 ? 2 : 1, timeout_ms);
}

/* One look at the queue. False if the thread shall end. */
static bool pass(struct fs *fs)
{
	struct watch *watch = &fs->watch;
	uint64_t wanted;
	eventfd_t unused;

	eventfd_read(watch->wake, &unused);
	pthread_mutex_lock(&watch->lock);
	wanted = watch->n_wanted;
	pthread_mutex_unlock(&watch->lock);

	drain(fs);
	formers_pass(&fs->ledger);
	pthread_mutex_lock(&watch->lock);
	watch->n_passed = wanted;
	pthread_cond_broadcast(&watch->passed);
	pthread_mutex_unlock(&watch->lock);
	return !is_stopping(watch);
}

/* When so many whole seconds are over; NODE_TRUSTED: never, which is 0. */
static int64_t due_in(int left_s)
{
	return left_s == NODE_TRUSTED ? 0 : lifetimes_now_ms() + (left_s + 1) * 1000;
}

/* Milliseconds until the first of all doubts can be ended; -1: there are none. */
static int end_doubts(struct fs *fs, int64_t *due_ms)
{
	int64_t left_ms;

	if (atomic_exchange(&fs->watch.doubts, false) && *due_ms == 0)
		*due_ms = due_in(NODE_DOUBT_S);
	if (*due_ms != 0 && *due_ms <= lifetimes_now_ms())
		*due_ms = due_in(succession_end_doubts(fs));
	left_ms = *due_ms - lifetimes_now_ms();
	return *due_ms == 0 ? -1 : (int)MAX(left_ms, 0);
}

void watch_doubt(struct fs *fs)
{
	if (!atomic_exchange(&fs->watch.doubts, true))
		eventfd_write(fs->watch.wake, 1);
}

static void *run(void *data)
{
	struct fs *fs = data;
	struct watch *watch = &fs->watch;
	int64_t due_ms = 0; /* of end_doubts(); 0: never */

	pthread_setname_np(pthread_self(), WATCH_THREAD);
	if (watch->takes_over)
		due_ms = due_in(succession_settle(fs));
	do {
		wait_for(watch->wake, -1, PAUSE_MS);
		wait_for(watch->wake, watch->inotify, end_doubts(fs, &due_ms));
	} while (pass(fs));
	return NULL;
}

bool watch_sync(struct fs *fs)
{
	struct watch *watch = &fs->watch;
	struct timespec until;
	uint64_t mine;
	bool passed;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += SYNC_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;

	pthread_mutex_lock(&watch->lock);
	mine = ++watch->n_wanted;
	eventfd_write(watch->wake, 1);
	while (watch->n_passed < mine)
		if (pthread_cond_timedwait(&watch->passed, &watch->lock, &until) == ETIMEDOUT)
			break;
	passed = watch->n_passed >= mine;
	pthread_mutex_unlock(&watch->lock);
	return passed;
}

static void init_lock(struct watch *watch)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&watch->numbers, NULL);
	pthread_mutex_init(&watch->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->passed, &attr);
	pthread_condattr_destroy(&attr);
}

int watch_start(struct fs *fs)
{
	struct watch *watch = &fs->watch;
	int r;

	init_lock(watch);
	watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->inotify < 0)
		return -errno;
	watch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (watch->wake < 0)
		return -errno;
	watch_add(fs, NODE_ROOT, fs->store.root_fd);
	watch->takes_over = fs->ledger.page->n_workers > 1;
	r = -pthread_create(&watch->thread, NULL, run, fs);
	watch->running = r == 0;
	return r;
}

void watch_stop(struct fs *fs)
{
	struct watch *watch = &fs->watch;

	if (watch->running) {
		pthread_mutex_lock(&watch->lock);
		watch->stop = true;
		pthread_mutex_unlock(&watch->lock);
		eventfd_write(watch->wake, 1);
		pthread_join(watch->thread, NULL);
	}
	close_fd(&watch->inotify);
	close_fd(&watch->wake);
	watch->running = false;
}
