/* SPDX-License-Identifier: MIT */
#include "control-place.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "control-page.h"
#include "util.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif

/* A segment's file, and the directory in which it has its name. */
struct place {
	char path[PATH_MAX], *name;
	int fd, dir_fd; /* O_PATH, owned */
};

static void place_clear(struct place *place)
{
	close_fd(&place->fd);
	close_fd(&place->dir_fd);
}

/* The name is looked up once more in the directory, as others may have renamed things meanwhile. */
static int check_place(const struct place *place)
{
	struct stat st, named;

	if (fstat(place->fd, &st) < 0 || fstatat(place->dir_fd, place->name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (st.st_ino != named.st_ino || st.st_dev != named.st_dev)
		return -ESTALE;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

/* The path without symlinks, cut into directory and name. */
static int find_place(const char *path, struct place *place)
{
	if (!realpath(path, place->path))
		return -errno;
	place->fd = open(place->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (place->fd < 0)
		return -errno;
	place->name = strrchr(place->path, '/');
	*place->name++ = '\0';
	place->dir_fd = open(place->path[0] ? place->path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return place->dir_fd < 0 ? -errno : check_place(place);
}

/* ------------------------------------------------------------------------------------------------------------
 * On tmpfs: upwards
 */

struct at {
	uint64_t mount, ino;
	bool is_top; /* of the mount */
};

static int locate(int dir_fd, struct at *ret_at)
{
	struct statx stx;

	if (statx(dir_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &stx) < 0)
		return -errno;
	*ret_at = (struct at){stx.stx_mnt_id, stx.stx_ino, stx.stx_attributes & STATX_ATTR_MOUNT_ROOT};
	return 0;
}

/*
 * Whether the top of a mount is that of its file system. If it is not, others who see more of it would look
 * for the directory elsewhere. mountinfo: "36 35 98:0 /root/of/mount /mountpoint ...". Without /proc it is
 * believed.
 */
static bool is_whole(uint64_t mount)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	SEGFS_FREE char *line = NULL;
	size_t size = 0;
	bool whole = true;

	while (file && getline(&line, &size, file) > 0) {
		uint64_t id;
		int at = 0;

		if (sscanf(line, "%" SCNu64 " %*u %*u:%*u %n", &id, &at) == 1 && at > 0 && id == mount)
			whole = line[at] == '/' && line[at + 1] == ' ';
	}
	if (file)
		fclose(file);
	return whole;
}

static int make_at_top(int top_fd, uid_t owner)
{
	struct at top = {};
	int r = locate(top_fd, &top);

	if (r < 0)
		return r;
	if (!top.is_top || !is_whole(top.mount))
		return -EXDEV;
	return segfs_control_dir_open(top_fd, owner, true);
}

int segfs_control_place_search(int dir_fd, uid_t owner, int *ret_top_fd)
{
	SEGFS_CLOSE int dir = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
	struct at at = {}, above = {};
	int r, up;

	r = dir < 0 ? -errno : locate(dir, &at);
	while (r == 0) {
		r = segfs_control_dir_open(dir, owner, false);
		if (r != -ENOENT)
			return r;
		up = openat(dir, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (up < 0)
			return -errno;
		r = locate(up, &above);
		if (r < 0 || above.mount != at.mount || above.ino == at.ino) {
			close(up);
			break;
		}
		close(dir);
		dir = up;
		at = above;
	}
	if (r < 0)
		return r;
	if (ret_top_fd)
		*ret_top_fd = steal_fd(&dir);
	return -ENOENT;
}

static int open_on_tmpfs(struct place *place, int flags)
{
	SEGFS_CLOSE int dir = -1, top = -1;
	struct segfs_subject subject;
	int r;

	r = segfs_subject_read(place->fd, &subject);
	if (r < 0)
		return r;
	dir = segfs_control_place_search(place->dir_fd, subject.uid, &top);
	if (dir == -ENOENT && top >= 0)
		dir = make_at_top(top, subject.uid);
	return dir < 0 ? dir : segfs_control_page_open(dir, &subject, flags);
}

/* ------------------------------------------------------------------------------------------------------------
 * In a segfs mount: the daemon has looked for it, and vouches for it.
 */
static int open_in_mount(const struct place *place, int flags)
{
	SEGFS_CLOSE int ctl = -1, fd = -1;
	int r;

	ctl = openat(place->dir_fd, ".segfs/ctl", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (ctl < 0)
		return errno == ENOENT || errno == ENOTDIR ? -EOPNOTSUPP : -errno;
	fd = openat(ctl, place->name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = segfs_control_page_check(fd);
	return r < 0 ? r : steal_fd(&fd);
}

int segfs_control_place_open(const char *path, int flags)
{
	SEGFS_CLEANUP(place_clear) struct place place = {.fd = -1, .dir_fd = -1};
	struct statfs fs;
	int r;

	r = find_place(path, &place);
	if (r < 0)
		return r;
	if (fstatfs(place.fd, &fs) < 0)
		return -errno;
	return fs.f_type == FUSE_SUPER_MAGIC ? open_in_mount(&place, flags) : open_on_tmpfs(&place, flags);
}
