/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Programs that notice whatever a mount does wrong: each works on files of its own in a directory that all
 * share, knows what each call must return and each byte must be, and stops everything at the first
 * difference.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define N_FILES	  8
#define FILE_SIZE 12288 /* three pages */

/* What all clients share, in memory that no file system has to do with. */
struct shared {
	_Atomic bool stop;
	_Atomic bool failed;
	_Atomic uint64_t n_calls;
	_Atomic uint64_t longest_ns;	   /* call */
	_Atomic uint64_t n_flock, n_fcntl; /* times that the lock was held and the counter behind it moved */
};

/* A file of a client's, as it must be. */
struct file {
	bool exists;
	uint32_t pattern; /* its bytes follow from this; 0: it is empty */
	uint32_t mode;
	uint32_t value; /* of its attribute; 0: it has none */
};

struct client {
	struct shared *shared;
	int dir, store; /* the same directory, by the mount and behind it */
	unsigned number;
	uint64_t random;
	struct file files[N_FILES];
	int held_fd; /* an open file without a name, from the beginning to the end */
	char *held;
	uint32_t held_pattern;
	int lock_fd; /* the file whose locks all contend for */
	uint64_t *counters;
};

/* Work until told to stop. An exit status. */
int client_run(struct client *client);

/* Each call is timed. */
uint64_t now_ns(void);
void note_call(struct shared *shared, uint64_t began_ns);

/* Say what is wrong and end everything. */
_Noreturn __attribute__((format(printf, 2, 3))) void fail(struct shared *shared, const char *format, ...);
