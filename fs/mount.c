/* SPDX-License-Identifier: MIT */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "log.h"
#include "options.h"
#include "store.h"
#include "util.h"

#define FUSE_MAGIC 0x65735546

static int open_device(int *ret_fd)
{
	SEGFS_CLOSE int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;
	struct stat st;

	/* 10:229 by the kernel's list of devices; anything else only looks like it. */
	if (r == 0 && (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(10, 229)))
		r = -ENODEV;
	if (r == -ENOENT || r == -ENODEV || r == -ENXIO)
		log_error("no /dev/fuse here: modprobe fuse (in a container: --device /dev/fuse)");
	else if (r < 0)
		log_error("/dev/fuse: %s", strerror(-r));
	else
		*ret_fd = steal_fd(&fd);
	return r;
}

static int check_mountpoint(const char *path)
{
	struct statfs fs;
	struct stat st;

	if (stat(path, &st) < 0 || statfs(path, &fs) < 0) {
		int r = -errno;

		/* The second is for who asked just before it died. */
		if (r == -ENOTCONN || r == -ECONNABORTED)
			log_error("mountpoint %s: a dead FUSE mount is there; umount -f -l %s", path, path);
		else
			log_error("mountpoint %s: %s", path, strerror(-r));
		return r;
	}
	if (!S_ISDIR(st.st_mode)) {
		log_error("mountpoint %s: not a directory; name one, or mkdir it", path);
		return -ENOTDIR;
	}
	if (fs.f_type == FUSE_MAGIC) {
		log_error("mountpoint %s: busy, a FUSE file system is mounted there; umount %s", path, path);
		return -EBUSY;
	}
	return 0;
}

/* As on the store's own mount, unless the options say otherwise. */
static unsigned flags_of(const struct options *options, const struct segfs_store *store)
{
	static const struct {
		unsigned long st;
		unsigned attr;
	} inherited[] = {
		{ST_RDONLY, MOUNT_ATTR_RDONLY},	  {ST_NOSUID, MOUNT_ATTR_NOSUID},
		{ST_NODEV, MOUNT_ATTR_NODEV},	  {ST_NOEXEC, MOUNT_ATTR_NOEXEC},
		{ST_NOATIME, MOUNT_ATTR_NOATIME},
	};
	unsigned flags = options->set_flags;
	struct statvfs st;

	if (fstatvfs(store->root_fd, &st) < 0)
		return flags;
	for (size_t i = 0; i < COUNT_OF(inherited); i++)
		if (st.f_flag & inherited[i].st)
			flags |= inherited[i].attr;
	return flags & ~options->clear_flags;
}

/* fsconfig(2) of a list that ends with NULL; a parameter without a value is a flag. */
static int configure(int context, const char *const parameters[][2])
{
	int r = 0;

	for (size_t i = 0; r == 0 && parameters[i][0]; i++)
		r = fsconfig(context, parameters[i][1] ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
			     parameters[i][0], parameters[i][1], 0);
	if (r == 0)
		r = fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
	return r < 0 ? -errno : 0;
}

static int create(const struct options *options, const struct segfs_store *store, int fuse_fd,
		  int *ret_mount_fd)
{
	SEGFS_CLOSE int context = fsopen("fuse", FSOPEN_CLOEXEC);
	char fd[16];
	const char *const parameters[][2] = {
		{"source", options->store},
		{"subtype", "segfs"},
		{"fd", fd},
		{"rootmode", "40000"},
		{"user_id", "0"},
		{"group_id", "0"},
		{"default_permissions", NULL},
		{options->root_only ? NULL : "allow_other", NULL},
		{NULL, NULL},
	};
	int r, mount_fd;

	if (context < 0)
		return -errno;
	snprintf(fd, sizeof(fd), "%d", fuse_fd);
	r = configure(context, parameters);
	if (r < 0)
		return r;
	mount_fd = fsmount(context, FSMOUNT_CLOEXEC, flags_of(options, store));
	if (mount_fd < 0)
		return -errno;
	*ret_mount_fd = mount_fd;
	return 0;
}

int mount_create(const struct options *options, const struct segfs_store *store, int *ret_fuse_fd,
		 int *ret_mount_fd)
{
	SEGFS_CLOSE int fd = -1;
	int r;

	r = check_mountpoint(options->mountpoint);
	if (r == 0)
		r = open_device(&fd);
	if (r < 0)
		return r;
	r = create(options, store, fd, ret_mount_fd);
	if (r == -EPERM)
		log_error("mounting needs root: sudo segfs %s %s", options->store, options->mountpoint);
	else if (r < 0)
		log_error("mount %s: %s", options->mountpoint, strerror(-r));
	else
		*ret_fuse_fd = steal_fd(&fd);
	return r;
}

int mount_attach(const struct options *options, int mount_fd)
{
	SEGFS_CLOSE int tree = open_tree(mount_fd, MOUNT_ENTRY, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	int r;

	if (tree >= 0 && move_mount(tree, "", AT_FDCWD, options->mountpoint, MOVE_MOUNT_F_EMPTY_PATH) == 0)
		return 0;
	r = -errno;
	log_error("mount %s: %s", options->mountpoint, strerror(-r));
	return r;
}

/* Of a file, from what the kernel has cached. 0 if it cannot be told. */
static dev_t device_of(int fd, const char *path, int flags)
{
	struct statx stx;

	if (statx(fd, path, AT_STATX_DONT_SYNC | flags, 0, &stx) < 0)
		return 0;
	return makedev(stx.stx_dev_major, stx.stx_dev_minor);
}

dev_t mount_device(int mount_fd)
{
	return device_of(mount_fd, "", AT_EMPTY_PATH);
}

/* On a file system of the kernel's own, which need not be mounted anywhere. */
int mount_open_control(dev_t dev)
{
	SEGFS_CLOSE int context = fsopen("fusectl", FSOPEN_CLOEXEC);
	SEGFS_CLOSE int root = -1;
	char name[16];

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	root = fsmount(context, FSMOUNT_CLOEXEC, 0);
	snprintf(name, sizeof(name), "%u", minor(dev));
	return root < 0 ? -1 : openat(root, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool mount_is_attached(const struct options *options, dev_t dev)
{
	return device_of(AT_FDCWD, options->mountpoint, 0) == dev;
}

void mount_detach(const struct options *options, dev_t dev)
{
	if (!mount_is_attached(options, dev))
		return;
	if (umount2(options->mountpoint, 0) == 0)
		return;
	if (errno == EBUSY)
		log_warning("%s is in use: detached; what is mapped stays mapped", options->mountpoint);
	if (umount2(options->mountpoint, MNT_DETACH) < 0)
		log_error("umount %s: %s", options->mountpoint, strerror(errno));
}
