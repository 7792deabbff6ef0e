/* SPDX-License-Identifier: MIT */
#include "process-end.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lifetimes.h"
#include "util.h"

void process_ends_init(struct process_ends *ends, int epoll)
{
	struct rlimit limit;

	*ends = (struct process_ends){.epoll = epoll};
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		ends->max_fds = limit.rlim_cur / 2;
}

/* Is the process of that pid still the same one? */
static bool is_there(const struct process_key *key)
{
	struct segfs_process now;

	return segfs_process_read((pid_t)key->pid, &now) == 0 && now.start_ticks == key->start_ticks;
}

/* A zombie has let go of all it had. (A pidfd tells of it by itself.) */
static bool lives(const struct process_key *key)
{
	return is_there(key) && segfs_process_lives((pid_t)key->pid);
}

static int watch(struct process_ends *ends, struct process_end *end)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};

	if (ends->n_fds >= ends->max_fds)
		return -EMFILE;
	end->fd = (int)syscall(SYS_pidfd_open, (pid_t)end->key.pid, 0);
	if (end->fd < 0)
		return -errno;
	if (epoll_ctl(ends->epoll, EPOLL_CTL_ADD, end->fd, &event) < 0) {
		close_fd(&end->fd);
		return -ENOSPC;
	}
	return 0;
}

/* Looked at after pidfd_open(2): if it is there now, it is the one that was opened. */
static void begin(struct process_ends *ends, struct process_end *end)
{
	bool watched = watch(ends, end) == 0;

	if (watched)
		ends->n_fds++;
	else
		ends->n_asked++;
	if (watched ? !is_there(&end->key) : !lives(&end->key))
		process_ends_note(ends, end);
}

static void stop_watching(struct process_ends *ends, struct process_end *end)
{
	if (end->ended)
		return;
	if (end->fd >= 0)
		ends->n_fds--;
	else
		ends->n_asked--;
	close_fd(&end->fd);
}

void process_ends_note(struct process_ends *ends, struct process_end *end)
{
	stop_watching(ends, end);
	end->ended = true;
	end->ended_ms = lifetimes_now_ms();
}

struct process_end *process_ends_get(struct process_ends *ends, const struct segfs_process *process)
{
	const struct process_key key = {.start_ticks = process->start_ticks, .pid = process->pid};
	struct process_end *end;

	HASH_FIND(hh, ends->table, &key, sizeof(key), end);
	if (!end) {
		end = calloc(1, sizeof(*end));
		if (!end)
			return NULL;
		end->key = key;
		end->fd = -1;
		HASH_ADD(hh, ends->table, key, sizeof(end->key), end);
		if (!end->hh.tbl) {
			free(end);
			return NULL;
		}
		begin(ends, end);
	}
	end->n_users++;
	return end;
}

static void end_free(struct process_ends *ends, struct process_end *end)
{
	stop_watching(ends, end);
	HASH_DELETE(hh, ends->table, end);
	free(end);
}

void process_ends_put(struct process_ends *ends, struct process_end *end)
{
	if (end && --end->n_users == 0)
		end_free(ends, end);
}

bool process_ends_ask(struct process_ends *ends)
{
	bool any = false;

	for (struct process_end *end = ends->table; end && ends->n_asked > 0; end = end->hh.next) {
		if (end->ended || end->fd >= 0 || lives(&end->key))
			continue;
		process_ends_note(ends, end);
		any = true;
	}
	return any;
}

void process_ends_destroy(struct process_ends *ends)
{
	struct process_end *end, *next;

	HASH_ITER (hh, ends->table, end, next)
		end_free(ends, end);
}
