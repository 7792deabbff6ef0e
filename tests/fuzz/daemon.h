/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A daemon in this process, on a store of its own, with the fuzzer where the kernel would be: at the other
 * end of a socket. The root directory of this process is one in which nothing else is; whether anything there
 * has been touched is checked at the end.
 */
#include <stddef.h>

#include "fs.h"
#include "pins.h"

#define STORE "/store"

struct daemon {
	struct options options;
	struct fs fs;
	int kernel; /* the other end of `fuse` */
	struct fuse_buf buf;
	/* What a supervisor would have. */
	int fuse, ledger;
	int worker, supervisor; /* the two ends of their socket */
	struct pins pins;
};

/* Begin with a few files, and with the kernel's end of the wire; it sends INIT. Exits with 77 where this is
 * not root. */
void daemon_start(struct daemon *daemon, const struct options *options);

/* INIT has been sent: answer it, and be ready for requests. */
void daemon_begin(struct daemon *daemon);

/* Let it serve what has been sent. Some replies come later, from other threads. */
void daemon_serve(struct daemon *daemon);

/* What has been served has been answered: the thread goes on to the next. */
void daemon_done(void);

/* Another worker takes over; what has been served and is not done it may be sent again. It answers INIT once
 * more. */
void daemon_replace(struct daemon *daemon);

/* So many seconds pass, and the reaper does what is due by then; mostly, if the machine is busy. */
void daemon_skip(struct daemon *daemon, unsigned seconds);

/* Also checks that nothing outside of the store was changed, or read. */
void daemon_stop(struct daemon *daemon);
