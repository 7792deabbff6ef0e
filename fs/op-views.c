/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include <segfs/layout.h>

#include "caller.h"
#include "dir-stream.h"
#include "fresh.h"
#include "reply.h"
#include "util.h"
#include "view-file.h"

static int open_subject(struct fs *fs, const struct view *view, int flags)
{
	return segfs_store_open_handle(&fs->store, &view->subject, flags);
}

static int get(fuse_req_t req, uint64_t id, struct view *ret_view)
{
	return view_get(&fs_of(req)->views, id, ret_view);
}

/* The right to read a segment is the right to look at it; the store's kernel judges. */
static int open_as_caller(fuse_req_t req, int fd, int flags)
{
	AS_CALLER int r = caller_become(req);

	return r < 0 ? r : op_reopen(fs_of(req), fd, O_RDONLY | flags);
}

/* Is it made by looking at files, or for everybody? */
static bool is_of_files(enum view_kind kind)
{
	return kind != VIEW_STATUS && kind != VIEW_METRICS && kind != VIEW_ORPHANS;
}

/* A view has the rights of what it shows, and mostly without that to write. */
static void take_mode(enum view_kind kind, struct stat *st)
{
	if (!is_of_files(kind)) {
		st->st_uid = st->st_gid = 0;
		st->st_mode = S_IFREG | 0444;
	} else if (view_is_dir(kind)) {
		st->st_mode = S_IFDIR | (st->st_mode & 0555);
	} else if (kind >= VIEW_CTL) {
		st->st_mode = S_IFREG | (st->st_mode & 0666);
	} else {
		st->st_mode = S_IFREG | (st->st_mode & 0444);
	}
}

/* Who may not read the segment does not learn what is in it by the length of its text. */
static off_t size_of(fuse_req_t req, enum view_kind kind, int fd)
{
	SEGFS_CLOSE int open_fd = -1;

	if (kind == VIEW_CTL)
		return sizeof(struct segfs_layout_control);
	if (kind < VIEW_INFO || kind == VIEW_EVENTS)
		return 0;
	open_fd = open_as_caller(req, fd, 0);
	return open_fd < 0 ? 0 : view_file_size(kind, open_fd);
}

/* What the kernel is told of a view of the file `fd`. 0, or -ENOENT if there is no such view of it. */
static int stat_view(fuse_req_t req, uint64_t id, enum view_kind kind, int fd, struct stat *ret_st)
{
	struct stat st;
	off_t size;

	if (fstat(fd, &st) < 0)
		return -errno;
	size = size_of(req, kind, fd);
	if (size < 0)
		return (int)size;
	take_mode(kind, &st);
	st.st_ino = id;
	st.st_nlink = 1;
	st.st_size = size;
	st.st_blocks = (size + 511) / 512; /* a copying tool shall not look for holes */
	*ret_st = st;
	return 0;
}

static int fill_entry(fuse_req_t req, uint64_t dir, enum view_kind kind, int fd,
		      struct fuse_entry_param *ret_entry)
{
	struct fuse_entry_param entry = {.generation = 1};
	struct view view = {.kind = kind, .dir = dir};
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	entry.ino = view_id(kind, st.st_ino);
	r = stat_view(req, entry.ino, kind, fd, &entry.attr);
	if (r == 0)
		r = segfs_store_handle(fd, &view.subject);
	if (r == 0)
		r = view_remember(&fs_of(req)->views, entry.ino, &view);
	if (r == 0)
		*ret_entry = entry;
	return r;
}

/* The segment that a name in a directory of views stands for (O_PATH); or -ENOENT. */
static int open_segment_at(int dir_fd, const char *name, const char *suffix)
{
	SEGFS_FREE char *segment = strdup(name);
	SEGFS_CLOSE int fd = -1;
	size_t len = strlen(name), n = strlen(suffix);
	struct stat st;

	if (!segment)
		return -ENOMEM;
	if (len <= n || strcmp(name + len - n, suffix))
		return -ENOENT;
	segment[len - n] = '\0';
	fd = openat(dir_fd, segment, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? steal_fd(&fd) : -ENOENT;
}

static int lookup_in_view(fuse_req_t req, const struct view *parent, const char *name,
			  struct fuse_entry_param *ret_entry)
{
	SEGFS_CLOSE int dir = open_subject(fs_of(req), parent, O_PATH | O_DIRECTORY);
	SEGFS_CLOSE int fd = -1;
	enum view_kind kind;

	if (dir < 0)
		return dir;
	if (parent->kind == VIEW_TOP) {
		if (!view_find(name, parent->dir == NODE_ROOT, &kind))
			return -ENOENT;
		return fill_entry(req, parent->dir, kind, dir, ret_entry);
	}
	fd = open_segment_at(dir, name, view_suffix(parent->kind));
	if (fd < 0)
		return fd;
	return fill_entry(req, parent->dir, view_kind_in(parent->kind), fd, ret_entry);
}

static int lookup(fuse_req_t req, uint64_t parent, const char *name, struct fuse_entry_param *ret_entry)
{
	SEGFS_CLOSE int dir = -1;
	struct view view;
	int r;

	if (view_is(parent)) {
		r = get(req, parent, &view);
		if (r == 0)
			r = fresh_check_rights(req, view.dir);
		return r < 0 ? r : lookup_in_view(req, &view, name, ret_entry);
	}
	r = fresh_check_rights(req, parent);
	if (r == 0)
		r = dir = op_open_node(fs_of(req), parent, O_PATH | O_DIRECTORY);
	return r < 0 ? r : fill_entry(req, parent, VIEW_TOP, dir, ret_entry);
}

void op_view_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int r = lookup(req, parent, name, &entry);

	if (r < 0)
		reply(req, r);
	else
		fuse_reply_entry(req, &entry);
}

