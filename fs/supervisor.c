/* SPDX-License-Identifier: MIT */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "background.h"
#include "confine.h"
#include "log.h"
#include "mount.h"
#include "options.h"
#include "service.h"
#include "supervisor-internal.h"
#include "transport.h"
#include "util.h"

/* How long it may take to end when it is asked to. */
#define STOP_NS (10000 * MS)

/* One that served for so long, or answered a request, was of use. Others follow each other with a pause that
 * doubles, and not for ever. */
#define USE_NS	      (100 * MS)
#define PAUSE_NS      (1 * MS)
#define PAUSE_MAX_NS  (1000 * MS)
#define FALL_BACK     3 /* of them, and it is no longer the binary of SIGHUP */
#define FRUITLESS_MAX 12

/* Where one after the other crashes that was of use, say at a request that comes again and again: no more
 * than so many at once, and then one in so long. */
#define BURST	 50
#define BURST_NS (20 * MS)

static void start(struct supervisor *supervisor, struct child *child, const struct child_program *program)
{
	int r = child_start(child, supervisor->options, &supervisor->link, program, &supervisor->pins);

	if (r < 0) {
		log_error("starting a worker: %s", strerror(-r));
		supervisor->start_at_ns = child_now_ns() + TICK_NS;
	}
	child->n_done = watchdog_count_done(supervisor);
}

static void start_worker(struct supervisor *supervisor)
{
	supervisor->start_at_ns = 0;
	start(supervisor, &supervisor->worker, &supervisor->program);
}

/* "requests: LOOKUP 12, GETATTR 3": how many of each kind have come. */
static void log_counts(const struct ledger_page *page)
{
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return;
	for (unsigned i = 1; i < LEDGER_OPCODES; i++)
		if (page->counts[i])
			fprintf(out, "%s%s %" PRIu64, ftell(out) ? ", " : "",
				transport_opcode_name(i) ?: "other", page->counts[i]);
	if (close_text(out, &text) == 0)
		log_info("requests: %s", text);
}

static void finish(struct supervisor *supervisor, int result)
{
	supervisor->done = true;
	supervisor->result = result;
}

static void give_up(struct supervisor *supervisor)
{
	log_error(
		"%u workers in a row ended before they had done anything, the last %s: giving up, %s is unmounted",
		supervisor->n_fruitless, supervisor->reason, supervisor->options->mountpoint);
	mount_detach(supervisor->options, supervisor->dev);
	finish(supervisor, -ECHILD);
}

/* When may the next one start? */
static int64_t next_start(struct supervisor *supervisor, bool was_of_use)
{
	int64_t now = child_now_ns();

	supervisor->n_fruitless = was_of_use ? 0 : supervisor->n_fruitless + 1;
	if (!was_of_use)
		return now + MIN(PAUSE_NS << MIN(supervisor->n_fruitless - 1, 20), PAUSE_MAX_NS);
	supervisor->burst_ns = MAX(supervisor->burst_ns + BURST_NS, now);
	return MAX(now, supervisor->burst_ns - BURST * BURST_NS);
}

/* From now on users wait. */
static void end_begins(struct supervisor *supervisor, int64_t since_ns)
{
	if (!supervisor->end_ns)
		supervisor->end_ns = since_ns;
	supervisor->dying = true;
}

static void on_first_ready(struct supervisor *supervisor)
{
	supervisor->ready = true;
	close_fd(&supervisor->link.mount);
	background_leave(supervisor->options);
	background_ready();
	service_tell("READY=1");
	log_info("%s mounted on %s", supervisor->options->store, supervisor->options->mountpoint);
}

static void on_ready(struct supervisor *supervisor)
{
	struct ledger_page *page = supervisor->ledger.page;
	struct child *worker = &supervisor->worker;
	int64_t stall_ns;

	worker->ready = true;
	supervisor->done_ns = child_now_ns();
	worker->ready_ns = worker->well_ns = child_now_ns();
	worker->asked_ns = 0;
	if (!supervisor->ready) {
		supervisor->end_ns = 0;
		on_first_ready(supervisor);
		return;
	}
	stall_ns = child_now_ns() - supervisor->end_ns;
	supervisor->end_ns = 0;
	page->longest_stall_ns = MAX(page->longest_stall_ns, (uint64_t)stall_ns);
	log_warning("the worker ended %s; another (pid %d) serves %.1f ms later", supervisor->reason,
		    worker->pid, (double)stall_ns / MS);
	*supervisor->reason = '\0';
}

