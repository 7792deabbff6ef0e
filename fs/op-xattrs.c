/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "attributes.h"
#include "caller.h"
#include "control-state.h"
#include "control.h"
#include "fresh.h"
#include "inspector.h"
#include "journal.h"
#include "placement.h"
#include "reply.h"
#include "seal.h"
#include "util.h"

/* A file whose attributes are asked for. */
struct target {
	int fd; /* O_PATH, or for reading, owned */
	bool is_readable;
	struct stat st;
	bool is_segment;
};

static void target_clear(struct target *target)
{
	close_fd(&target->fd);
}

/*
 * By a descriptor that can be read from, attributes cost a third of what they do by a path (SEGFS_FD_PATH).
 * But an open in the way of a lease calls it back, and nobody shall wait: then by path. (O_NONBLOCK, and a
 * type that cannot have changed: it is the handle of a regular file.)
 */
static int open_to_access(fuse_req_t req, uint64_t ino, bool *ret_is_readable)
{
	struct fs *fs = fs_of(req);
	struct node node;
	int fd = node_get(&fs->nodes, ino, &node);

	if (fd < 0)
		return fd;
	fd = S_ISREG(node.told.mode)
		     ? segfs_store_open_handle(&fs->store, &node.handle, O_RDONLY | O_NONBLOCK)
		     : -EAGAIN;
	*ret_is_readable = fd >= 0;
	return fd == -EAGAIN ? segfs_store_open_handle(&fs->store, &node.handle, O_PATH) : fd;
}

static int target_open(fuse_req_t req, uint64_t ino, bool to_access, struct target *target)
{
	int r;

	r = fresh_check_parent(req, ino);
	if (r < 0)
		return r;
	target->fd = to_access ? open_to_access(req, ino, &target->is_readable)
			       : op_open_node(fs_of(req), ino, O_PATH);
	if (target->fd < 0)
		return target->fd;
	if (fstat(target->fd, &target->st) < 0)
		return -errno;
	target->is_segment = S_ISREG(target->st.st_mode);
	return 0;
}

static bool is_sealed(const struct target *target)
{
	return target->is_segment && seal_holds(target->fd, target->st.st_ino);
}

/* What anybody may set who may write the file; the rest, as what ls(1) asks for, does not call leases back.
 */
static bool is_users(const char *name)
{
	return !strncmp(name, "user.", 5);
}

static bool is_acl(const char *name)
{
	return !strcmp(name, FRESH_ACL);
}

static ssize_t get(const struct fs *fs, const struct target *target, const char *name, char *value,
		   size_t size)
{
	ssize_t n;

	if (!target->is_readable)
		return segfs_store_getxattr(&fs->store, target->fd, name, value, size);
	n = fgetxattr(target->fd, name, value, size);
	return n < 0 ? -errno : n;
}

/* The kinds that the store's kernel answers for by itself. */
static ssize_t store_get(fuse_req_t req, const struct target *target, const char *name, char *value,
			 size_t size)
{
	AS_CALLER int r = caller_become_before(req, &target->st);

	return r < 0 ? r : get(fs_of(req), target, name, value, size);
}

static int store_set(fuse_req_t req, const struct target *target, const char *name, const char *value,
		     size_t size, int flags)
{
	AS_CALLER int r = is_users(name) ? caller_become_before(req, &target->st) : caller_become(req);
	char path[SEGFS_FD_PATH_MAX];

	if (r < 0)
		return r;
	if (target->is_readable)
		return fsetxattr(target->fd, name, value, size, flags) < 0 ? -errno : 0;
	segfs_fd_path(target->fd, path);
	return setxattr(path, name, value, size, flags) < 0 ? -errno : 0;
}

static int store_remove(fuse_req_t req, int fd, const char *name)
{
	AS_CALLER int r = caller_become(req);
	char path[SEGFS_FD_PATH_MAX];

	if (r < 0)
		return r;
	segfs_fd_path(fd, path);
	return removexattr(path, name) < 0 ? -errno : 0;
}

/*
 * ls -l asks for the label of each file, even where there is no SELinux: one request a file. Told that this
 * file system knows none, rather than this file, it asks no more. (Where there is SELinux, it answers by
 * itself: security_inode_getsecurity().)
 */
static bool knows_no_label(const char *name)
{
	return !strcmp(name, "security.selinux") && access("/sys/fs/selinux", F_OK) < 0;
}

