/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "caller.h"
#include "fresh.h"
#include "reply.h"
#include "resize.h"
#include "seal.h"
#include "util.h"

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

static int set_owner(int fd, const struct stat *attr, int to_set)
{
	uid_t uid = to_set & FUSE_SET_ATTR_UID ? attr->st_uid : (uid_t)-1;
	gid_t gid = to_set & FUSE_SET_ATTR_GID ? attr->st_gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_mode(int fd, mode_t mode)
{
	char path[SEGFS_FD_PATH_MAX];

	segfs_fd_path(fd, path);
	return chmod(path, mode & 07777) < 0 ? -errno : 0;
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

static int set_as_caller(fuse_req_t req, int fd, const struct stat *attr, int to_set)
{
	AS_CALLER int r = caller_become(req);

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

/* A sealed segment gets no write bits. */
static bool is_refused(int fd, const struct stat *attr, int to_set)
{
	struct stat st;

	return to_set & FUSE_SET_ATTR_MODE && attr->st_mode & WRITE_BITS && fstat(fd, &st) == 0 &&
	       S_ISREG(st.st_mode) && seal_holds(fd, st.st_ino);
}

static int set_rights(fuse_req_t req, uint64_t ino, int fd, const struct stat *attr, int to_set)
{
	struct fs *fs = fs_of(req);
	int r;

	pthread_mutex_lock(&fs->rights_lock);
	r = is_refused(fd, attr, to_set) ? -EPERM : set_as_caller(req, fd, attr, to_set);
	fresh_note(fs, ino, fd);
	pthread_mutex_unlock(&fs->rights_lock);
	return r;
}

/* What a SETATTR wants. `by_fd`: of a file that the requester has open, judged when it was opened. */
struct change {
	struct resize_job resize;
	uint64_t ino;
	struct stat attr;
	int to_set;
	bool by_fd;
};

static int set_size(fuse_req_t req, const struct change *change, int fd, bool asked)
{
	SEGFS_CLOSE int open_fd = -1;

	if (!change->by_fd)
		return resize_by_path(req, change->ino, fd, change->attr.st_size, asked);
	open_fd = op_open_node(fs_of(req), change->ino, O_WRONLY);
	return open_fd < 0 ? open_fd : resize(req, change->ino, open_fd, change->attr.st_size, asked);
}

/* The size alone can fail for a while (-EBUSY), so it comes first. */
static int set(fuse_req_t req, const struct change *change, int fd, bool asked)
{
	int r = change->by_fd ? 0 : fresh_check_parent(req, change->ino);

	if (r == 0 && change->to_set & FUSE_SET_ATTR_SIZE)
		r = set_size(req, change, fd, asked);
	if (r < 0)
		return r;
	return change->to_set & RIGHTS ? set_rights(req, change->ino, fd, &change->attr, change->to_set)
				       : set_as_caller(req, fd, &change->attr, change->to_set);
}

static void set_asked(struct resize_job *resize)
{
	const struct change *change = (const void *)resize;
	fuse_req_t req = resize->job.req;
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), change->ino, O_PATH);
	int r = fd < 0 ? fd : set(req, change, fd, true);

	if (r < 0)
		reply(req, r);
	else
		reply_attr(req, change->ino, fd);
}

static void ask_to_set(fuse_req_t req, const struct change *change, int fd)
{
	struct change *job = malloc(sizeof(*job));
	struct stat st;

	if (!job || fstat(fd, &st) < 0) {
		free(job);
		reply(req, -ENOMEM);
		return;
	}
	*job = *change;
	resize_ask(req, st.st_ino, set_asked, &job->resize);
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	const struct change change = {.ino = ino, .attr = *attr, .to_set = to_set, .by_fd = fi != NULL};
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), ino, O_PATH);
	int r = fd < 0 ? fd : set(req, &change, fd, false);

	if (r == -EBUSY && to_set & FUSE_SET_ATTR_SIZE)
		ask_to_set(req, &change, fd);
	else if (r < 0)
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
