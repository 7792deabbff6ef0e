/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "caller.h"
#include "fresh.h"
#include "reply.h"
#include "util.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* the same number on every architecture */
#endif

static void reply_attr(fuse_req_t req, uint64_t ino, int fd)
{
	struct fs *fs = fs_of(req);
	struct node node;
	struct stat st;
	struct told told;
	int r;

	r = node_get(&fs->nodes, ino, &node);
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		reply(req, r);
		return;
	}
	told = fresh_look(fd, &st);
	node_tell(&fs->nodes, ino, &told);
	/* No directory is left whose watch would tell of changes to a file without a name. */
	fuse_reply_attr(req, &st, st.st_nlink == 0 ? 0 : op_timeout(fs, node.parent ? node.parent : ino));
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	static const struct stat unseen_root = {
		.st_ino = FUSE_ROOT_ID, .st_mode = S_IFDIR | 0755, .st_nlink = 2};
	SEGFS_CLOSE int fd = -1;

	if (ino == FUSE_ROOT_ID) {
		fuse_reply_attr(req, &unseen_root, 0);
		return;
	}
	fd = op_open_node(fs_of(req), ino, O_PATH);
	if (fd < 0)
		reply(req, fd);
	else
		reply_attr(req, ino, fd);
}

/* Growth with its pages: all or, with ENOSPC, nothing. Shrinking as ever. */
static int set_size_reserved(int fd, off_t size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (size <= st.st_size)
		return ftruncate(fd, size) < 0 ? -errno : 0;
	return fallocate(fd, 0, st.st_size, size - st.st_size) < 0 ? -errno : 0;
}

/* By truncate(2), whose requester has no descriptor: the store's kernel judges whether it may write. */
static int set_size_by_path(const struct fs *fs, int fd, off_t size)
{
	SEGFS_CLOSE int open_fd = -1;
	char path[SEGFS_FD_PATH_MAX];

	if (fs->options.reserve) {
		open_fd = segfs_store_reopen(&fs->store, fd, O_WRONLY | O_NONBLOCK);
		return open_fd < 0 ? open_fd : set_size_reserved(open_fd, size);
	}
	segfs_fd_path(fd, path);
	return truncate(path, size) < 0 ? -errno : 0;
}

static int set_size(const struct fs *fs, int fd, int open_fd, off_t size)
{
	if (open_fd < 0)
		return set_size_by_path(fs, fd, size);
	if (fs->options.reserve)
		return set_size_reserved(open_fd, size);
	return ftruncate(open_fd, size) < 0 ? -errno : 0;
}

static int set_owner(int fd, const struct stat *attr, int to_set)
{
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_mode(int fd, mode_t mode)
{
	return syscall(SYS_fchmodat2, fd, "", mode & 07777, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static struct timespec time_to_set(struct timespec time, bool set, bool now)
{
	if (!set)
		time.tv_nsec = UTIME_OMIT;
	else if (now)
		time.tv_nsec = UTIME_NOW;
	return time;
}

static int set_times(int fd, const struct stat *attr, int to_set)
{
	const struct timespec times[] = {
		time_to_set(attr->st_atim, to_set & FUSE_SET_ATTR_ATIME, to_set & FUSE_SET_ATTR_ATIME_NOW),
		time_to_set(attr->st_mtim, to_set & FUSE_SET_ATTR_MTIME, to_set & FUSE_SET_ATTR_MTIME_NOW),
	};

	return utimensat(fd, "", times, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_as_caller(fuse_req_t req, int fd, int open_fd, const struct stat *attr, int to_set)
{
	AS_CALLER int r = caller_become(req);

	if (r == 0 && to_set & FUSE_SET_ATTR_SIZE)
		r = set_size(fs_of(req), fd, open_fd, attr->st_size);
	if (r == 0 && to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		r = set_owner(fd, attr, to_set);
	if (r == 0 && to_set & FUSE_SET_ATTR_MODE)
		r = set_mode(fd, attr->st_mode);
	if (r == 0 && to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME))
		r = set_times(fd, attr, to_set);
	return r;
}

/* What decides who may do what. */
#define RIGHTS (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)

static int set_rights(fuse_req_t req, uint64_t ino, int fd, int open_fd, const struct stat *attr, int to_set)
{
	struct fs *fs = fs_of(req);
	int r;

	pthread_mutex_lock(&fs->rights_lock);
	r = set_as_caller(req, fd, open_fd, attr, to_set);
	fresh_note(fs, ino, fd);
	pthread_mutex_unlock(&fs->rights_lock);
	return r;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int fd = op_open_node(fs, ino, O_PATH);
	SEGFS_CLOSE int open_fd = -1;
	int r = fd;

	/* ftruncate(2): the right to write was judged when the file was opened. */
	if (r >= 0 && fi && to_set & FUSE_SET_ATTR_SIZE)
		r = open_fd = op_open_node(fs, ino, O_WRONLY);
	if (r >= 0 && !fi)
		r = fresh_check_parent(req, ino);
	if (r >= 0)
		r = to_set & RIGHTS ? set_rights(req, ino, fd, open_fd, attr, to_set)
				    : set_as_caller(req, fd, open_fd, attr, to_set);
	if (r < 0)
		reply(req, r);
	else
		reply_attr(req, ino, fd);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), ino, O_PATH | O_NOFOLLOW);
	char target[PATH_MAX + 1];
	ssize_t n = fd;

	if (fd >= 0) {
		n = readlinkat(fd, "", target, sizeof(target) - 1);
		if (n < 0)
			n = -errno;
	}
	if (n < 0) {
		reply(req, (int)n);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;

	if (fstatvfs(fs_of(req)->store.root_fd, &st) < 0)
		reply(req, -errno);
	else
		fuse_reply_statfs(req, &st);
}
