/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The request handlers, one a FUSE request; the contract of each is in libfuse's fuse_lowlevel.h. Each
 * resolves its node, lets the store's kernel do the work as the requester, and replies once. None waits for
 * another process, scans /proc or touches the mount.
 */
#include "fs.h"

extern const struct fuse_lowlevel_ops ops;

/*
 * For the handlers' use: node_open() and segfs_store_reopen(). Of a file that somebody else keeps a lease on
 * (lease.h) they are -EAGAIN after some 100 ms, or at once where this thread cannot be spared.
 */
int op_open_node(struct fs *fs, uint64_t ino, int flags);
int op_reopen(struct fs *fs, int fd, int flags);

/*
 * The same for a directory in which something is to be done with this name, or a NULL one (O_PATH), after
 * asking whether the kernel came here by the truth. -ESTALE: it shall walk the path again. -EPERM: views are
 * not changed.
 */
int op_open_directory(fuse_req_t req, uint64_t ino, const char *name);

/* How long the kernel may believe what it is told of a file found in this directory, seconds. */
double op_timeout(struct fs *fs, uint64_t parent);

/* May a segment get this name? 0, or -EINVAL with -o names=portable. */
int op_check_name(const struct fs *fs, const char *name);

/* Names: op-names.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent, const char *newname,
	       unsigned int flags);

/* Remembers the file called `name` in the open directory and fills in what the kernel is told of it. 0 or
 * -errno. */
int op_entry(struct fs *fs, uint64_t parent, int dir_fd, const char *name,
	     struct fuse_entry_param *ret_entry);
/* As op_entry(), by what fstatat(2) has just told of the name. */
int op_entry_seen(struct fs *fs, uint64_t parent, int dir_fd, const char *name, const struct stat *st,
		  struct fuse_entry_param *ret_entry);
/* The same for an open file; a NULL name for one that has none yet. */
int op_entry_of(struct fs *fs, uint64_t parent, const char *name, int fd, struct fuse_entry_param *ret_entry);
/* 0, or -ENFILE: a new file could not be remembered, and shall not be made. */
int op_check_room(struct fs *fs);
/* One of these is taken back, of which the kernel is not told. */
void op_take_back(struct fs *fs, uint64_t ino);
/* End what belongs to a node that is out of the table. */
void op_end_node(struct fs *fs, struct node *node);

/*
 * A new file is about to be made. If an earlier worker has made it for this very request: a descriptor of it
 * (O_PATH). Else -ENOENT, and from now on the journal has whether there is anything of that name. `type`:
 * S_IFREG and so on.
 */
int op_open_made(fuse_req_t req, int dir, const char *name, mode_t type);

/* Files: op-files.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
		  struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_off, struct fuse_file_info *in_fi,
			fuse_ino_t out, off_t out_off, struct fuse_file_info *out_fi, size_t len, int flags);

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* Attributes: op-attrs.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/* Directories: op-dirs.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* Views, all below .segfs: op-views.c */
void op_view_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_view_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_view_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_view_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_view_write(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_view_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_view_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_view_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_view_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			 struct fuse_file_info *fi);
void op_view_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_view_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_view_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);

/*
 * The control page of a segment, for mmap or as versions to wait for: op-events.c. `dir` is the directory in
 * which the view was found, `segment` the segment (O_PATH).
 */
void op_control_open(fuse_req_t req, fuse_ino_t ino, int dir, int segment, struct fuse_file_info *fi);
void op_events_open(fuse_req_t req, fuse_ino_t ino, int dir, int segment, struct fuse_file_info *fi);
void op_events_read(fuse_req_t req, fuse_ino_t ino, size_t size, struct fuse_file_info *fi);
void op_events_write(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_events_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *handle);
void op_events_release(fuse_req_t req, struct fuse_file_info *fi);

/*
 * A file is new in the open directory `dir`: note who made a segment, and what a segment or directory
 * inherits. `fd`: O_PATH is enough. Whoever made it has it `attached` if he did so by opening it.
 * op-lifetime.c.
 */
void op_note_new(fuse_req_t req, int dir, int fd, const struct stat *st, bool attached);

/* Set user.shm.lifetime of a node's file, open as `fd` (O_PATH), on the requester's behalf: op-lifetime.c. 0
 * or -errno. */
int op_set_lifetime(fuse_req_t req, uint64_t ino, int fd, const struct stat *st, const char *value,
		    size_t len, int flags);

/* Extended attributes: op-xattrs.c */
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
