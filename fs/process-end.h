/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Waiting for processes to end: a pidfd_open(2) descriptor for each, however many wait for it. A process is
 * its pid and its start time, so a pid that is used again deceives nobody. Where descriptors run out, the
 * process has to be asked about. One thread.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "process.h"

struct process_end {
	struct process_key {
		uint64_t start_ticks;
		int64_t pid;
	} key;
	int fd; /* owned; -1: none, or no longer needed */
	bool ended;
	int64_t ended_ms; /* when that was seen; lifetimes_now_ms() */
	size_t n_users;
	UT_hash_handle hh;
};

struct process_ends {
	struct process_end *table;
	int epoll;	       /* borrowed: a pidfd is added with its process_end as data */
	size_t n_fds, n_asked; /* living processes with a descriptor, and without */
	size_t max_fds;	       /* leaves some for others */
};

void process_ends_init(struct process_ends *ends, int epoll);
void process_ends_destroy(struct process_ends *ends);

/* The end of a process, which may have come long ago; one user more. NULL: no memory. */
struct process_end *process_ends_get(struct process_ends *ends, const struct segfs_process *process);

/* One user less; takes NULL. */
void process_ends_put(struct process_ends *ends, struct process_end *end);

/* Its descriptor is readable. */
void process_ends_note(struct process_ends *ends, struct process_end *end);

/* Ask about all without a descriptor. True if one has ended. */
bool process_ends_ask(struct process_ends *ends);
