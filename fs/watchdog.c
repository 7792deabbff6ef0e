/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "options.h"
#include "supervisor-internal.h"
#include "util.h"

/* A worker that has not replied for so long is not well: while it serves, and at its start. */
#define PING_NS	 (1000 * MS)
#define START_NS (20000 * MS)

/* And for each file that it has to know from its start; it takes a microsecond where nothing else runs. */
#define START_NODE_NS 100000

/* One all of whose threads have had the same requests in hand for so long hangs. What takes long goes into
 * the slow lane, and is not counted. */
#define HANG_NS (30000 * MS)

uint64_t watchdog_count_done(const struct supervisor *supervisor)
{
	uint64_t n = 0;

	for (size_t i = 0; i < LEDGER_SLOTS; i++)
		n += supervisor->ledger.page->slots[i].n_done;
	return n;
}

static bool has_request_in_hand(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct ledger_slot *slot = &supervisor->ledger.page->slots[i];

		if (slot->tid != 0 && slot->unique != 0)
			return true;
	}
	return false;
}

/* Is there one that nobody has read? */
static bool has_unread_request(const struct supervisor *supervisor)
{
	struct pollfd pollfd = {.fd = supervisor->link.fuse, .events = POLLIN};

	return poll(&pollfd, 1, 0) != 0;
}

/*
 * Nothing has been answered since the last look and nothing is in hand: then nothing can hang before the next
 * request comes, and whoever reads that wakes the supervisor (transport.c). It says so before it looks, and
 * the other looks after he has noted what he has in hand, so that one sees the other. A worker that reads
 * nothing is told by the poll of /dev/fuse. One that was stopped when it had read and not yet noted is not:
 * while requests wait, be it for an event, it must have replied since the last one was answered.
 */
static bool is_quiet(struct supervisor *supervisor, bool waiting, int64_t now)
{
	const struct child *worker = &supervisor->worker;
	struct ledger_page *page = supervisor->ledger.page;
	uint64_t n_seen = supervisor->n_seen;

	page->sleeps = true;
	supervisor->n_seen = watchdog_count_done(supervisor);
	if (supervisor->n_seen != n_seen)
		supervisor->seen_ns = now;
	if (!worker->ready || supervisor->dying || worker->stopped || worker->asked_ns ||
	    supervisor->n_seen != n_seen || (waiting && worker->well_ns <= supervisor->seen_ns) ||
	    has_request_in_hand(supervisor) || has_unread_request(supervisor))
		page->sleeps = false;
	return page->sleeps;
}

static bool has_idle_thread(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < LEDGER_SLOTS; i++) {
		const struct ledger_slot *slot = &supervisor->ledger.page->slots[i];

		if (slot->tid != 0 && slot->unique == 0)
			return true;
	}
	return false;
}

/* Do requests wait? A read of .segfs/events may do so for hours, and rightly. Where that cannot be told, some
 * may. */
static bool requests_wait(const struct supervisor *supervisor)
{
	SEGFS_CLOSE int fd = openat(supervisor->control, "waiting", O_RDONLY | O_CLOEXEC);
	char text[16];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return true;
	text[n] = '\0';
	return atoi(text) > 0;
}

/* Has nothing been answered for so long, though requests wait and no thread has nothing to do? */
static bool hangs(struct supervisor *supervisor, int64_t now)
{
	uint64_t n_done = watchdog_count_done(supervisor);

	if (!supervisor->busy || n_done != supervisor->n_done || has_idle_thread(supervisor)) {
		supervisor->n_done = n_done;
		supervisor->done_ns = now;
	}
	return now - supervisor->done_ns > HANG_NS;
}

/* Is it well? The reply counts, whenever it comes. Where there is no room for the question, it has not even
 * read what it was sent before. */
static void ask(struct supervisor *supervisor)
{
	struct child *worker = &supervisor->worker;

	if (!worker->ready || worker->asked_ns)
		return;
	link_send(worker->socket, LINK_PING, 0, -1);
	worker->asked_ns = child_now_ns();
	worker->asked_done = watchdog_count_done(supervisor);
}

static bool has_unread_word(const struct child *worker)
{
	struct pollfd pollfd = {.fd = worker->socket, .events = POLLIN};

	return poll(&pollfd, 1, 0) > 0;
}

/*
 * One that has been asked and answers requests is well, even if the thread that replies has not had its turn
 * yet, as on a busy machine: it has its time once more. And so has one where that thread waits for a
 * processor: another worker would have none any sooner. Where it does not, it may have replied since it was
 * listened to: this process, too, may have lost its processor meanwhile.
 */
static void note_answers(struct supervisor *supervisor, int64_t now)
{
	struct child *worker = &supervisor->worker;
	uint64_t n_done = watchdog_count_done(supervisor);

	if (worker->asked_ns &&
	    (n_done != worker->asked_done || child_is_starved(worker) || has_unread_word(worker))) {
		worker->asked_ns = now;
		worker->asked_done = n_done;
	}
}

static int64_t start_ns(const struct supervisor *supervisor)
{
	return START_NS + START_NODE_NS * (int64_t)supervisor->ledger.page->n_nodes;
}

/* It may go on by itself; but not one on which everybody waits. */
void watchdog_on_stop(struct supervisor *supervisor, pid_t pid, bool stopped)
{
	struct child *worker = &supervisor->worker;

	if (pid != worker->pid)
		return;
	worker->stopped = stopped;
	if (stopped && !worker->ready)
		supervisor_kill_worker(supervisor, "as it was stopped", child_now_ns());
	else
		ask(supervisor);
}

/*
 * At its start it answers nothing, and neither of these is told as long as a thread waits in the kernel for
 * what only its successor sets free: that it has been stopped, and, before it has told of its canary, that it
 * has ended.
 */
static void look_at_start(struct supervisor *supervisor, int64_t now)
{
	struct child *worker = &supervisor->worker;

	if (child_is_spent(worker))
		supervisor_kill_worker(supervisor, "", now);
	else if (child_is_stopped(worker))
		supervisor_kill_worker(supervisor, "as it was stopped", now);
	else if (now - worker->start_ns > start_ns(supervisor))
		supervisor_kill_worker(supervisor, "as it did not start", worker->start_ns);
}

/* With -d it may be in the hands of a debugger. */
void watchdog_look(struct supervisor *supervisor, int64_t now)
{
	struct child *worker = &supervisor->worker;

	supervisor->busy = requests_wait(supervisor);
	supervisor->quiet = is_quiet(supervisor, supervisor->busy, now);
	if (!worker->pid || supervisor->dying || supervisor->options->debug)
		return;
	note_answers(supervisor, now);
	if (!worker->ready)
		look_at_start(supervisor, now);
	else if (hangs(supervisor, now))
		supervisor_kill_worker(supervisor, "as it hung", supervisor->done_ns);
	else if (supervisor->busy && worker->asked_ns && now - worker->asked_ns > PING_NS)
		supervisor_kill_worker(supervisor, "as it did not answer", worker->asked_ns);
	else if (!supervisor->quiet && (supervisor->busy || worker->stopped) &&
		 now - worker->well_ns > TICK_NS)
		ask(supervisor);
}
