/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A process that does nothing until the supervisor has ended, and then ends the connection.
 *
 * The kernel does that itself when nobody has /dev/fuse open any more. But a worker that is killed while its
 * watching thread waits in the kernel for a directory (watch.h) lives on in that thread, which cannot be
 * killed; the directory is held by somebody who waits for the worker's answer; and if the supervisor is
 * killed as well there is no other worker to give it. All three would wait for ever.
 */

/*
 * Begin one that watches over the calling process, which has no other thread. `control`: of
 * mount_open_control(); -1: there is none, then. It is nobody's child here, so that nobody has to wait for
 * it; it holds no descriptor but its own two, and has blocked the signals that the supervisor has. Should
 * somebody kill it, no other is begun. 0 or -errno.
 */
int sentinel_start(int control);
