/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The supervisor owns the mount: the connection to the kernel, its INIT request, the store, the ledger. It
 *answers no request. A worker (worker.h) does that, and when it ends, of whatever cause, another goes on
 *where it was: users wait for some milliseconds.
 *
 *	it is killed, or crashes		another at once
 *	it does not answer, and requests wait	it is killed, and see above
 *	SIGHUP					one of the binary on disk, if that starts; else the present
 *one stays it ends before it has done anything	another after a pause that doubles; after some of these the
 *mount ends SIGTERM, SIGINT, umount			the end
 */
struct options;

/*
 * Mount, and stay until the end of the mount. `argv` is what the options were parsed from. 0, or after a line
 * in the log -ECHILD: workers do not live long enough to be of use; or another -errno: it cannot be mounted.
 */
int supervisor_run(const struct options *options, int argc, char **argv);