/* What a worker before the present one had counted is no longer (on_end()). */
static void note_obeyed(struct supervisor *supervisor)
{
	struct ledger_page *page = supervisor->ledger.page;

	if (page->n_pin_words > 0)
		page->n_pin_words--;
}

static void on_message(struct supervisor *supervisor, struct child *child, const struct link_message *message,
		       int fd)
{
	switch (message->kind) {
	case LINK_HELLO:
		if (child == &supervisor->next)
			supervisor_kill_worker(supervisor, "for an upgrade", child_now_ns());
		else
			link_send(child->socket, LINK_GO, 0, -1);
		break;
	case LINK_CANARY:
		if (child_watch(child, (pid_t)message->value) < 0)
			supervisor_kill_worker(supervisor, "", child_now_ns());
		break;
	case LINK_READY:
		on_ready(supervisor);
		break;
	case LINK_PONG:
		child->asked_ns = 0;
		child->well_ns = child_now_ns();
		break;
	case LINK_WAKE: /* it was no more than that */
		break;
	case LINK_PIN:
		if (fd >= 0)
			pins_add(&supervisor->pins, message->value, steal_fd(&fd));
		note_obeyed(supervisor);
		break;
	case LINK_UNPIN:
		pins_remove(&supervisor->pins, message->value);
		note_obeyed(supervisor);
		break;
	}
	close_fd(&fd);
}

/* All that it has said. Of one that has ended, too: what it has pinned stays so. */
static void listen_to(struct supervisor *supervisor, struct child *child)
{
	struct pollfd pollfd = {.fd = child->socket, .events = POLLIN};
	struct link_message message;
	int fd;

	while (child->socket >= 0 && poll(&pollfd, 1, 0) > 0 && pollfd.revents & POLLIN) {
		if (link_receive(child->socket, &message, &fd) <= 0) {
			close_fd(&child->socket);
			return;
		}
		on_message(supervisor, child, &message, fd);
	}
	if (child->socket >= 0 && pollfd.revents & (POLLHUP | POLLERR))
		close_fd(&child->socket);
}

static bool has_missed_unpins(const struct supervisor *supervisor)
{
	return supervisor->ledger.page->unpins_missed;
}

/*
 * The node of a pin is in the ledger before and until after it is wanted, whatever else the worker does
 * meanwhile. What it could not say was the end of pins of which it had spoken: these words are heard before
 * the review, or they would come after it, and for good.
 */
static void listen_to_all(struct supervisor *supervisor)
{
	bool missed = has_missed_unpins(supervisor) &&
		      atomic_exchange(&supervisor->ledger.page->unpins_missed, false);

	listen_to(supervisor, &supervisor->worker);
	listen_to(supervisor, &supervisor->next);
	if (missed)
		pins_review(&supervisor->pins, &supervisor->ledger);
}

/* One that could say that it was ready may have ended before that was heard: it ends now. */
static void hear_last_words(struct supervisor *supervisor)
{
	listen_to(supervisor, &supervisor->worker);
	end_begins(supervisor, child_now_ns());
}

