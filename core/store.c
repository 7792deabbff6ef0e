/* SPDX-License-Identifier: MIT */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>

#include "util.h"

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE	  1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif

/* Since Linux 6.13; the same number on every architecture. */
#ifndef SYS_getxattrat
#define SYS_getxattrat 464
#endif
struct getxattrat_args {
	_Alignas(8) uint64_t value;
	uint32_t size, flags;
};

/* tmpfs fills three 32-bit words (mm/shmem.c, shmem_encode_fh()) and calls that type 1. */
#define TMPFS_HANDLE_TYPE 1

#define LEASE_WAIT_MS  100
#define LEASE_PAUSE_MS 1

union handle_buffer {
	struct file_handle kernel;
	char room[sizeof(struct file_handle) + sizeof(struct segfs_handle)];
};

/* A clone without its submounts; opened through "." because open_by_handle_at(2) takes no O_PATH descriptor.
 */
static int clone_mount(const char *path, int *ret_fd)
{
	SEGFS_CLOSE int tree = -1;
	int fd;

	tree = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return -errno;
	fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int segfs_store_open(const char *path, struct segfs_store *ret_store)
{
	SEGFS_CLOSE int root = -1;
	struct segfs_handle handle;
	struct statfs fs;
	int r;

	r = clone_mount(path, &root);
	if (r < 0)
		return r;
	if (fstatfs(root, &fs) < 0)
		return -errno;
	if (fs.f_type != TMPFS_MAGIC)
		return -EMEDIUMTYPE;
	r = segfs_store_handle(root, &handle);
	if (r == 0)
		r = segfs_store_adopt(root, ret_store);
	if (r == 0)
		steal_fd(&root); /* the store's now */
	return r;
}

int segfs_store_adopt(int root_fd, struct segfs_store *ret_store)
{
	SEGFS_CLOSE int proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (proc < 0 || fstat(root_fd, &st) < 0)
		return -errno;
	*ret_store = (struct segfs_store){root_fd, steal_fd(&proc), st.st_dev};
	return 0;
}

void segfs_store_close(struct segfs_store *store)
{
	close_fd(&store->root_fd);
	close_fd(&store->proc_fd);
	store->root_fd = store->proc_fd = -1;
}

static int name_to_handle(int fd, const char *name, int flags, struct segfs_handle *ret_handle)
{
	union handle_buffer buffer = {.kernel.handle_bytes = sizeof(*ret_handle)};
	int mount_id;

	if (name_to_handle_at(fd, name, &buffer.kernel, &mount_id, flags) < 0)
		return -errno;
	if (buffer.kernel.handle_type != TMPFS_HANDLE_TYPE ||
	    buffer.kernel.handle_bytes != sizeof(*ret_handle))
		return -EMEDIUMTYPE;
	memcpy(ret_handle->bytes, buffer.kernel.f_handle, sizeof(ret_handle->bytes));
	return 0;
}

ino_t segfs_handle_ino(const struct segfs_handle *handle)
{
	uint32_t words[3];

	memcpy(words, handle->bytes, sizeof(words));
	return (ino_t)words[2] << 32 | words[1];
}

int segfs_store_handle(int fd, struct segfs_handle *ret_handle)
{
	return name_to_handle(fd, "", AT_EMPTY_PATH, ret_handle);
}

int segfs_store_handle_at(int dir_fd, const char *name, struct segfs_handle *ret_handle)
{
	return name_to_handle(dir_fd, name, 0, ret_handle);
}

int segfs_store_open_handle(const struct segfs_store *store, const struct segfs_handle *handle, int flags)
{
	union handle_buffer buffer = {
		.kernel = {.handle_bytes = sizeof(*handle), .handle_type = TMPFS_HANDLE_TYPE},
	};
	int fd;

	memcpy(buffer.kernel.f_handle, handle->bytes, sizeof(handle->bytes));
	fd = open_by_handle_at(store->root_fd, &buffer.kernel, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static ssize_t getxattr_at(int dir_fd, const char *path, int flags, const char *name, char *value,
			   size_t size)
{
	struct getxattrat_args args = {.value = (uintptr_t)value, .size = (uint32_t)size};
	ssize_t n = syscall(SYS_getxattrat, dir_fd, path, flags, name, &args, sizeof(args));

	return n < 0 ? -errno : n;
}

ssize_t segfs_getxattr_at(int dir_fd, const char *path, const char *name, char *value, size_t size)
{
	return getxattr_at(dir_fd, path, AT_SYMLINK_NOFOLLOW, name, value, size);
}

/* From /proc/self/fd on rather than from the root, which takes three times as long. */
static ssize_t get_from_proc(const struct segfs_store *store, int fd, const char *name, char *value,
			     size_t size)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	return getxattr_at(store->proc_fd, number, 0, name, value, size);
}

ssize_t segfs_store_getxattr(const struct segfs_store *store, int fd, const char *name, char *value,
			     size_t size)
{
	char path[SEGFS_FD_PATH_MAX];
	ssize_t n;

	n = get_from_proc(store, fd, name, value, size);
	if (n != -ENOSYS && n != -EPERM)
		return n;
	segfs_fd_path(fd, path);
	n = getxattr(path, name, value, size);
	return n < 0 ? -errno : n;
}

int segfs_store_reopen(const struct segfs_store *store, int fd, int flags)
{
	char name[16];
	int opened;

	snprintf(name, sizeof(name), "%d", fd);
	opened = openat(store->proc_fd, name, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return opened < 0 ? -errno : opened;
}

bool segfs_store_await_lease(int r, unsigned *n_waits)
{
	const struct timespec pause = {.tv_nsec = LEASE_PAUSE_MS * 1000000};

	if (r != -EAGAIN || *n_waits == LEASE_WAIT_MS / LEASE_PAUSE_MS)
		return false;
	++*n_waits;
	nanosleep(&pause, NULL);
	return true;
}

void segfs_fd_path(int fd, char ret_path[SEGFS_FD_PATH_MAX])
{
	snprintf(ret_path, SEGFS_FD_PATH_MAX, "/proc/self/fd/%d", fd);
}

/* The first way needs a right, or Linux 6.10; the second /proc. */
int segfs_fd_link(int fd, int dir_fd, const char *name)
{
	char path[SEGFS_FD_PATH_MAX];

	if (linkat(fd, "", dir_fd, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno == EEXIST)
		return -errno;
	segfs_fd_path(fd, path);
	return linkat(AT_FDCWD, path, dir_fd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}
