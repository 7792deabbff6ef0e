/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The directory on tmpfs that holds the real files.
 *
 * It is opened once, as a private clone of its mount: what is mounted on or below the store, before or later,
 * does not exist in the clone, so nothing but the store's own files can be reached and a mount may cover its
 * own store.
 *
 * A file is known by its handle, not by a descriptor: 12 bytes, good for as long as the file exists, under
 * whatever name. What this module does not do: it checks no permission; its caller acts as root here and as
 * the user elsewhere.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct segfs_store {
	int root_fd; /* O_RDONLY | O_DIRECTORY, owned */
	int proc_fd; /* /proc/self/fd, to open again what is already open, owned */
	dev_t dev;
};

/* What name_to_handle_at(2) gives for a file on tmpfs: its generation and its inode number. */
struct segfs_handle {
	unsigned char bytes[12];
};

/*
 * Open a directory as a store. Needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH in the initial user namespace.
 * 0, or -ENOTDIR, -EMEDIUMTYPE (not on tmpfs), or the errno of open(2) or open_tree(2). *ret_store is
 * untouched on failure.
 */
int segfs_store_open(const char *path, struct segfs_store *ret_store);

/* The same of a store's root that another process has opened so. Takes `root_fd` over, unless it fails. 0 or
 * -errno. */
int segfs_store_adopt(int root_fd, struct segfs_store *ret_store);

/* Close what segfs_store_open() opened. */
void segfs_store_close(struct segfs_store *store);

/* The handle of an open file (O_PATH is enough). 0 or -errno. */
int segfs_store_handle(int fd, struct segfs_handle *ret_handle);

/* The same of `name` in an open directory, not following a symlink. 0 or -errno. */
int segfs_store_handle_at(int dir_fd, const char *name, struct segfs_handle *ret_handle);

/* The inode number that it tells. */
ino_t segfs_handle_ino(const struct segfs_handle *handle);

/*
 * Open the file with this handle, as root (a symlink: with O_PATH). A descriptor, or -ESTALE once the file is
 * gone, or -errno of open_by_handle_at(2).
 */
int segfs_store_open_handle(const struct segfs_store *store, const struct segfs_handle *handle, int flags);

/*
 * Open once more, with the caller's present credentials and these flags, the file that `fd` (O_PATH) refers
 * to. A descriptor or -errno of open(2).
 */
int segfs_store_reopen(const struct segfs_store *store, int fd, int flags);

/* getxattr(2) of what `fd` refers to, O_PATH is enough. The value's length, or -errno. */
ssize_t segfs_store_getxattr(const struct segfs_store *store, int fd, const char *name, char *value,
			     size_t size);

/* The same of `path`, from an open directory on, not following a symlink: getxattrat(2). -ENOSYS before Linux
 * 6.13; -EPERM under a filter that does not know the call, such as systemd's. */
ssize_t segfs_getxattr_at(int dir_fd, const char *path, const char *name, char *value, size_t size);

/*
 * An open(2) with O_NONBLOCK of a file that somebody has a lease on (fcntl(2), F_SETLEASE) fails with
 * -EAGAIN, and makes the kernel tell the holder, who gives it back if he is quick: segfs takes leases itself,
 * for milliseconds. Call this with the open's result, and a count that begins at 0: true, after a pause, as
 * long as trying again makes sense, which is 100 ms.
 */
bool segfs_store_await_lease(int r, unsigned *n_waits);

/* The path of an open file for calls that only take one, such as setxattr(2), and still work on an O_PATH
 * descriptor. */
#define SEGFS_FD_PATH_MAX 32
void segfs_fd_path(int fd, char ret_path[SEGFS_FD_PATH_MAX]);

/* Give the file a name in an open directory, its first one if it was opened with O_TMPFILE. 0, or -EEXIST, or
 * -errno of linkat(2). */
int segfs_fd_link(int fd, int dir_fd, const char *name);