static void reply_stored(fuse_req_t req, const char *name, const char *value, ssize_t n, size_t size)
{
	if (n == -ENODATA && knows_no_label(name))
		n = -EOPNOTSUPP;
	if (n < 0)
		reply(req, (int)n);
	else
		reply_xattr(req, value, (size_t)n, size);
}

static void get_from_store(fuse_req_t req, const struct target *target, const char *name, size_t size)
{
	SEGFS_FREE char *value = malloc(MAX(size, 1u));
	ssize_t n = value ? store_get(req, target, name, value, size) : -ENOMEM;

	reply_stored(req, name, value, n, size);
}

/*
 * ACL and label are told like mode and owner: to whoever has reached the file, by what the kernel knows of
 * the way to it (and "trusted." it tells root alone). So nothing is asked about the requester.
 */
static void get_as_stat(fuse_req_t req, uint64_t ino, const char *name, size_t size)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int fd = op_open_node(fs, ino, O_PATH);
	SEGFS_FREE char *value = malloc(MAX(size, 1u));
	ssize_t n = value ? fd : -ENOMEM;

	if (n >= 0)
		n = segfs_store_getxattr(&fs->store, fd, name, value, size);
	reply_stored(req, name, value, n, size);
}

static int reopen_to_read(fuse_req_t req, const struct target *target)
{
	AS_CALLER int r = caller_become_before(req, &target->st);

	return r < 0 ? r : op_reopen(fs_of(req), target->fd, O_RDONLY);
}

/* The right to read the file is the right to read what it is. The descriptor is readable then. */
static int may_read(fuse_req_t req, struct target *target)
{
	int fd;

	if (target->is_readable)
		return caller_may(req, target->fd, &target->st, R_OK);
	fd = reopen_to_read(req, target);
	if (fd < 0)
		return fd;
	close_fd(&target->fd);
	target->fd = fd;
	target->is_readable = true;
	return 0;
}

static int may_write(fuse_req_t req, const struct target *target)
{
	return caller_may(req, target->fd, &target->st, W_OK);
}

/* 0 where there is no control page, or one of no use. */
static ssize_t read_version(fuse_req_t req, const struct target *target, char **ret_value)
{
	struct fs *fs = fs_of(req);
	SEGFS_CLOSE int page = control_find_of(fs, node_id(&fs->nodes, target->st.st_ino), target->fd);
	uint64_t version = 0;

	if (page >= 0)
		segfs_control_state_version(page, &version);
	return asprintf(ret_value, "%" PRIu64, version) < 0 ? -ENOMEM : (ssize_t)strlen(*ret_value);
}

static bool is_slow(enum attribute attribute)
{
	return attribute == ATTRIBUTE_LOCK || attribute == ATTRIBUTE_ATTACHED || attribute == ATTRIBUTE_HUGE;
}

/* What is slow to find out, of a segment that may be read. */
static void inspect(fuse_req_t req, enum attribute attribute, struct target *target, size_t size)
{
	struct fs *fs = fs_of(req);
	ino_t ino = target->st.st_ino;

	if (attribute == ATTRIBUTE_LOCK)
		inspector_submit(req, INSPECT_LOCK, ino,
				 control_find_of(fs, node_id(&fs->nodes, ino), target->fd), size);
	else if (attribute == ATTRIBUTE_HUGE)
		inspector_submit(req, INSPECT_HUGE, ino, steal_fd(&target->fd), size);
	else
		inspector_submit(req, INSPECT_ATTACHED, ino, -1, size);
}

static void get_ours(fuse_req_t req, enum attribute attribute, const char *name, struct target *target,
		     size_t size)
{
	SEGFS_FREE char *value = NULL;
	ssize_t n = may_read(req, target);

	if (n == 0 && is_slow(attribute)) {
		inspect(req, attribute, target, size);
		return;
	}
	if (n == 0 && attribute == ATTRIBUTE_VERSION)
		n = read_version(req, target, &value);
	else if (n == 0)
		n = attribute_read(attribute, name, target->fd, target->st.st_ino, &value);
	if (n < 0)
		reply(req, (int)n);
	else
		reply_xattr(req, value, (size_t)n, size);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	SEGFS_CLEANUP(target_clear) struct target target = {.fd = -1};
	enum attribute attribute = attribute_of(name);
	int r;

	if (is_acl(name) && fresh_has_no_acl(fs_of(req), ino)) {
		reply(req, -ENODATA);
		return;
	}
	if (attribute == ATTRIBUTE_OTHER && !is_users(name)) {
		get_as_stat(req, ino, name, size);
		return;
	}
	r = attribute == ATTRIBUTE_HIDDEN ? -ENODATA : target_open(req, ino, true, &target);
	if (r < 0)
		reply(req, r);
	else if (attribute_concerns(attribute, target.st.st_mode))
		get_ours(req, attribute, name, &target, size);
	else
		get_from_store(req, &target, name, size);
}

