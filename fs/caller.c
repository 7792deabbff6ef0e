/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <errno.h>
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

int caller_thread_init(void)
{
	return unshare(CLONE_FS) < 0 ? -errno : 0;
}

/* The libc's setgroups(3) would change every thread of the process. */
static int set_thread_groups(size_t n, const gid_t *groups)
{
	return syscall(SYS_setgroups, n, groups) < 0 ? -errno : 0;
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
		return set_thread_groups((size_t)n, few);
	many = calloc((size_t)n, sizeof(*many));
	if (!many)
		return -ENOMEM;
	n = MIN(n, fuse_req_getgroups(req, n, many));
	return n < 0 ? -EACCES : set_thread_groups((size_t)n, many);
}

int caller_become(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	int r;

	fault_point();
	umask(ctx->umask);
	setfsgid(ctx->gid);
	if (ctx->uid == 0)
		return 0;
	r = take_groups(req);
	setfsuid(ctx->uid); /* last: it gives up the capabilities that the rest may need */
	return r;
}

void caller_restore(void)
{
	fault_point();
	setfsuid(0);
	setfsgid(0);
	set_thread_groups(0, NULL);
	umask(0);
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
