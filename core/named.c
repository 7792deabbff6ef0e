/* SPDX-License-Identifier: MIT */
#include "named.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "store.h"
#include "util.h"

/* How often others may make a file before us and remove it before we open it. */
enum { TRIES = 16 };

/* The name for the time being is a portable one, see name.h. */
#define TEMPORARY     "new_%016" PRIx64
#define TEMPORARY_MAX 24

int segfs_named_open(const char *path, int flags)
{
	SEGFS_CLOSE int fd = -1;
	unsigned n_waits = 0;
	struct stat st;

	if (flags != O_RDONLY && flags != O_RDWR)
		return -EINVAL;
	do {
		fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			fd = errno == ENXIO ? -EINVAL : -errno;
	} while (segfs_store_await_lease(fd, &n_waits));
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? steal_fd(&fd) : -EINVAL;
}

/* The directory of a path, and the name in it, which points into the path. */
static int open_directory(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	SEGFS_FREE char *directory = slash ? strndup(path, (size_t)(name - path)) : strdup(".");
	int fd;

	if (!directory)
		return -ENOMEM;
	if (!*path)
		return -ENOENT;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EISDIR;
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_name = name;
	return fd;
}

static int open_nameless(int dir_fd, mode_t mode)
{
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);

	return fd < 0 ? -errno : fd;
}

static int open_temporary(int dir_fd, mode_t mode, char ret_name[TEMPORARY_MAX])
{
	uint64_t number;
	int fd;

	if (getrandom(&number, sizeof(number), 0) < 0)
		return -errno;
	snprintf(ret_name, TEMPORARY_MAX, TEMPORARY, number);
	fd = openat(dir_fd, ret_name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
	return fd < 0 ? -errno : fd;
}

static int rename_new(int dir_fd, const char *from, const char *to)
{
	return renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) < 0 ? -errno : 0;
}

/*
 * A descriptor by O_TMPFILE has no path in /proc/self/fd, even when the file has a name. So it is opened by
 * that; unless it cannot be, because `mode` says so or others have been at it already.
 */
static int exchange_for_named(int fd, const char *path)
{
	SEGFS_CLOSE int named = segfs_named_open(path, O_RDWR);
	struct stat st, st_named;

	if (named < 0 || fstat(fd, &st) < 0 || fstat(named, &st_named) < 0 || st.st_dev != st_named.st_dev ||
	    st.st_ino != st_named.st_ino)
		return fd;
	close(fd);
	return steal_fd(&named);
}

static int make_new(const char *path, mode_t mode, int (*make)(int fd, const void *plan), const void *plan)
{
	SEGFS_CLOSE int dir_fd = -1, fd = -1;
	char temporary[TEMPORARY_MAX] = "";
	const char *name = NULL;
	int r;

	dir_fd = open_directory(path, &name);
	if (dir_fd < 0)
		return dir_fd;
	fd = open_nameless(dir_fd, mode);
	if (fd == -EOPNOTSUPP)
		fd = open_temporary(dir_fd, mode, temporary);
	if (fd < 0)
		return fd;
	r = make(fd, plan);
	if (r == 0)
		r = *temporary ? rename_new(dir_fd, temporary, name) : segfs_fd_link(fd, dir_fd, name);
	if (r < 0 && *temporary)
		unlinkat(dir_fd, temporary, 0);
	return r < 0 ? r : exchange_for_named(steal_fd(&fd), path);
}

/* Looked at before it is made, so that nobody asks for a gigabyte in vain. */
static int create_exclusively(const char *path, mode_t mode, int (*make)(int fd, const void *plan),
			      const void *plan)
{
	struct stat st;

	return lstat(path, &st) == 0 ? -EEXIST : make_new(path, mode, make, plan);
}

int segfs_named_create(const char *path, int flags, mode_t mode, int (*make)(int fd, const void *plan),
		       const void *plan)
{
	int fd = -EEXIST;

	if (flags & ~O_EXCL)
		return -EINVAL;
	if (flags & O_EXCL)
		return create_exclusively(path, mode, make, plan);
	for (int i = 0; i < TRIES && fd == -EEXIST; i++) {
		fd = segfs_named_open(path, O_RDWR);
		if (fd == -ENOENT)
			fd = make_new(path, mode, make, plan);
	}
	return fd;
}