static int store(fuse_req_t req, uint64_t ino, enum attribute attribute, const struct target *target,
		 const char *name, const char *value, size_t size, int flags)
{
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), ino, O_RDWR);
	bool empty = target->st.st_size == 0, again = false;
	AS_CALLER int r = caller_become(req);

	if (fd < 0 || r < 0)
		return MIN(fd, r);
	if (attribute_makes(attribute)) /* what an earlier worker has found empty is not so any more */
		again = journal_before(1, empty) && !empty;
	if (again)
		return attribute_make_again(attribute, name, fd, target->st.st_ino, value, size, flags);
	return attribute_store(attribute, name, fd, target->st.st_ino, value, size, flags);
}

static int seal(fuse_req_t req, uint64_t ino, const struct target *target)
{
	struct fs *fs = fs_of(req);
	uid_t uid = fuse_req_ctx(req)->uid;
	int r;

	if (uid != 0 && uid != target->st.st_uid)
		return -EPERM;
	r = seal_set(fs, ino, target->fd);
	fresh_refresh(fs, ino); /* the kernel has the mode that it was */
	return r;
}

/* "1" seals, for good; "0" changes nothing, and says so of a sealed one. */
static int set_sealed(fuse_req_t req, uint64_t ino, const struct target *target, const char *value,
		      size_t size)
{
	if (size != 1 || (*value != '0' && *value != '1'))
		return -EINVAL;
	if (*value == '1')
		return seal(req, ino, target);
	return is_sealed(target) ? -EPERM : may_write(req, target);
}

/* The reply comes later, and from elsewhere. */
#define LATER 1

/* "1" asks for huge pages. */
static int set_huge(fuse_req_t req, uint64_t ino, const char *value, size_t size)
{
	struct fs *fs = fs_of(req);
	struct node node;
	int r;

	if (size != 1 || *value != '1')
		return -EINVAL;
	if (fs->options.huge == HUGE_NEVER)
		return -EOPNOTSUPP;
	r = node_get(&fs->nodes, ino, &node);
	if (r < 0)
		return r;
	promoter_ask(req, &node.handle);
	return LATER;
}

static int set_numa(fuse_req_t req, uint64_t ino, const char *value, size_t size)
{
	SEGFS_CLOSE int fd = op_open_node(fs_of(req), ino, O_RDONLY);

	return fd < 0 ? fd : segfs_placement_set(fd, value, size);
}

/* 0, -errno, or LATER. */
static int set_ours(fuse_req_t req, uint64_t ino, enum attribute attribute, const struct target *target,
		    const char *name, const char *value, size_t size, int flags)
{
	int r;

	if (attribute == ATTRIBUTE_SEALED)
		return set_sealed(req, ino, target, value, size);
	if (attribute == ATTRIBUTE_LIFETIME)
		return op_set_lifetime(req, ino, target->fd, &target->st, value, size, flags);
	r = may_write(req, target);
	if (r < 0)
		return r;
	if (attribute_is_reported_form(attribute, value, size))
		return 0;
	if (attribute == ATTRIBUTE_HUGE)
		return set_huge(req, ino, value, size);
	if (attribute == ATTRIBUTE_NUMA)
		return set_numa(req, ino, value, size);
	if (!attribute_is_settable(attribute))
		return -EOPNOTSUPP;
	if (is_sealed(target))
		return -EPERM;
	return store(req, ino, attribute, target, name, value, size, flags);
}

/* An ACL is a right: its change is noted as such. (It changes the mode as well.) */
static int change_store(fuse_req_t req, uint64_t ino, const struct target *target, const char *name,
			const char *value, size_t size, int flags, bool remove)
{
	struct fs *fs = fs_of(req);
	bool acl = is_acl(name);
	int r;

	if (acl && is_sealed(target))
		return -EPERM;
	if (acl)
		pthread_mutex_lock(&fs->rights_lock);
	r = remove ? store_remove(req, target->fd, name) : store_set(req, target, name, value, size, flags);
	if (acl) {
		fresh_note(fs, ino, target->fd);
		pthread_mutex_unlock(&fs->rights_lock);
	}
	return r;
}

