/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who a process is, from /proc. What files it has: census.h; what locks: locks.h. Source: proc(5).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Who a process (or one of its threads) is. Its pid and start together name it for good: pids are reused. */
struct segfs_process {
	pid_t pid;	      /* of the process, also where a thread was asked for */
	uint64_t start_ticks; /* since boot, field 22 of /proc/PID/stat */
	char command[16];     /* as in /proc/PID/comm, may hold any byte but NUL */
};

/* 0, or -ESRCH if there is none. */
int segfs_process_read(pid_t pid, struct segfs_process *ret_process);

/* Does it still run, in any of its threads? A zombie holds nothing any more. */
bool segfs_process_lives(pid_t pid);

/* RLIMIT_FSIZE of a process, bytes; UINT64_MAX: unlimited or not to be known. (prlimit(2) needs a capability
 * for another user's process.) */
uint64_t segfs_process_size_limit(pid_t pid);

/*
 * Calls `look` with the process's directory in /proc (O_PATH). Where that returns false, having found nothing
 * there, calls it with those of the other threads until it returns true: the first thread may have ended
 * before the others, and then has neither memory nor descriptors. False if all did, or there is no such
 * process.
 */
bool segfs_process_look(pid_t pid, bool (*look)(int dir_fd, void *data), void *data);

struct segfs_pids {
	pid_t *list; /* owned, ascending, without duplicates */
	size_t n;
};

/* A pid that is there already is not added again. 0 or -ENOMEM. */
int segfs_pids_add(struct segfs_pids *pids, pid_t pid);

/* Print them as "812,813"; nothing for an empty list. */
void segfs_pids_print(const struct segfs_pids *pids, FILE *out);

void segfs_pids_clear(struct segfs_pids *pids);
