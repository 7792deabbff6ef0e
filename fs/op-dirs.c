/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "caller.h"
#include "fresh.h"
#include "reply.h"
#include "util.h"

/* An open directory, behind fuse_file_info.fh. The kernel sends one READDIR at a time for it. */
struct open_dir {
	DIR *stream;		/* owned */
	struct dirent *pending; /* read, but did not fit into the last reply; borrowed from the stream */
	off_t offset;		/* of the next entry */
};

static struct open_dir *open_dir_of(const struct fuse_file_info *fi)
{
	return (struct open_dir *)(uintptr_t)fi->fh;
}

static int open_as_caller(fuse_req_t req, int fd)
{
	AS_CALLER int r = caller_become(req);

	return r < 0 ? r : segfs_store_reopen(&fs_of(req)->store, fd, O_RDONLY | O_DIRECTORY);
}

static int open_dir_new(int fd, struct open_dir **ret_dir)
{
	struct open_dir *dir = calloc(1, sizeof(*dir));

	if (!dir)
		return -ENOMEM;
	dir->stream = fdopendir(fd);
	if (!dir->stream) {
		int r = -errno;

		free(dir);
		return r;
	}
	*ret_dir = dir;
	return 0;
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	SEGFS_CLOSE int path_fd = -1, fd = -1;
	struct open_dir *dir = NULL;
	int r;

	r = fresh_check_parent(req, ino);
	if (r == 0)
		r = path_fd = op_open_node(fs_of(req), ino, O_PATH | O_DIRECTORY);
	if (r >= 0)
		r = fd = open_as_caller(req, path_fd);
	if (r >= 0)
		r = open_dir_new(fd, &dir);
	if (r < 0) {
		reply(req, r);
		return;
	}
	steal_fd(&fd); /* the stream's now */
	fi->fh = (uintptr_t)dir;
	fuse_reply_open(req, fi);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_dir *dir = open_dir_of(fi);

	closedir(dir->stream);
	free(dir);
	reply(req, 0);
}

/* The entry to be sent next; NULL at the end (0) or on an error (*ret_error, -errno). */
static struct dirent *next_entry(struct open_dir *dir, int *ret_error)
{
	*ret_error = 0;
	if (dir->pending)
		return dir->pending;
	errno = 0;
	dir->pending = readdir(dir->stream);
	if (!dir->pending)
		*ret_error = -errno;
	return dir->pending;
}

static void seek_to(struct open_dir *dir, off_t offset)
{
	if (dir->offset == offset)
		return;
	seekdir(dir->stream, offset);
	dir->pending = NULL;
	dir->offset = offset;
}

static bool is_dot(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/*
 * What READDIRPLUS tells of an entry. Directories are left to LOOKUP, which also begins to watch them; so is
 * what vanished just now. A node id of 0 tells the kernel that it gets a name and a type only.
 */
static bool entry_plus(struct fs *fs, uint64_t parent, int dir_fd, const struct dirent *dirent,
		       struct fuse_entry_param *entry)
{
	if (!is_dot(dirent->d_name) && dirent->d_type != DT_DIR &&
	    op_entry(fs, parent, dir_fd, dirent->d_name, entry) == 0)
		return true;
	*entry = (struct fuse_entry_param){
		.attr = {.st_ino = dirent->d_ino, .st_mode = DTTOIF(dirent->d_type)}};
	return false;
}

static size_t add_plain(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
			const struct dirent *dirent)
{
	struct stat st = {.st_ino = dirent->d_ino, .st_mode = DTTOIF(dirent->d_type)};

	return fuse_add_direntry(req, buf, size, dirent->d_name, &st, dirent->d_off);
}

static size_t add_plus(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
		       const struct dirent *dirent)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry;
	size_t n = fuse_add_direntry_plus(req, NULL, 0, dirent->d_name, NULL, 0);
	bool counted;

	if (n > size)
		return n;
	counted = entry_plus(fs, ino, dir_fd, dirent, &entry);
	n = fuse_add_direntry_plus(req, buf, size, dirent->d_name, &entry, dirent->d_off);
	if (n > size && counted)
		op_take_back(fs, entry.ino, 1);
	return n;
}

typedef size_t (*add_entry_fn)(fuse_req_t req, uint64_t ino, int dir_fd, char *buf, size_t size,
			       const struct dirent *dirent);

static void read_entries(fuse_req_t req, uint64_t ino, size_t size, off_t offset, struct open_dir *dir,
			 add_entry_fn add)
{
	SEGFS_FREE char *buf = malloc(size);
	struct dirent *dirent;
	size_t used = 0;
	int r = 0;

	if (!buf) {
		reply(req, -ENOMEM);
		return;
	}
	seek_to(dir, offset);
	while ((dirent = next_entry(dir, &r))) {
		size_t n = add(req, ino, dirfd(dir->stream), buf + used, size - used, dirent);

		if (n > size - used)
			break;
		used += n;
		dir->offset = dirent->d_off;
		dir->pending = NULL;
	}
	/* An error in the middle is told with the next call, when nothing else is to be told. */
	if (r < 0 && used == 0)
		reply(req, r);
	else
		fuse_reply_buf(req, buf, used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_entries(req, ino, size, offset, open_dir_of(fi), add_plain);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	read_entries(req, ino, size, offset, open_dir_of(fi), add_plus);
}
