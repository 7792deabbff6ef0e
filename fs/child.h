/* SPDX-License-Identifier: MIT */
#pragma once

/* The supervisor's view of a worker's process: its start, its end. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "link.h"

struct options;
struct pins;

struct child {
	pid_t pid;	     /* 0: none */
	int socket;	     /* to it, owned; -1 */
	int canary;	     /* pidfd of a thread that ends with the process, owned; -1 */
	bool ready;	     /* it serves */
	bool stopped;	     /* by SIGSTOP */
	int64_t start_ns;    /* when it was started */
	int64_t ready_ns;    /* since when it serves */
	uint64_t n_done;     /* requests that had been answered by then */
	int64_t asked_ns;    /* since when it owes a reply whether it is well, and answers nothing; 0: it owes
				none */
	uint64_t asked_done; /* requests that had been answered by then */
	int64_t well_ns;     /* when it last was */
};
#define CHILD_NONE                                                                                           \
	{                                                                                                    \
		.socket = -1, .canary = -1                                                                   \
	}

int64_t child_now_ns(void);

/* What a worker of another binary is started with. */
struct child_program {
	int fd;	     /* of the binary, O_PATH, owned; -1: the supervisor's own, by fork(2) alone */
	char **argv; /* owned */
};
int child_program_init(struct child_program *program, const struct options *options, int argc, char **argv);
void child_program_clear(struct child_program *program);

/* Start one. `link`: all but the socket. `pins`: what it is not to have a copy of. It waits for LINK_GO. 0 or
 * -errno. */
int child_start(struct child *child, const struct options *options, const struct link *link,
		const struct child_program *program, struct pins *pins);

/* From now on `canary` tells of its end. 0, or -ESRCH: it has ended. */
int child_watch(struct child *child, pid_t canary);

/*
 * Is a killed one done with all it had in hand? A thread that is still waiting in the kernel, to tell it of a
 * change in the store (WATCH_THREAD) or for the answer of the mount that it is about to attach
 * (ATTACH_THREAD), does nothing else any more, and may itself be waiting for the next worker's answer.
 */
bool child_is_spent(const struct child *child);

/* By SIGSTOP. Its parent is told only once all its threads are, which one in the kernel may be kept from. */
bool child_is_stopped(const struct child *child);

/* One that owes a reply: is the thread that is to give it, which does nothing else, waiting for a processor?
 */
bool child_is_starved(const struct child *child);

/* Close what is held of it. The process is not touched. */
void child_clear(struct child *child);