void op_view_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	SEGFS_CLOSE int fd = -1;
	struct view view;
	struct stat st;
	int r;

	r = get(req, ino, &view);
	if (r == 0)
		r = fd = open_subject(fs_of(req), &view, O_PATH);
	if (r >= 0)
		r = stat_view(req, ino, view.kind, fd, &st);
	if (r < 0)
		reply(req, r);
	else
		fuse_reply_attr(req, &st, 0);
}

/* Opens what a view shows, as far as the requester may. -1 is none, where the view is for everybody. */
static int open_shown(fuse_req_t req, const struct view *view, int *ret_fd)
{
	SEGFS_CLOSE int fd = -1;
	int r;

	r = fresh_check_path(req, view->dir);
	if (r < 0 || !is_of_files(view->kind))
		return r;
	fd = open_subject(fs_of(req), view, O_PATH);
	if (fd < 0)
		return fd;
	r = open_as_caller(req, fd, view->kind < VIEW_INFO ? O_DIRECTORY : 0);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

static int judge(fuse_req_t req, int fd, int flags)
{
	static const int wanted[] = {[O_RDONLY] = R_OK, [O_WRONLY] = W_OK, [O_RDWR] = R_OK | W_OK};
	int mode = flags & O_ACCMODE;
	AS_CALLER int r = caller_become(req);

	if (r < 0)
		return r;
	if (mode == O_ACCMODE)
		return -EINVAL;
	return faccessat(fd, "", wanted[mode], AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : 0;
}

/* The right to the segment is the right to its control page, to write as well. */
static void open_page(fuse_req_t req, uint64_t ino, const struct view *view, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int fd = -1, dir = -1;
	int r;

	r = fresh_check_path(req, view->dir);
	if (r == 0)
		r = fd = open_subject(fs, view, O_PATH);
	if (r >= 0)
		r = judge(req, fd, fi->flags);
	if (r == 0)
		r = dir = op_open_node(fs, view->dir, O_PATH | O_DIRECTORY);
	if (r < 0)
		reply(req, r);
	else if (view->kind == VIEW_CTL)
		op_control_open(req, ino, dir, fd, fi);
	else
		op_events_open(req, ino, dir, fd, fi);
}

void op_view_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view view;
	int fd = -1, r;

	r = get(req, ino, &view);
	if (r == 0 && view.kind >= VIEW_CTL) {
		open_page(req, ino, &view, fi);
		return;
	}
	if (r == 0 && ((fi->flags & O_ACCMODE) != O_RDONLY || fi->flags & O_TRUNC))
		r = -EPERM;
	if (r == 0)
		r = open_shown(req, &view, &fd);
	if (r < 0)
		reply(req, r);
	else
		view_file_open(req, ino, &view, fd, fi);
}

/* By an earlier worker's handle it is made anew. */
static void read_file(fuse_req_t req, uint64_t ino, size_t size, off_t offset,
		      const struct fuse_file_info *fi)
{
	struct view_file *file = opened_get(&fs_of(req)->opened, fi->fh);
	struct view view;
	int fd = -1, r = 0;

	if (file) {
		view_file_read(req, file, size, offset);
		return;
	}
	r = get(req, ino, &view);
	if (r == 0 && is_of_files(view.kind))
		r = fd = open_subject(fs_of(req), &view, O_RDONLY | O_NONBLOCK);
	if (r < 0)
		reply(req, r);
	else
		view_file_read_anew(req, ino, &view, fd, fi->fh, size, offset);
}

void op_view_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	if (view_kind_of(ino) == VIEW_EVENTS)
		op_events_read(req, ino, size, fi);
	else if (view_kind_of(ino) == VIEW_CTL)
		reply(req, -ENOSYS); /* readahead(2), as of a segment */
	else
		read_file(req, ino, size, offset, fi);
}

void op_view_write(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	if (view_kind_of(ino) == VIEW_EVENTS)
		op_events_write(req, ino, size, offset, fi);
	else
		reply(req, -ENOSYS);
}

void op_view_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);

	if (view_kind_of(ino) == VIEW_EVENTS) {
		op_events_release(req, fi);
		return;
	}
	if (view_kind_of(ino) == VIEW_CTL) {
		passthrough_release_view(&fs->passthrough, &fs->views, ino, fi->fh);
		reply(req, 0);
		return;
	}
	view_file_close(fs, fi->fh);
	reply(req, 0);
}

