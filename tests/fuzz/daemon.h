/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A daemon in this process, on a store of its own, with the fuzzer where the kernel would be: at the other
 * end of a socket. The root directory of this process is one in which nothing else is; whether anything there
 * has been touched is checked at the end.
 */
#include <stddef.h>

#include "fs.h"

#define STORE "/store"

struct daemon {
	struct fs fs;
	int kernel; /* the other end */
	struct fuse_buf buf;
};

/* Begin with a few files. INIT is still to be sent. Exits with 77 where this is not root. */
void daemon_start(struct daemon *daemon, bool reserve, bool portable_names);

/* Let it serve what has been sent. Some replies come later, from other threads. */
void daemon_serve(struct daemon *daemon);

/* Also checks that nothing outside of the store was changed, or read. */
void daemon_stop(struct daemon *daemon);
