/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "caller.h"
#include "control-page.h"
#include "dir-stream.h"
#include "fresh.h"
#include "reply.h"
#include "util.h"

static int open_as_caller(fuse_req_t req, int fd)
{
	AS_CALLER int r = caller_become(req);

	return r < 0 ? r : op_reopen(fs_of(req), fd, O_RDONLY | O_DIRECTORY);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	SEGFS_CLOSE int path_fd = -1, fd = -1;
	int r;

	r = fresh_check_parent(req, ino);
	if (r == 0)
		r = path_fd = op_open_node(fs_of(req), ino, O_PATH | O_DIRECTORY);
	if (r >= 0)
		r = fd = open_as_caller(req, path_fd);
	if (r >= 0)
		dir_stream_reply_open(req, steal_fd(&fd), fi);
	else
		reply(req, r);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	dir_stream_free(opened_take(&fs_of(req)->opened, fi->fh));
	reply(req, 0);
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* The kernel has all of it already. Not telling it again spares it dropping what else it has cached of the
 * file, such as its ACL. */
static bool is_shown(struct fs *fs, uint64_t parent, const char *name, const struct stat *st)
{
	return node_is_shown(&fs->nodes, node_id(&fs->nodes, st->st_ino), parent, name, fresh_print(st),
			     fresh_now_ms());
}

/*
 * What READDIRPLUS tells of an entry. Directories are left to LOOKUP, which also begins to watch them; so is
 * what vanished just now. A node id of 0 tells the kernel that it gets a name and a type only. Of each reply
 * one file is told in any case: the kernel goes on with READDIRPLUS only if somebody asks for what it
 * brought.
 */
static bool entry_plus(struct fs *fs, uint64_t parent, int dir_fd, const struct dirent *dirent, bool in_full,
		       struct fuse_entry_param *entry)
{
	const char *name = dirent->d_name;
	struct stat st;

	if (!is_dot(name) && dirent->d_type != DT_DIR &&
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (in_full || !is_shown(fs, parent, name, &st)) &&
	    op_entry_seen(fs, parent, dir_fd, name, &st, entry) == 0) {
		fresh_learn_acl(fs, entry->ino, dir_fd, name, &entry->attr);
		return true;
	}
	*entry = (struct fuse_entry_param){
		.attr = {.st_ino = dirent->d_ino, .st_mode = DTTOIF(dirent->d_type)}};
	return false;
}

/* A file of the one name in the store cannot be reached: the views stand before it. The other is segfs's own.
 */
static bool is_shadowed(const struct dirent *dirent)
{
	return !strcmp(dirent->d_name, VIEW_NAME) || !strcmp(dirent->d_name, SEGFS_CONTROL_DIR);
}

static size_t add_plain(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
			const struct dirent *dirent, bool *any_told)
{
	struct stat st = {.st_ino = dirent->d_ino, .st_mode = DTTOIF(dirent->d_type)};

	if (is_shadowed(dirent))
		return 0;
	return fuse_add_direntry(req, buf, size, dirent->d_name, &st, dirent->d_off);
}

static size_t add_plus(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
		       const struct dirent *dirent, bool *any_told)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	size_t n = fuse_add_direntry_plus(req, NULL, 0, dirent->d_name, NULL, 0);
	bool counted;

	if (is_shadowed(dirent))
		return 0;
	if (n > size)
		return n;
	counted = entry_plus(fs, ino, dir_fd, dirent, !*any_told, &entry);
	*any_told |= counted;
	n = fuse_add_direntry_plus(req, buf, size, dirent->d_name, &entry, dirent->d_off);
	if (n > size && counted)
		op_take_back(fs, entry.ino);
	return n;
}

/* By an earlier worker's handle the directory is opened anew: offsets are the store's, and mean the same. */
static void read_directory(fuse_req_t req, uint64_t ino, size_t size, off_t offset, struct fuse_file_info *fi,
			   dir_stream_add_fn add)
{
	struct dir_stream *stream = opened_get(&fs_of(req)->opened, fi->fh);
	int r = 0;

	if (!stream)
		r = dir_stream_restore(fs_of(req), fi->fh,
				       op_open_node(fs_of(req), ino, O_RDONLY | O_DIRECTORY), &stream);
	if (r < 0)
		reply(req, r);
	else
		dir_stream_reply(req, ino, size, offset, stream, add);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, ino, size, offset, fi, add_plain);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_directory(req, ino, size, offset, fi, add_plus);
}