/* The present worker answers no more. */
static void on_end(struct supervisor *supervisor)
{
	struct child *worker = &supervisor->worker;
	bool was_of_use;

	hear_last_words(supervisor);
	supervisor->ledger.page->n_pin_words = 0; /* it may have counted one and not come to say it */
	pins_review(&supervisor->pins, &supervisor->ledger);
	was_of_use = (worker->ready && child_now_ns() - worker->ready_ns > USE_NS) ||
		     watchdog_count_done(supervisor) != worker->n_done;
	child_clear(worker);
	supervisor->dying = false;
	if (!*supervisor->reason)
		snprintf(supervisor->reason, sizeof(supervisor->reason), "by a signal");
	if (supervisor->stop_ns) {
		finish(supervisor, 0);
		return;
	}
	if (supervisor->next.pid) {
		*worker = supervisor->next;
		supervisor->next = (struct child)CHILD_NONE;
		link_send(worker->socket, LINK_GO, 0, -1);
		return;
	}
	supervisor->start_at_ns = next_start(supervisor, was_of_use);
	if (supervisor->n_fruitless == FALL_BACK && supervisor->program.fd >= 0) {
		log_error("the binary on disk does not serve: back to the former one");
		close_fd(&supervisor->program.fd);
	}
	if (supervisor->n_fruitless >= FRUITLESS_MAX && !supervisor->was_killed)
		give_up(supervisor);
}

void supervisor_kill_worker(struct supervisor *supervisor, const char *reason, int64_t since_ns)
{
	if (supervisor->dying || !supervisor->worker.pid)
		return;
	snprintf(supervisor->reason, sizeof(supervisor->reason), "%s", reason);
	end_begins(supervisor, since_ns);
	kill(supervisor->worker.pid, SIGKILL);
}

static void describe_end(struct supervisor *supervisor, int status)
{
	if (WIFSIGNALED(status))
		snprintf(supervisor->reason, sizeof(supervisor->reason), "by SIG%s",
			 sigabbrev_np(WTERMSIG(status)) ?: "RT");
	else
		snprintf(supervisor->reason, sizeof(supervisor->reason), "with status %d",
			 WEXITSTATUS(status));
}

/* A worker that ends by itself has seen the end of the mount, or has said why it cannot serve. */
static void on_exit_of_worker(struct supervisor *supervisor, int status)
{
	bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;

	if (!*supervisor->reason)
		describe_end(supervisor, status);
	supervisor->was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (ended_well) {
		finish(supervisor, 0);
	} else if (!supervisor->ready && WIFEXITED(status)) {
		finish(supervisor, -ECANCELED);
	} else {
		end_begins(supervisor, child_now_ns());
		on_end(supervisor);
	}
}

static void reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) {
		if (WIFSTOPPED(status) || WIFCONTINUED(status)) {
			watchdog_on_stop(supervisor, pid, WIFSTOPPED(status));
		} else if (pid == supervisor->worker.pid) {
			on_exit_of_worker(supervisor, status);
		} else if (pid == supervisor->next.pid) {
			log_error("the binary on disk does not serve: the present worker goes on");
			child_clear(&supervisor->next);
			close_fd(&supervisor->program.fd);
		}
	}
}

/* SIGHUP: first see whether the binary on disk starts, then let it take over. */
static void upgrade(struct supervisor *supervisor)
{
	int fd = supervisor->binary ? open(supervisor->binary, O_PATH | O_CLOEXEC) : -1;

	if (fd < 0 || supervisor->next.pid || supervisor->dying || !supervisor->worker.ready) {
		if (fd < 0)
			log_error("%s: %s", supervisor->binary ?: "the binary", strerror(errno));
		close_fd(&fd);
		return;
	}
	close_fd(&supervisor->program.fd);
	supervisor->program.fd = fd;
	start(supervisor, &supervisor->next, &supervisor->program);
}

/* What is open and mapped lives on; who still uses the mount gets ENOTCONN. */
static void stop(struct supervisor *supervisor)
{
	if (supervisor->stop_ns)
		return;
	service_tell("STOPPING=1");
	supervisor->stop_ns = child_now_ns();
	mount_detach(supervisor->options, supervisor->dev);
	if (supervisor->worker.pid)
		link_send(supervisor->worker.socket, LINK_STOP, 0, -1);
	else
		finish(supervisor, 0);
}

static void on_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (!supervisor->done && read(supervisor->signals, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(supervisor);
			break;
		case SIGUSR1:
			log_counts(supervisor->ledger.page);
			break;
		case SIGHUP:
			upgrade(supervisor);
			break;
		default:
			stop(supervisor);
		}
	}
}

/* One that cannot be waited for yet, because of a thread that does not count, has ended all the same. */
static void look_for_end(struct supervisor *supervisor)
{
	bool spent = child_is_spent(&supervisor->worker);

	reap(supervisor);
	if (spent && supervisor->dying && !supervisor->done)
		on_end(supervisor);
}

