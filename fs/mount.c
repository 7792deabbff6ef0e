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
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int r = -errno;

	if (fd < 0 && (r == -ENOENT || r == -ENODEV || r == -ENXIO))
		log_error("no /dev/fuse here: modprobe fuse (in a container: --device /dev/fuse)");
	else if (fd < 0)
		log_error("/dev/fuse: %s", strerror(-r));
	if (fd < 0)
		return r;
	*ret_fd = fd;
	return 0;
}

static int check_mountpoint(const char *path)
{
	struct statfs fs;
	struct stat st;

	if (stat(path, &st) < 0 || statfs(path, &fs) < 0) {
		int r = -errno;

		log_error("mountpoint %s: %s", path, strerror(-r));
		return r;
	}
	if (!S_ISDIR(st.st_mode)) {
		log_error("mountpoint %s: not a directory", path);
		return -ENOTDIR;
	}
	if (fs.f_type == FUSE_MAGIC) {
		log_error("mountpoint %s: busy, a FUSE file system is mounted there; umount %s", path, path);
		return -EBUSY;
	}
	return 0;
}

/* As on the store's own mount, unless the options say otherwise. */
static unsigned long flags_of(const struct options *options, const struct segfs_store *store)
{
	static const struct {
		unsigned long st, ms;
	} inherited[] = {
		{ ST_RDONLY, MS_RDONLY },   { ST_NOSUID, MS_NOSUID }, { ST_NODEV, MS_NODEV },
		{ ST_NOEXEC, MS_NOEXEC }, { ST_NOATIME, MS_NOATIME },
	};
	unsigned long flags = options->set_flags;
	struct statvfs st;

	if (fstatvfs(store->root_fd, &st) < 0)
		return flags;
	for (size_t i = 0; i < COUNT_OF(inherited); i++)
		if (st.f_flag & inherited[i].st)
			flags |= inherited[i].ms;
	return flags & ~options->clear_flags;
}

int mount_attach(const struct options *options, const struct segfs_store *store, int *ret_fuse_fd)
{
	SEGFS_CLOSE int fd = -1;
	char data[128];
	int r;

	r = check_mountpoint(options->mountpoint);
	if (r == 0)
		r = open_device(&fd);
	if (r < 0)
		return r;
	snprintf(data, sizeof(data), "fd=%d,rootmode=%o,user_id=0,group_id=0,default_permissions%s", fd, S_IFDIR,
		 options->root_only ? "" : ",allow_other");
	if (mount(options->store, options->mountpoint, "fuse.segfs", flags_of(options, store), data) < 0) {
		r = -errno;
		if (r == -EPERM)
			log_error("mounting needs root: sudo segfs %s %s", options->store, options->mountpoint);
		else
			log_error("mount %s: %s", options->mountpoint, strerror(-r));
		return r;
	}
	*ret_fuse_fd = steal_fd(&fd);
	return 0;
}

/* Is the mount on top there ours? Asked without a request to whoever serves it. */
static bool is_ours(const char *path, dev_t dev)
{
	struct statx stx;

	return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, 0, &stx) == 0 &&
	       makedev(stx.stx_dev_major, stx.stx_dev_minor) == dev;
}

void mount_detach(const struct options *options, dev_t dev)
{
	if (!is_ours(options->mountpoint, dev))
		return;
	if (umount2(options->mountpoint, 0) == 0)
		return;
	if (errno == EBUSY)
		log_warning("%s is in use: detached; what is mapped or open stays so", options->mountpoint);
	if (umount2(options->mountpoint, MNT_DETACH) < 0)
		log_error("umount %s: %s", options->mountpoint, strerror(errno));
}
