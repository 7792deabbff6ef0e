/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>

#include "fresh.h"
#include "name.h"

/* With inotify to tell of changes, the kernel may believe for as long as it likes. */
#define WATCHED_TIMEOUT 3600.0

int op_open_directory(fuse_req_t req, uint64_t ino)
{
	int r;

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

/*
 * Not here: read and write, which passthrough keeps in the kernel; flock and fcntl locks, which the kernel
 * keeps by itself unless asked not to; flush, fsync, which mean nothing to memory (the kernel learns that
 * from ENOSYS and asks no more); release, as an open holds nothing of ours; access, which default_permissions
 * answers.
 */
const struct fuse_lowlevel_ops ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.copy_file_range = op_copy_file_range,
#ifdef HAVE_FUSE_TMPFILE
	.tmpfile = op_tmpfile,
#endif
};
