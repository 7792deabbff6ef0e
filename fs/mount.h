/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Attaching a FUSE connection to a directory, and taking it away, by the kernel's own calls: libfuse's
 * helpers hide which step failed.
 *
 * What users see is not the root of the FUSE file system but its one entry, MOUNT_ENTRY. The kernel makes the
 * root's inode before it knows what the server can do (INIT), and so never caches an ACL for it: each step of
 * an ordinary user into the mount would cost a request. An inode that is looked up later has no such flaw.
 * (Linux fs/fuse/inode.c, fuse_init_inode() and ACL_DONT_CACHE.)
 */
#include <stdbool.h>
#include <sys/types.h>

struct options;
struct segfs_store;

#define MOUNT_ENTRY "store"

/*
 * Open /dev/fuse and make a mount of it that nobody sees yet. The kernel's first request waits to be answered
 * then. Both descriptors are the caller's. 0, or -errno after one line in the log that says what is wrong and
 * how it is mended.
 */
int mount_create(const struct options *options, const struct segfs_store *store, int *ret_fuse_fd,
		 int *ret_mount_fd);

/* Its st_dev, as users will see it. Asks the server nothing. */
dev_t mount_device(int mount_fd);

/* A directory in which the kernel tells of the connection: in `waiting`, how many requests have not been
 * answered. -1 if it is not to be had. */
int mount_open_control(dev_t dev);

/* Is it seen on the mountpoint? */
bool mount_is_attached(const struct options *options, dev_t dev);

/* Let it be seen on the mountpoint. Requests are answered by now. 0, or -errno after a line in the log. */
int mount_attach(const struct options *options, int mount_fd);

/* Unmount; files and mappings in use live on. Logs what it cannot do. `dev` is the mount's, lest another one
 * be taken away. */
void mount_detach(const struct options *options, dev_t dev);
