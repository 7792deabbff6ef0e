/* SPDX-License-Identifier: MIT */

/* user.shm.lifetime: how a file gets one, from its directory or by setxattr(2), and who may do that. */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include "caller.h"
#include "creator.h"
#include "lifetimes.h"
#include "util.h"

void op_note_new(fuse_req_t req, int dir, int fd, const struct stat *st, bool attached)
{
	bool is_segment = S_ISREG(st->st_mode);

	if (is_segment)
		creator_record(req, fd, st->st_ino);
	if (!is_segment && !S_ISDIR(st->st_mode))
		return;
	if (lifetimes_inherit(dir, fd, !is_segment, attached) && is_segment)
		reaper_look(fs_of(req), fd);
}

/*
 * A lifetime is an unlink(2) put off, so it is for those who may do that. What is in a directory is removed
 * by its lifetime, and never the directory itself: there it is the right to change that one that counts.
 */
static int may_unlink(fuse_req_t req, uint64_t ino, int fd, mode_t type)
{
	SEGFS_CLOSE int parent_fd = -1;
	struct fs *fs = fs_of(req);
	struct node node;
	int r;

	if (S_ISDIR(type))
		return caller_may(req, fd, NULL, W_OK | X_OK);
	r = node_get(&fs->nodes, ino, &node);
	if (r == 0)
		r = parent_fd = op_open_node(fs, node.parent, O_PATH | O_DIRECTORY);
	return r < 0 ? r : caller_may(req, parent_fd, NULL, W_OK | X_OK);
}

static int may_set(fuse_req_t req, uint64_t ino, int fd, const struct stat *st)
{
	uid_t uid = fuse_req_ctx(req)->uid;
	int r;

	if (uid != 0 && uid != st->st_uid)
		return -EPERM;
	r = caller_may(req, fd, st, W_OK);
	return r < 0 ? r : may_unlink(req, ino, fd, st->st_mode);
}

/* To setxattr(2) the attribute is there once it says more than "keep". */
static int check_flags(int fd, ino_t ino, int flags)
{
	struct segfs_lifetime present;
	int r;

	r = lifetimes_get(fd, ino, &present);
	if (r < 0)
		return r;
	if (flags & XATTR_CREATE && present.kind != SEGFS_KEEP)
		return -EEXIST;
	return flags & XATTR_REPLACE && present.kind == SEGFS_KEEP ? -ENODATA : 0;
}

/* One that the reaper has just removed is not kept any more. */
static int set(int fd, int flags, const struct segfs_lifetime *lifetime, bool attached)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && st.st_nlink == 0)
		return -ESTALE;
	r = check_flags(fd, st.st_ino, flags);
	return r < 0 ? r : lifetimes_set(fd, st.st_ino, S_ISDIR(st.st_mode), lifetime, attached);
}

static bool is_open(struct fs *fs, uint64_t ino)
{
	struct node node;

	return node_get(&fs->nodes, ino, &node) == 0 && node.n_opens > 0;
}

int op_set_lifetime(fuse_req_t req, uint64_t ino, int fd, const struct stat *st, const char *value,
		    size_t len, int flags)
{
	struct fs *fs = fs_of(req);
	struct segfs_lifetime lifetime;
	int r;

	r = may_set(req, ino, fd, st);
	if (r == 0)
		r = segfs_lifetime_parse(value, len, &lifetime);
	if (r < 0)
		return r;
	pthread_mutex_lock(&fs->reaper.verdict);
	r = set(fd, flags, &lifetime, is_open(fs, ino));
	pthread_mutex_unlock(&fs->reaper.verdict);
	if (r == 0 && S_ISREG(st->st_mode))
		reaper_look(fs, fd);
	return r;
}