static void tell_service(struct supervisor *supervisor, int64_t now)
{
	if (!supervisor->watchdog_ns || now - supervisor->told_ns < supervisor->watchdog_ns / 3)
		return;
	service_tell("WATCHDOG=1");
	supervisor->told_ns = now;
}

/* What is due by now. */
static void on_time(struct supervisor *supervisor)
{
	int64_t now = child_now_ns();

	tell_service(supervisor, now);
	if (supervisor->stop_ns && now - supervisor->stop_ns > STOP_NS)
		supervisor_kill_worker(supervisor, "as it did not end", now);
	if (supervisor->dying)
		look_for_end(supervisor);
	if (!supervisor->done && supervisor->start_at_ns && now >= supervisor->start_at_ns)
		start_worker(supervisor);
	if (!supervisor->stop_ns)
		watchdog_look(supervisor, now);
}

/* Until somebody wakes us: a request, a signal, the worker's end. */
static bool sleeps(const struct supervisor *supervisor)
{
	return supervisor->quiet && !supervisor->stop_ns;
}

/* Until the next look; INT64_MAX: there is none. */
static int64_t look_ns(const struct supervisor *supervisor)
{
	const struct child *worker = &supervisor->worker;

	if (has_missed_unpins(supervisor))
		return 0;
	if (sleeps(supervisor))
		return INT64_MAX;
	return supervisor->busy || worker->asked_ns || worker->stopped ? TICK_NS : IDLE_NS;
}

static int timeout_ms(const struct supervisor *supervisor)
{
	int64_t ns = look_ns(supervisor);

	if (supervisor->watchdog_ns)
		ns = MIN(ns, supervisor->watchdog_ns / 3);
	if (supervisor->dying)
		ns = SPENT_NS;
	else if (supervisor->start_at_ns)
		ns = MIN(ns, MAX(supervisor->start_at_ns - child_now_ns(), 0));
	ns = ns / MS + (ns % MS > 0);
	return ns > INT_MAX ? -1 : (int)ns;
}

static void supervise(struct supervisor *supervisor)
{
	while (!supervisor->done) {
		struct pollfd fds[] = {
			{.fd = supervisor->signals, .events = POLLIN},
			{.fd = supervisor->worker.socket, .events = POLLIN},
			{.fd = supervisor->next.socket, .events = POLLIN},
			{.fd = supervisor->dying ? -1 : supervisor->worker.canary, .events = POLLIN},
			{.fd = sleeps(supervisor) ? supervisor->link.fuse : -1, .events = POLLIN},
		};

		poll(fds, COUNT_OF(fds), timeout_ms(supervisor));
		listen_to_all(supervisor);
		if (fds[3].revents) {
			close_fd(&supervisor->worker.canary);
			end_begins(supervisor, child_now_ns());
		}
		on_signals(supervisor);
		if (!supervisor->done)
			on_time(supervisor);
	}
}

static int give_up_privileges(void)
{
	int r = confine_supervisor();

	if (r < 0)
		log_error("giving up what is not needed: %s", strerror(-r));
	return r;
}

int supervisor_run(const struct options *options, int argc, char **argv)
{
	struct supervisor supervisor = {
		.options = options,
		.store = {.root_fd = -1, .proc_fd = -1},
		.link = {-1, -1, -1, -1, -1, -1},
		.program.fd = -1,
		.worker = CHILD_NONE,
		.next = CHILD_NONE,
		.control = -1,
		.signals = -1,
		.binary = realpath("/proc/self/exe", NULL),
		.watchdog_ns = service_watchdog_ns(),
	};
	int r;

	r = supervisor_bring_up(&supervisor, argc, argv);
	if (r == 0)
		r = give_up_privileges();
	if (r == 0) {
		start_worker(&supervisor);
		supervise(&supervisor);
		r = supervisor.result;
	}
	supervisor_tear_down(&supervisor);
	if (r == 0)
		log_info("%s unmounted from %s", options->store, options->mountpoint);
	return r;
}
