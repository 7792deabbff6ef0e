/* SPDX-License-Identifier: MIT */

/*
 * null-fs MOUNTPOINT [STORE]: the least that a FUSE daemon can do. It makes up its answers and asks nobody,
 * so that what a request to it takes is what the kernel and the change of processes take: less, no daemon
 * can.
 *
 * With a STORE it also reads the directory STORE/N as it lists directory N, and asks it for attributes,
 * handle and ACL of each file there; and does nothing with what it hears. Less, no daemon can that shows real
 * files.
 *
 * A directory for every number below 2^31, of which listing the root tells nothing: so many files are in it,
 * segment-0000000 and so on, empty, with the same attributes.
 */
#define FUSE_USE_VERSION 314
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"

#define FOREVER 1e9

/* A directory's node id is its number of files in the upper half, a file's has its own, from 1, in the lower.
 */
#define UPPER 32
#define LOWER UINT32_MAX

static struct stat look(fuse_ino_t ino)
{
	bool is_file = ino != FUSE_ROOT_ID && (ino & LOWER) != 0;

	return (struct stat){
		.st_ino = ino, .st_mode = is_file ? S_IFREG | 0644 : S_IFDIR | 0755, .st_nlink = 1};
}

static struct fuse_entry_param entry_of(fuse_ino_t ino)
{
	return (struct fuse_entry_param){
		.ino = ino, .attr = look(ino), .attr_timeout = FOREVER, .entry_timeout = FOREVER};
}

/* 0 if there is no such name. */
static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
	uint64_t n;

	if (parent == FUSE_ROOT_ID)
		return sscanf(name, "%" SCNu64, &n) == 1 && n < LOWER / 2 ? n << UPPER : 0;
	return sscanf(name, "segment-%" SCNu64, &n) == 1 && n < parent >> UPPER ? parent | (n + 1) : 0;
}

static void on_init(void *data, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & (FUSE_CAP_POSIX_ACL | FUSE_CAP_PARALLEL_DIROPS);
	conn->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = entry_of(find(parent, name));

	if (entry.ino == 0)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &entry);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st = look(ino);

	fuse_reply_attr(req, &st, FOREVER);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fi->noflush = 1;
	fuse_reply_open(req, fi);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static int store_fd = -1; /* -1: it asks nobody */

static DIR *open_in_store(uint64_t n)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "%" PRIu64, n);
	fd = openat(store_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopendir(fd);
}

static void on_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	bool asks = store_fd >= 0 && ino != FUSE_ROOT_ID;
	DIR *dir = asks ? open_in_store(ino >> UPPER) : NULL;

	fi->fh = (uintptr_t)dir;
	if (asks && !dir)
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_open(req, fi);
}

static void on_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (fi->fh)
		closedir((DIR *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

/* Of the next file in the store's directory. */
static void ask(DIR *dir)
{
	const struct dirent *dirent = readdir(dir);
	struct segfs_handle handle;
	struct stat st;

	if (!dirent)
		return;
	fstatat(dirfd(dir), dirent->d_name, &st, AT_SYMLINK_NOFOLLOW);
	segfs_store_handle_at(dirfd(dir), dirent->d_name, &handle);
	segfs_getxattr_at(dirfd(dir), dirent->d_name, "system.posix_acl_access", NULL, 0);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	uint64_t n = ino == FUSE_ROOT_ID ? 0 : ino >> UPPER;
	char *buf = calloc(1, size), name[32];
	DIR *dir = (DIR *)(uintptr_t)fi->fh;
	size_t used = 0, more;

	for (uint64_t i = (uint64_t)off; buf && i < n; i++, used += more) {
		struct fuse_entry_param entry = entry_of(ino | (i + 1));

		snprintf(name, sizeof(name), "segment-%07" PRIu64, i);
		more = fuse_add_direntry_plus(req, buf + used, size - used, name, &entry, (off_t)i + 1);
		if (more > size - used)
			break;
		if (dir)
			ask(dir);
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

/* As ls(1) asks for them: there is no label here, and no ACL of this file. */
static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	if (!strncmp(name, "security.", 9))
		fuse_reply_err(req, EOPNOTSUPP);
	else if (!strncmp(name, "user.", 5) && size > 0)
		fuse_reply_buf(req, "1", 1);
	else
		fuse_reply_err(req, ENODATA);
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
			int flags)
{
	fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
	.init = on_init,
	.lookup = on_lookup,
	.getattr = on_getattr,
	.open = on_open,
	.release = on_release,
	.opendir = on_opendir,
	.readdirplus = on_readdirplus,
	.releasedir = on_releasedir,
	.getxattr = on_getxattr,
	.setxattr = on_setxattr,
};

int main(int argc, char **argv)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session;

	if (argc != 2 && argc != 3)
		errx(2, "usage: null-fs MOUNTPOINT [STORE]");
	if (argc == 3 && (store_fd = open(argv[2], O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		err(1, "%s", argv[2]);
	if (fuse_opt_add_arg(&args, argv[0]) < 0 ||
	    fuse_opt_add_arg(&args, "-ofsname=null-fs,default_permissions,allow_other") < 0)
		err(1, "null-fs");
	session = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (!session || fuse_set_signal_handlers(session) < 0 || fuse_session_mount(session, argv[1]) < 0)
		return 1;
	fuse_session_loop(session);
	fuse_session_unmount(session);
	fuse_remove_signal_handlers(session);
	fuse_session_destroy(session);
	fuse_opt_free_args(&args);
	return 0;
}
