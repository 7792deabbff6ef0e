/* SPDX-License-Identifier: MIT */
#include "fresh.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#include "fs.h"
#include "util.h"

/* The depth of directories beyond which a path is not followed up; PATH_MAX allows no more than 2,048. */
#define MAX_DEPTH 2048

/* inotify has long told the kernel of a change this old (seconds). */
#define SETTLED 1

/* FNV-1a, never 0. Good enough to see that a value is another one; the kernel judges by the value itself. */
static uint64_t hash(const unsigned char *bytes, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

static uint64_t hash_acl(int fd)
{
	unsigned char value[4096];
	char path[SEGFS_FD_PATH_MAX];
	ssize_t n;

	segfs_fd_path(fd, path);
	n = getxattr(path, "system.posix_acl_access", value, sizeof(value));
	return n < 0 ? 0 : hash(value, (size_t)n);
}

struct told fresh_look(int fd, const struct stat *st)
{
	return (struct told){
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.nlink = st->st_nlink,
		.size = st->st_size,
		.ctime = st->st_ctim,
		.acl = S_ISDIR(st->st_mode) ? hash_acl(fd) : 0,
	};
}

static bool same_ctime(const struct told *told, const struct stat *st)
{
	return told->ctime.tv_sec == st->st_ctim.tv_sec && told->ctime.tv_nsec == st->st_ctim.tv_nsec;
}

static bool unchanged(const struct told *told, const struct stat *st)
{
	return same_ctime(told, st) && told->mode == st->st_mode && told->uid == st->st_uid && told->gid == st->st_gid &&
	       told->size == st->st_size && told->nlink == st->st_nlink;
}

/* May other people do with it what they like now than before, or run it as somebody else? */
static bool rights_changed(const struct told *a, const struct told *b)
{
	return a->mode != b->mode || a->uid != b->uid || a->gid != b->gid || a->acl != b->acl;
}

static void invalidate(struct fs *fs, uint64_t ino)
{
	fuse_lowlevel_notify_inval_inode(fs->session, ino, -1, 0);
}

static bool leads_to(struct fs *fs, uint64_t parent, const char *name, ino_t ino)
{
	SEGFS_CLOSE int dir = -1;
	struct node node;
	struct stat st;

	if (node_get(&fs->nodes, parent, &node) < 0)
		return false;
	dir = segfs_store_open_handle(&fs->store, &node.handle, O_PATH | O_DIRECTORY);
	return dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == ino;
}

/*
 * The file has changed: does the name by which the kernel came still lead to it? A file that lost its name long ago is rightly reached by
 * other means (/proc/self/fd); one that lost it just now, or lost one of several, is probably reached by a name that the kernel should have dropped.
 */
static bool name_holds(struct fs *fs, uint64_t ino, const struct stat *st)
{
	SEGFS_FREE char *name = NULL;
	struct node node;
	time_t now = time(NULL);

	if (node_get_named(&fs->nodes, ino, &node, &name) < 0)
		return false;
	if (!name || st->st_ctim.tv_sec + SETTLED < now)
		return true;
	if (!S_ISDIR(st->st_mode) && st->st_nlink < node.told.nlink)
		return false;
	return leads_to(fs, node.parent, name, st->st_ino);
}

/* 0, or -ESTALE if the kernel went wrong on its way here, or judged by rights that are no more. */
static int check(struct fs *fs, const struct node *node, int fd, const struct stat *st)
{
	struct told now;

	if (unchanged(&node->told, st))
		return 0;
	if (!name_holds(fs, node->ino, st))
		return -ESTALE;

	now = fresh_look(fd, st);
	invalidate(fs, node->ino);
	/* Others may be on their way by the old rights, so these stay noted until the kernel is told of the new ones. */
	if (rights_changed(&node->told, &now))
		return -ESTALE;
	node_tell(&fs->nodes, node->ino, &now);
	return 0;
}

int fresh_check_path(struct fs *fs, uint64_t dir)
{
	struct node node;

	for (unsigned depth = 0; dir != 0 && depth < MAX_DEPTH; dir = node.parent, depth++) {
		SEGFS_CLOSE int fd = -1;
		struct stat st;
		int r;

		if (node_get(&fs->nodes, dir, &node) < 0)
			return 0; /* forgotten: nobody came by it */
		fd = segfs_store_open_handle(&fs->store, &node.handle, O_PATH);
		if (fd < 0 || fstat(fd, &st) < 0)
			return -ESTALE;
		r = check(fs, &node, fd, &st);
		if (r < 0)
			return r;
	}
	return 0;
}

int fresh_check_file(struct fs *fs, uint64_t ino, int fd, const struct stat *st)
{
	struct node node;
	int r;

	r = node_get(&fs->nodes, ino, &node);
	if (r < 0)
		return r;
	r = check(fs, &node, fd, st);
	return r < 0 ? r : fresh_check_path(fs, node.parent);
}

void fresh_refresh(struct fs *fs, uint64_t ino)
{
	SEGFS_CLOSE int fd = -1;
	struct told now;
	struct node node;
	struct stat st;

	if (node_get(&fs->nodes, ino, &node) < 0)
		return;
	fd = segfs_store_open_handle(&fs->store, &node.handle, O_PATH);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	now = fresh_look(fd, &st);
	if (unchanged(&node.told, &st) && now.acl == node.told.acl)
		return;
	invalidate(fs, ino);
	if (!rights_changed(&node.told, &now))
		node_tell(&fs->nodes, ino, &now);
}
