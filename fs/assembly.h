/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The parts of a worker, put together in the order in which they need each other, and taken apart again. What
 * has to do with the kernel's answers, the supervisor and the mount is worker.c's; without all of these,
 * tests/fuzz/daemon.c is another that does this. Not from several threads.
 */
#include <sys/types.h>

struct fs;
struct options;

/* Before anything else: what assembly_end() then finds there has not been started. The ledger, the store and
 * what is borrowed are the caller's to put in. */
void assembly_init(struct fs *fs, const struct options *options);

/*
 * From the ledger, the store and the connection `fuse_fd` (borrowed) to a session that can be given requests;
 * `device` is the mount's number. 0 or -errno; call assembly_end() in either case.
 */
int assembly_open(struct fs *fs, dev_t device, int fuse_fd);

/* All threads but those that read requests (workers.h), once passthrough_init() has been called. 0 or -errno.
 */
int assembly_start(struct fs *fs);

/* Ends whatever has been started, in reverse, and lets go of the store and the ledger. */
void assembly_end(struct fs *fs);
