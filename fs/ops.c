/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "control-page.h"
#include "fresh.h"
#include "name.h"
#include "reply.h"

/* With inotify to tell of changes, the kernel may believe for as long as it likes. */
#define WATCHED_TIMEOUT 3600.0

/* The kernel asks for one component at a time, and never for these two. By anything else one could come out
 * of the store: so it is not left to the kernel alone. */
static bool is_component(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

int op_open_node(struct fs *fs, uint64_t ino, int flags)
{
	struct lease_wait wait = {};
	int fd;

	do
		fd = node_open(&fs->nodes, &fs->store, ino, flags | (flags & O_PATH ? 0 : O_NONBLOCK));
	while (fd == -EAGAIN && lease_again(fs, ino, &wait));
	return fd;
}

int op_reopen(struct fs *fs, int fd, int flags)
{
	struct lease_wait wait = {};
	struct stat st;
	int opened;

	do
		opened = segfs_store_reopen(&fs->store, fd, flags | O_NONBLOCK);
	while (opened == -EAGAIN && fstat(fd, &st) == 0 && lease_again(fs, st.st_ino, &wait));
	return opened;
}

int op_open_directory(fuse_req_t req, uint64_t ino, const char *name)
{
	int r;

	if (name && !is_component(name))
		return -EINVAL;
	if (view_is(ino) || (name && (!strcmp(name, VIEW_NAME) || !strcmp(name, SEGFS_CONTROL_DIR))))
		return -EPERM;
	r = fresh_check_path(req, ino);
	return r < 0 ? r : op_open_node(fs_of(req), ino, O_PATH | O_DIRECTORY);
}

double op_timeout(struct fs *fs, uint64_t parent)
{
	struct node node;

	return node_get(&fs->nodes, parent, &node) == 0 && node.watch >= 0 ? WATCHED_TIMEOUT : 0;
}

int op_check_name(const struct fs *fs, const char *name)
{
	return fs->options.portable_names && !segfs_name_is_portable(name) ? -EINVAL : 0;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	const unsigned wanted = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_DONT_MASK | FUSE_CAP_POSIX_ACL |
				FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_PARALLEL_DIROPS |
				FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_ASYNC_READ;

	conn->want = wanted & conn->capable;
	conn->time_gran = 1;
}

/* A request concerns the store's files or a view: each has a handler of its own. */
#define EITHER(name, parameters, arguments)                                                                  \
	static void on_##name parameters                                                                     \
	{                                                                                                    \
		if (view_is(ino))                                                                            \
			op_view_##name arguments;                                                            \
		else                                                                                         \
			op_##name arguments;                                                                 \
	}
#define FILE_PARAMETERS (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info * fi)
#define READ_PARAMETERS                                                                                      \
	(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info * fi)

EITHER(getattr, FILE_PARAMETERS, (req, ino, fi))
EITHER(open, FILE_PARAMETERS, (req, ino, fi))
EITHER(release, FILE_PARAMETERS, (req, ino, fi))
EITHER(opendir, FILE_PARAMETERS, (req, ino, fi))
EITHER(readdir, READ_PARAMETERS, (req, ino, size, offset, fi))
EITHER(readdirplus, READ_PARAMETERS, (req, ino, size, offset, fi))
EITHER(releasedir, FILE_PARAMETERS, (req, ino, fi))
EITHER(getxattr, (fuse_req_t req, fuse_ino_t ino, const char *name, size_t size), (req, ino, name, size))
EITHER(listxattr, (fuse_req_t req, fuse_ino_t ino, size_t size), (req, ino, size))

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!is_component(name))
		reply(req, -EINVAL);
	else if (view_is(parent) || !strcmp(name, VIEW_NAME))
		op_view_lookup(req, parent, name);
	else if (!strcmp(name, SEGFS_CONTROL_DIR))
		reply(req, -ENOENT);
	else
		op_lookup(req, parent, name);
}

/* What a view cannot do. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	if (view_is(ino))
		reply(req, -EPERM);
	else
		op_setattr(req, ino, attr, to_set, fi);
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
			int flags)
{
	if (view_is(ino))
		reply(req, -EPERM);
	else
		op_setxattr(req, ino, name, value, size, flags);
}

static void on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	if (view_is(ino))
		reply(req, -EPERM);
	else
		op_removexattr(req, ino, name);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	if (view_is(ino))
		reply(req, -EPERM);
	else
		op_link(req, ino, parent, name);
}

static void on_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	if (view_is(ino))
		reply(req, -EINVAL);
	else
		op_lseek(req, ino, off, whence, fi);
}

static void on_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
			 struct fuse_file_info *fi)
{
	if (view_is(ino))
		reply(req, -EPERM);
	else
		op_fallocate(req, ino, mode, offset, length, fi);
}

/* EXDEV: the kernel then copies by reading and writing. */
static void on_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t in_off, struct fuse_file_info *in_fi,
			       fuse_ino_t out, off_t out_off, struct fuse_file_info *out_fi, size_t len,
			       int flags)
{
	if (view_is(in) || view_is(out))
		reply(req, -EXDEV);
	else
		op_copy_file_range(req, in, in_off, in_fi, out, out_off, out_fi, len, flags);
}

/* Of a segment only readahead(2) asks, which passthrough does not pass through; it is of no use there. */
static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	if (view_is(ino))
		op_view_read(req, ino, size, off, fi);
	else
		reply(req, -ENOSYS);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	if (view_is(ino))
		op_view_write(req, ino, size, off, fi);
	else
		reply(req, -ENOSYS);
}

/* Who has this is asked about every file: of others, what the kernel answers where nobody has it. */
static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *handle)
{
	if (view_is(ino) && view_kind_of(ino) == VIEW_EVENTS) {
		op_events_poll(req, ino, fi, handle);
		return;
	}
	if (handle)
		fuse_pollhandle_destroy(handle);
	fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
}

/*
 * Not here: read and write of segments, which passthrough keeps in the kernel; flock and fcntl locks, which
 * the kernel keeps by itself unless asked not to; flush, fsync, which mean nothing to memory (the kernel
 * learns that from ENOSYS and asks no more); access, which default_permissions answers.
 */
const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = on_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = on_link,
	.open = on_open,
	.read = on_read,
	.write = on_write,
	.poll = on_poll,
	.release = on_release,
	.opendir = on_opendir,
	.readdir = on_readdir,
	.readdirplus = on_readdirplus,
	.releasedir = on_releasedir,
	.statfs = op_statfs,
	.setxattr = on_setxattr,
	.getxattr = on_getxattr,
	.listxattr = on_listxattr,
	.removexattr = on_removexattr,
	.create = op_create,
	.fallocate = on_fallocate,
	.lseek = on_lseek,
	.copy_file_range = on_copy_file_range,
#ifdef HAVE_FUSE_TMPFILE
	.tmpfile = op_tmpfile,
#endif
};
