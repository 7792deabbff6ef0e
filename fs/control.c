/* SPDX-License-Identifier: MIT */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "control-page.h"
#include "control-place.h"
#include "ops.h"
#include "sweep.h"
#include "util.h"

/* Two threads of one process are not to make a directory at the same time. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* The top of the mount that a directory is in (O_PATH); -ENOENT: it is that itself. */
static int find_top(const char *path)
{
	SEGFS_CLOSE int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statx stx;
	int up;

	for (unsigned depth = 0;; depth++) {
		if (dir < 0 || statx(dir, "", AT_EMPTY_PATH, 0, &stx) < 0)
			return -errno;
		if (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT)
			return depth > 0 ? steal_fd(&dir) : -ENOENT;
		up = openat(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close_fd(&dir);
		dir = up;
	}
}

/* A clone, as the store is one: nothing keeps the mount itself from being unmounted. */
int control_open_above(const char *store)
{
	SEGFS_CLOSE int top = find_top(store);
	SEGFS_CLOSE int tree = -1;

	if (top < 0)
		return -1;
	tree = (int)syscall(SYS_open_tree, top, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree < 0 ? -1 : openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool control_is_read_only(const struct fs *fs)
{
	struct statvfs st;

	return fs->options.set_flags & MOUNT_ATTR_RDONLY ||
	       (fstatvfs(fs->store.root_fd, &st) == 0 && st.f_flag & ST_RDONLY);
}

/* A store may be a part of a tmpfs: then a directory further up counts. */
static int search_above(const struct fs *fs, uid_t owner)
{
	const struct segfs_store above = {.root_fd = fs->control_above};
	SEGFS_CLOSE int root = -1;
	struct segfs_handle handle;
	int r;

	if (fs->control_above < 0)
		return -ENOENT;
	r = segfs_store_handle(fs->store.root_fd, &handle);
	if (r < 0)
		return r;
	root = segfs_store_open_handle(&above, &handle, O_PATH | O_DIRECTORY);
	return root < 0 ? root : segfs_control_place_search(root, owner, NULL);
}

static int search(struct fs *fs, int dir_fd, uid_t owner, bool create)
{
	int dir = segfs_control_place_search(dir_fd, owner, NULL);

	if (dir == -ENOENT)
		dir = search_above(fs, owner);
	if (dir == -ENOENT && create)
		dir = segfs_control_dir_open(fs->store.root_fd, owner, true);
	if (dir >= 0)
		sweep_know(fs, dir);
	return dir;
}

static int open_page(struct fs *fs, int dir_fd, int fd)
{
	SEGFS_CLOSE int dir = -1;
	struct segfs_subject subject;
	bool read_only = control_is_read_only(fs);
	int r;

	r = segfs_subject_read(fd, &subject);
	if (r < 0)
		return r;
	pthread_mutex_lock(&making);
	dir = search(fs, dir_fd, subject.uid, !read_only);
	pthread_mutex_unlock(&making);
	if (dir < 0)
		return dir == -ENOENT ? -EROFS : dir;
	if (read_only) {
		SEGFS_CLOSE int page = segfs_control_page_find(dir, &subject);

		if (page < 0)
			return page == -ENOENT ? -EROFS : page;
	}
	return segfs_control_page_open(dir, &subject, O_RDWR);
}

int control_open(struct fs *fs, int dir_fd, int fd)
{
	struct space_wait wait = {};
	int page;

	do
		page = open_page(fs, dir_fd, fd);
	while (space_again(fs, &wait, page));
	return page;
}

int control_find(struct fs *fs, int dir_fd, int fd)
{
	SEGFS_CLOSE int dir = -1;
	struct segfs_subject subject;
	int r;

	r = segfs_subject_read(fd, &subject);
	if (r < 0)
		return r;
	dir = search(fs, dir_fd, subject.uid, false);
	return dir < 0 ? dir : segfs_control_page_find(dir, &subject);
}

int control_find_of(struct fs *fs, uint64_t ino, int fd)
{
	SEGFS_CLOSE int dir = -1;
	struct node node;
	int r;

	r = node_get(&fs->nodes, ino, &node);
	if (r < 0)
		return r;
	dir = op_open_node(fs, node.parent ? node.parent : NODE_ROOT, O_PATH | O_DIRECTORY);
	return dir < 0 ? dir : control_find(fs, dir, fd);
}