/* A directory of views is read from that of the segments. */
void op_view_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct view view;
	int fd = -1, r;

	r = get(req, ino, &view);
	if (r == 0)
		r = open_shown(req, &view, &fd);
	if (r < 0)
		reply(req, r);
	else
		dir_stream_reply_open(req, fd, fi);
}

/*
 * Is there such a view of this segment, to be listed for the requester? Events and control pages are found by
 * name alone: who copies or searches all of .segfs shall not wait for news, nor make pages by looking.
 */
static bool has_view(fuse_req_t req, enum view_kind kind, int dir_fd, const char *name)
{
	AS_CALLER int r = caller_become(req);
	SEGFS_CLOSE int fd = -1;

	if (kind == VIEW_INFO || kind == VIEW_TEXT)
		return true;
	if (kind == VIEW_EVENTS || kind == VIEW_CTL)
		return false;
	if (r == 0)
		fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && view_file_size(kind, fd) >= 0;
}

/* A name and a type, in either form of reply; whoever wants more of a view asks for it. */
static size_t add_name(fuse_req_t req, bool plus, char *buf, size_t size, const char *name,
		       const struct stat *st, off_t next)
{
	const struct fuse_entry_param entry = {.attr = *st};

	return plus ? fuse_add_direntry_plus(req, buf, size, name, &entry, next)
		    : fuse_add_direntry(req, buf, size, name, st, next);
}

static size_t add_view(fuse_req_t req, bool plus, uint64_t ino, int dir_fd, char *buf, size_t size,
		       const struct dirent *dirent)
{
	enum view_kind dir = view_kind_of(ino), kind = view_kind_in(dir);
	struct stat st = {.st_ino = view_id(kind, dirent->d_ino), .st_mode = S_IFREG};
	char name[NAME_MAX + sizeof(".png")];

	if (dirent->d_type != DT_REG || !has_view(req, kind, dir_fd, dirent->d_name))
		return 0;
	if (snprintf(name, sizeof(name), "%s%s", dirent->d_name, view_suffix(dir)) > NAME_MAX)
		return 0; /* nobody could ask for it */
	return add_name(req, plus, buf, size, name, &st, dirent->d_off);
}

static size_t add_plain(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
			const struct dirent *dirent, bool *any_told)
{
	return add_view(req, false, ino, dir_fd, buf, size, dirent);
}

static size_t add_plus(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
		       const struct dirent *dirent, bool *any_told)
{
	return add_view(req, true, ino, dir_fd, buf, size, dirent);
}

/* .segfs itself: its parts, counted from 0. */
static void read_top(fuse_req_t req, const struct view *view, bool plus, size_t size, off_t offset)
{
	SEGFS_FREE char *buf = malloc(size);
	enum view_kind kind;
	const char *name;
	size_t used = 0;

	if (!buf) {
		reply(req, -ENOMEM);
		return;
	}
	while ((name = view_at((size_t)offset, view->dir == NODE_ROOT, &kind))) {
		struct stat st = {.st_ino = view_id(kind, 0),
				  .st_mode = view_is_dir(kind) ? S_IFDIR : S_IFREG};
		size_t n = add_name(req, plus, buf + used, size - used, name, &st, ++offset);

		if (n > size - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, buf, used);
}

static void read_view(fuse_req_t req, uint64_t ino, bool plus, size_t size, off_t offset,
		      struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct dir_stream *stream = opened_get(&fs->opened, fi->fh);
	struct view view;
	int r = get(req, ino, &view);

	if (r == 0 && !stream)
		r = dir_stream_restore(fs, fi->fh, open_subject(fs, &view, O_RDONLY | O_DIRECTORY), &stream);
	if (r < 0)
		reply(req, r);
	else if (view.kind == VIEW_TOP)
		read_top(req, &view, plus, size, offset);
	else
		dir_stream_reply(req, ino, size, offset, stream, plus ? add_plus : add_plain);
}

void op_view_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_view(req, ino, false, size, offset, fi);
}

void op_view_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_view(req, ino, true, size, offset, fi);
}

void op_view_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	dir_stream_free(opened_take(&fs_of(req)->opened, fi->fh));
	reply(req, 0);
}

/* Rights may come from an ACL, which is that of what is shown; other attributes a view has none. */
void op_view_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	SEGFS_FREE char *value = malloc(MAX(size, 1u));
	char path[SEGFS_FD_PATH_MAX];
	SEGFS_CLOSE int fd = -1;
	struct view view;
	ssize_t n;
	int r;

	r = value ? get(req, ino, &view) : -ENOMEM;
	if (r == 0 && strcmp(name, FRESH_ACL))
		r = -ENODATA;
	if (r == 0)
		r = fd = open_subject(fs_of(req), &view, O_PATH);
	if (r < 0) {
		reply(req, r);
		return;
	}
	segfs_fd_path(fd, path);
	n = getxattr(path, name, value, size);
	if (n < 0)
		reply(req, -errno);
	else
		reply_xattr(req, value, (size_t)n, size);
}

void op_view_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	reply_xattr(req, "", 0, size);
}
