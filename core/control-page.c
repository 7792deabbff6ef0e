/* SPDX-License-Identifier: MIT */
#include "control-page.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include <segfs/layout.h>

#include "util.h"

enum {
	NAME_SIZE = 24,
	ATTEMPTS = 200, /* at what others change meanwhile */
};

/* The part of segfs_layout_control that never changes. */
struct header {
	char magic[8];
	uint32_t version, size;
	uint64_t ino;
	uint8_t handle[16];
	uint8_t unused[24];
};
static_assert(sizeof(struct header) == offsetof(struct segfs_layout_control, owner), "all before the lock");

int segfs_subject_read(int fd, struct segfs_subject *ret_subject)
{
	struct segfs_subject subject;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	r = segfs_store_handle(fd, &subject.handle);
	if (r < 0)
		return r == -EOPNOTSUPP || r == -EOVERFLOW ? -EMEDIUMTYPE : r;
	subject.ino = st.st_ino;
	subject.uid = st.st_uid;
	subject.gid = st.st_gid;
	subject.mode = st.st_mode & 0666;
	*ret_subject = subject;
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------
 * The directory
 */

/* Whoever owns it, or may write to it without the sticky bit, can put another page in a page's place. */
static int check_dir(int fd, int parent_fd, uid_t owner)
{
	struct stat st, parent;

	if (fstat(fd, &st) < 0 || fstat(parent_fd, &parent) < 0)
		return -errno;
	if (st.st_uid != 0 && st.st_uid != owner && st.st_uid != parent.st_uid)
		return -EBADMSG;
	return st.st_mode & 0022 && !(st.st_mode & S_ISVTX) ? -EBADMSG : 0;
}

/* With its mode before it has its name: mkdir(2) would apply the umask. */
static int make_dir(int parent_fd)
{
	SEGFS_CLOSE int fd = -1;
	char name[64];
	int r = 0;

	snprintf(name, sizeof(name), SEGFS_CONTROL_DIR ".%d.%u", (int)getpid(), (unsigned)clock());
	if (mkdirat(parent_fd, name, 0700) < 0)
		return -errno;
	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 01777) < 0 ||
	    renameat2(parent_fd, name, parent_fd, SEGFS_CONTROL_DIR, RENAME_NOREPLACE) < 0) {
		r = -errno;
		unlinkat(parent_fd, name, AT_REMOVEDIR);
	}
	return r == -EEXIST ? 0 : r;
}

int segfs_control_dir_open(int parent_fd, uid_t owner, bool create)
{
	SEGFS_CLOSE int fd = -1;
	int r;

	fd = openat(parent_fd, SEGFS_CONTROL_DIR, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && create) {
		r = make_dir(parent_fd);
		return r < 0 ? r : segfs_control_dir_open(parent_fd, owner, false);
	}
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EBADMSG : -errno;
	r = check_dir(fd, parent_fd, owner);
	return r < 0 ? r : steal_fd(&fd);
}

/* ------------------------------------------------------------------------------------------------------------
 * A page that is there
 */

static int read_header(int fd, struct header *ret_header)
{
	ssize_t n = pread(fd, ret_header, sizeof(*ret_header), 0);

	if (n < 0)
		return -errno;
	if ((size_t)n < sizeof(*ret_header) || memcmp(ret_header->magic, SEGFS_CONTROL_MAGIC, 8) ||
	    ret_header->version != SEGFS_CONTROL_VERSION ||
	    ret_header->size != sizeof(struct segfs_layout_control))
		return -EBADMSG;
	return 0;
}

int segfs_control_page_check(int fd)
{
	struct stat st;
	struct header header;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size != sizeof(struct segfs_layout_control))
		return -EBADMSG;
	return read_header(fd, &header);
}

int segfs_control_page_segment(int fd, struct segfs_handle *ret_handle)
{
	struct header header;
	int r = segfs_control_page_check(fd);

	if (r == 0)
		r = read_header(fd, &header);
	if (r == 0)
		memcpy(ret_handle->bytes, header.handle, sizeof(ret_handle->bytes));
	return r;
}

/* -ESTALE: it is another segment's. */
static int check_subject(int fd, const struct segfs_subject *subject)
{
	struct header header;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 && st.st_uid != subject->uid)
		return -EBADMSG;
	r = segfs_control_page_check(fd);
	if (r == 0)
		r = read_header(fd, &header);
	if (r < 0)
		return r;
	return header.ino == subject->ino &&
			       !memcmp(header.handle, subject->handle.bytes, sizeof(subject->handle.bytes))
		       ? 0
		       : -ESTALE;
}

static bool may_make(const struct segfs_subject *subject)
{
	return geteuid() == 0 || geteuid() == subject->uid;
}

/* The segment's mode may have been changed. Who cannot do so here, or need not, leaves it as it is. */
static void adopt_mode(int fd, const struct segfs_subject *subject)
{
	struct stat st;

	if (may_make(subject) && fstat(fd, &st) == 0 && (st.st_mode & 0666) != subject->mode &&
	    st.st_gid == subject->gid)
		fchmod(fd, subject->mode);
}