static bool has(const struct fs *fs, const struct target *target, const char *name)
{
	return get(fs, target, name, NULL, 0) >= 0;
}

/* What is there now, and was not when the request came first, has been set by an earlier worker. */
static int flags_of_first_time(const struct fs *fs, const struct target *target, const char *name, int flags)
{
	bool now = has(fs, target, name);

	return !journal_before(0, now) && now ? flags & ~XATTR_CREATE : flags;
}

/* And the reverse. */
static bool is_removed(const struct fs *fs, const struct target *target, const char *name)
{
	bool now = has(fs, target, name);

	return journal_before(0, now) && !now;
}

/* 0, -errno or LATER. */
static int set(fuse_req_t req, uint64_t ino, const struct target *target, const char *name, const char *value,
	       size_t size, int flags)
{
	enum attribute attribute = attribute_of(name);

	if (attribute == ATTRIBUTE_HIDDEN)
		return -EPERM;
	if (attribute_concerns(attribute, target->st.st_mode))
		return set_ours(req, ino, attribute, target, name, value, size, flags);
	return change_store(req, ino, target, name, value, size, flags, false);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	SEGFS_CLEANUP(target_clear) struct target target = {.fd = -1};
	bool is_plain = attribute_of(name) == ATTRIBUTE_OTHER && is_users(name);
	struct fs *fs = fs_of(req);
	struct space_wait wait = {};
	int r = target_open(req, ino, is_plain, &target);

	if (r == 0 && flags & XATTR_CREATE)
		flags = flags_of_first_time(fs, &target, name, flags);
	if (r == 0)
		do
			r = set(req, ino, &target, name, value, size, flags);
		while (space_again(fs, &wait, r));
	if (r != LATER)
		reply(req, r == -EAGAIN ? -EBUSY : r); /* of EAGAIN the kernel makes EOPNOTSUPP */
}

/*
 * What is computed cannot be removed; but rsync -X takes away from the copy what the original does not have,
 * and fails where that fails. So there is nothing to do, and that succeeds.
 */
static int remove_ours(fuse_req_t req, uint64_t ino, enum attribute attribute, const struct target *target,
		       const char *name)
{
	static const char keep[] = "keep";

	if (attribute == ATTRIBUTE_LIFETIME)
		return op_set_lifetime(req, ino, target->fd, &target->st, keep, sizeof(keep) - 1, 0);
	if (!attribute_is_live(attribute) && is_sealed(target))
		return -EPERM;
	return attribute == ATTRIBUTE_STORED ? store_remove(req, target->fd, name) : may_write(req, target);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	SEGFS_CLEANUP(target_clear) struct target target = {.fd = -1};
	enum attribute attribute = attribute_of(name);
	int r = target_open(req, ino, false, &target);

	if (r < 0)
		;
	else if (attribute == ATTRIBUTE_HIDDEN)
		r = -ENODATA;
	else if (is_removed(fs_of(req), &target, name))
		r = 0;
	else if (attribute_concerns(attribute, target.st.st_mode))
		r = remove_ours(req, ino, attribute, &target, name);
	else
		r = change_store(req, ino, &target, name, NULL, 0, 0, true);
	reply(req, r);
}

static ssize_t store_list(const struct target *target, char *names)
{
	char path[SEGFS_FD_PATH_MAX];
	ssize_t n;

	segfs_fd_path(target->fd, path);
	n = target->is_readable ? flistxattr(target->fd, names, XATTR_LIST_MAX)
				: listxattr(path, names, XATTR_LIST_MAX);
	return n < 0 ? -errno : n;
}

static ssize_t list(fuse_req_t req, uint64_t ino, char **ret_list)
{
	SEGFS_CLEANUP(target_clear) struct target target = {.fd = -1};
	SEGFS_FREE char *names = malloc(XATTR_LIST_MAX);
	bool readable;
	ssize_t n;
	int r;

	if (!names)
		return -ENOMEM;
	r = target_open(req, ino, true, &target);
	if (r < 0)
		return r;
	n = store_list(&target, names);
	if (n < 0)
		return n;
	readable = target.is_segment && may_read(req, &target) == 0;
	return attribute_list(names, (size_t)n, fuse_req_ctx(req)->uid == 0, target.is_segment,
			      readable ? target.fd : -1, target.st.st_ino, ret_list);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	SEGFS_FREE char *names = NULL;
	ssize_t n = list(req, ino, &names);

	if (n < 0)
		reply(req, (int)n);
	else
		reply_xattr(req, names, (size_t)n, size);
}
