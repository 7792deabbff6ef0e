/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Attaching a FUSE connection to a directory, and taking it away. By mount(2) and not by libfuse's helpers: they unmount when the daemon ends as they
 * please, and hide which step failed.
 */
#include <sys/types.h>

struct options;
struct segfs_store;

/*
 * Open /dev/fuse and mount it. *ret_fuse_fd is then owned by the caller. 0, or -errno after one line in the log that says what is wrong and how
 * it is mended.
 */
int mount_attach(const struct options *options, const struct segfs_store *store, int *ret_fuse_fd);

/* Unmount; files and mappings in use live on. Logs what it cannot do. */
void mount_detach(const struct options *options, dev_t dev);