/*
 * Take a page's name away, if it is still this file's. Under the file's lock, so that of two who found it to
 * be of no use the second does not take away what the first has put in its place.
 */
int segfs_control_page_take_away(int dir_fd, const char *name, int fd)
{
	struct stat named, st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (named.st_ino != st.st_ino || named.st_dev != st.st_dev)
		return 0;
	return unlinkat(dir_fd, name, 0) < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------------------------------------------------
 * A new page
 */

/* The owner may not be in the segment's group: then the page's group, another, gets no rights. */
static int give_owner(int fd, const struct segfs_subject *subject)
{
	mode_t mode = subject->mode;

	if (fchown(fd, subject->uid, subject->gid) < 0) {
		if (errno != EPERM)
			return -errno;
		if (geteuid() != subject->uid && fchown(fd, subject->uid, (gid_t)-1) < 0)
			return -errno;
		mode &= ~(mode_t)0060;
	}
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* Its pages at once: better -ENOSPC here than SIGBUS for whoever first locks. */
static int fill(int fd, const struct segfs_subject *subject)
{
	struct header header = {
		.version = SEGFS_CONTROL_VERSION,
		.size = sizeof(struct segfs_layout_control),
		.ino = subject->ino,
	};

	memcpy(header.magic, SEGFS_CONTROL_MAGIC, sizeof(header.magic));
	memcpy(header.handle, subject->handle.bytes, sizeof(subject->handle.bytes));
	if (fallocate(fd, 0, 0, sizeof(struct segfs_layout_control)) < 0)
		return -errno;
	return pwrite(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) ? 0 : -EIO;
}

/* 0 if there is one now, whoever made it. */
static int make_page(int dir_fd, const char *name, const struct segfs_subject *subject)
{
	SEGFS_CLOSE int fd = -1;
	int r;

	if (!may_make(subject))
		return -EPERM;
	fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = fill(fd, subject);
	if (r == 0)
		r = give_owner(fd, subject);
	if (r == 0)
		r = segfs_fd_link(fd, dir_fd, name);
	return r == -EEXIST ? 0 : r;
}

/* ------------------------------------------------------------------------------------------------------------
 */

/* O_NONBLOCK, as the name might be a pipe's. */
static int open_named(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EBADMSG : -errno;
}

/* The owner has given itself rights to the segment that the page does not have yet. */
static int adopt_and_open(int dir_fd, const char *name, const struct segfs_subject *subject, int flags)
{
	SEGFS_CLOSE int fd = open_named(dir_fd, name, O_RDONLY);

	if (fd < 0 || check_subject(fd, subject) < 0)
		return -EACCES;
	adopt_mode(fd, subject);
	return open_named(dir_fd, name, flags);
}

/* A descriptor; -ENOENT; -ESTALE, if there was a page of no use, which has perhaps been taken away. */
static int try_open(int dir_fd, const char *name, const struct segfs_subject *subject, int flags)
{
	SEGFS_CLOSE int fd = -1;
	int r;

	fd = open_named(dir_fd, name, flags);
	if (fd == -EACCES && may_make(subject))
		fd = adopt_and_open(dir_fd, name, subject, flags);
	if (fd < 0)
		return fd;
	r = check_subject(fd, subject);
	if (r == 0) {
		adopt_mode(fd, subject);
		return steal_fd(&fd);
	}
	if (r == -ESTALE ? !may_make(subject) : geteuid() != 0)
		return r == -ESTALE ? -EPERM : r;
	r = segfs_control_page_take_away(dir_fd, name, fd);
	return r < 0 ? r : -ESTALE;
}

int segfs_control_page_open(int dir_fd, const struct segfs_subject *subject, int flags)
{
	char name[NAME_SIZE];
	int r = -ESTALE;

	snprintf(name, sizeof(name), "%" PRIu64, subject->ino);
	for (int i = 0; i < ATTEMPTS && r == -ESTALE; i++) {
		if (i > ATTEMPTS / 2) /* somebody else is at it, and slow */
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		r = try_open(dir_fd, name, subject, flags);
		if (r != -ENOENT)
			continue;
		r = make_page(dir_fd, name, subject);
		r = r < 0 ? r : -ESTALE;
	}
	return r == -ESTALE ? -EBADMSG : r;
}

int segfs_control_page_find(int dir_fd, const struct segfs_subject *subject)
{
	SEGFS_CLOSE int fd = -1;
	char name[NAME_SIZE];
	int r;

	snprintf(name, sizeof(name), "%" PRIu64, subject->ino);
	fd = open_named(dir_fd, name, O_RDONLY);
	if (fd < 0)
		return fd == -EBADMSG ? -ENOENT : fd;
	r = check_subject(fd, subject);
	if (r < 0)
		return r == -EBADMSG || r == -ESTALE ? -ENOENT : r;
	return steal_fd(&fd);
}

int segfs_control_page_remove(int dir_fd, uint64_t ino)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "%" PRIu64, ino);
	return unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}
