/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What /proc tells of a file: who has it mapped or open, who holds and awaits its locks, and who a process
 * is.
 *
 * A file may be known under two identities, the mount's and the store's. A scan walks all of /proc and so
 * belongs on a thread that nobody waits for but the one who asked. It never makes a request of any file
 * system: what it stats, it stats from cache. Sources: proc(5); Linux fs/locks.c (lock_get_status) for the
 * lines of /proc/locks.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct segfs_identity {
	dev_t dev[2]; /* of the mount and of the store */
	ino_t ino;    /* the same in both */
};

struct segfs_pids {
	pid_t *list; /* owned, ascending, without duplicates */
	size_t n;
};

void segfs_pids_clear(struct segfs_pids *pids);

/* Print them as "812,813"; nothing for an empty list. */
void segfs_pids_print(const struct segfs_pids *pids, FILE *out);

/* Every process that has the file mapped, or open by either path, but this one. 0 or -errno. */
int segfs_process_attached(const struct segfs_identity *file, struct segfs_pids *ret_pids);

/*
 * The value of user.shm.lock: "unlocked"; or for each kind of lock "exclusive pid 812 (flock)" or "shared pid
 * 812,813 (fcntl)", joined by
 * "; ", and ", 2 waiting" where somebody waits. *ret_text is to be freed. 0 or -errno.
 */
int segfs_process_locks(const struct segfs_identity *file, char **ret_text);

/* Who a process (or one of its threads) is. Its pid and start together name it for good: pids are reused. */
struct segfs_process {
	pid_t pid;	      /* of the process, also where a thread was asked for */
	uint64_t start_ticks; /* since boot, field 22 of /proc/PID/stat */
	char command[16];     /* as in /proc/PID/comm, may hold any byte but NUL */
};

/* 0, or -ESRCH if there is none. */
int segfs_process_read(pid_t pid, struct segfs_process *ret_process);

/* RLIMIT_FSIZE of a process, bytes; UINT64_MAX: unlimited or not to be known. (prlimit(2) needs a capability
 * for another user's process.) */
uint64_t segfs_process_size_limit(pid_t pid);
