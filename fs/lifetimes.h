/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When a segment is to be removed, as its owner has said (user.shm.lifetime) and as segfs keeps it: notes on
 * the file (note.h), which survive the daemon. A directory's note is what new files and directories in it
 * begin with. Who does the removing: reaper.h.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lifetime.h"

/* How a file has been used since its lifetime was set, or since it was made with one. */
struct lifetimes_use {
	enum {
		LIFETIMES_UNUSED,   /* nobody has had it attached */
		LIFETIMES_IDLE,	    /* somebody had, and nobody has */
		LIFETIMES_ATTACHED, /* somebody has, or nobody has looked since */
	} state;
	int64_t since_ms; /* lifetimes_now_ms() of when it began to be so */
};

/* CLOCK_BOOTTIME, which runs as long as a tmpfs can last, also while the machine sleeps. */
int64_t lifetimes_now_ms(void);

/* Of an open file or directory. 0 (SEGFS_KEEP where nothing is noted) or -errno. */
int lifetimes_get(int fd, ino_t ino, struct segfs_lifetime *ret_lifetime);

/* Note it. 0, or -EINVAL (SEGFS_CREATOR of a file whose creator is unknown), or -errno. `is_dir`: what is in
 * it will have a creator. `attached`: somebody has it so, and is its user even if that ends before the reaper
 * looks. */
int lifetimes_set(int fd, ino_t ino, bool is_dir, const struct segfs_lifetime *lifetime, bool attached);

/*
 * A new file or directory `fd` takes over what is noted on its directory. Whoever makes a file by opening it
 * has it `attached`. True if that is something; without room for it in the store it is not.
 */
bool lifetimes_inherit(int dir_fd, int fd, bool is_dir, bool attached);

/* Of a file with SEGFS_LAST_USER or SEGFS_TTL. 0, or -ENODATA if nothing is noted, or -errno. */
int lifetimes_get_use(int fd, ino_t ino, struct lifetimes_use *ret_use);
int lifetimes_set_use(int fd, ino_t ino, const struct lifetimes_use *use);
