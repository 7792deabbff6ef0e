/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "util.h"

/* Groups of one requester; Linux allows 65,536 (NGROUPS_MAX), but who has more than these reads the list
 * twice. */
#define FEW_GROUPS 64

/*
 * What this thread has taken on. Each of these calls costs as much as the work that is done in between, so
 * none is made that changes nothing: of most requesters the umask does not matter, and root remains root.
 */
static _Thread_local struct {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool has_groups;
} taken;

/* The libc's setgroups(3) would change every thread of the process. */
static int set_thread_groups(size_t n, const gid_t *groups)
{
	return syscall(SYS_setgroups, n, groups) < 0 ? -errno : 0;
}

int caller_thread_init(void)
{
	if (unshare(CLONE_FS) < 0)
		return -errno;
	umask(0);
	return set_thread_groups(0, NULL);
}

static int give_groups(size_t n, const gid_t *groups)
{
	taken.has_groups = true;
	return set_thread_groups(n, groups);
}

/* Being in the group that one has anyway adds nothing. */
static bool says_nothing(size_t n, const gid_t *groups, gid_t gid)
{
	return n == 0 || (n == 1 && groups[0] == gid);
}

static int take_groups(fuse_req_t req)
{
	SEGFS_FREE gid_t *many = NULL;
	gid_t few[FEW_GROUPS];
	int n;

	n = fuse_req_getgroups(req, FEW_GROUPS, few);
	if (n < 0)
		return -EACCES;
	if (n <= FEW_GROUPS)
		return says_nothing((size_t)n, few, taken.gid) ? 0 : give_groups((size_t)n, few);
	many = calloc((size_t)n, sizeof(*many));
	if (!many)
		return -ENOMEM;
	n = MIN(n, fuse_req_getgroups(req, n, many));
	return n < 0 ? -EACCES : give_groups((size_t)n, many);
}

static void take_umask(mode_t mask)
{
	if (taken.umask != mask)
		umask(mask);
	taken.umask = mask;
}

static void take_gid(gid_t gid)
{
	if (taken.gid != gid)
		setfsgid(gid);
	taken.gid = gid;
}

static void take_uid(uid_t uid)
{
	if (taken.uid != uid)
		setfsuid(uid);
	taken.uid = uid;
}

static int become(fuse_req_t req, bool groups_count)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	int r = 0;

	fault_point();
	take_umask(ctx->umask);
	if (groups_count)
		take_gid(ctx->gid);
	if (groups_count && ctx->uid != 0)
		r = take_groups(req);
	take_uid(ctx->uid); /* last: it gives up the capabilities that the rest may need */
	return r;
}

int caller_become(fuse_req_t req)
{
	return become(req, true);
}

/* The kernel looks at the groups only of who is not the owner (acl(5), ACCESS CHECK ALGORITHM). */
int caller_become_before(fuse_req_t req, const struct stat *st)
{
	return become(req, !st || fuse_req_ctx(req)->uid != st->st_uid);
}

void caller_restore(void)
{
	fault_point();
	take_uid(0);
	take_gid(0);
	if (taken.has_groups)
		set_thread_groups(0, NULL);
	taken.has_groups = false;
	take_umask(0);
}

int caller_may(fuse_req_t req, int fd, const struct stat *st, int mode)
{
	AS_CALLER int r = caller_become_before(req, st);

	if (r < 0)
		return r;
	return faccessat(fd, "", mode, AT_EMPTY_PATH | AT_EACCESS) < 0 ? -errno : 0;
}

static void set_fsetid(bool on)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	if (on)
		data[0].effective |= data[0].permitted & (1U << CAP_FSETID);
	else
		data[0].effective &= ~(1U << CAP_FSETID);
	syscall(SYS_capset, &header, data);
}

void caller_drop_fsetid(void)
{
	set_fsetid(false);
}

void caller_regain_fsetid(void)
{
	set_fsetid(true);
}
