/* SPDX-License-Identifier: MIT */
#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "confine.h"
#include "util.h"

/*
 * Requests of ordinary users are carried out without any of those that concern files: caller.h. With root's
 * own requests and what segfs does by itself these come into play.
 */
static const unsigned needed[] = {
	CAP_SYS_ADMIN,	     /* backing ids, trusted.* attributes, fanotify(7), the mount itself */
	CAP_DAC_READ_SEARCH, /* open_by_handle_at(2) */
	CAP_DAC_OVERRIDE,    /* root may use any segment, and the reaper removes any */
	CAP_FOWNER,	     /* likewise chmod, attributes, sticky directories */
	CAP_CHOWN,	     /* root's chown(2) */
	CAP_FSETID,	     /* root's chmod(2) and writes keep set-ID bits */
	CAP_MKNOD,	     /* root's mknod(2) */
	CAP_SETFCAP,	     /* root's setcap(8) */
	CAP_SETUID,	     /* setfsuid(2) to become the requester */
	CAP_SETGID,	     /* setfsgid(2) and setgroups(2) likewise */
	CAP_LEASE,	     /* fcntl(2), F_SETLEASE on a segment of somebody else */
	CAP_SYS_PTRACE,	     /* /proc/PID/fd and maps of other users: who is attached */
};

/* A worker of another binary has of them what the bounding set has, and takes that set away in its turn. */
#define FOR_WORKERS CAP_SETPCAP

/* What this process has not, it does not get; it may be in a container that never had it. */
static int keep_needed(bool starts_workers, bool *ret_may_bound)
{
	const int sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED | (starts_workers ? CAPNG_BOUNDING_SET : 0);
	bool has[COUNT_OF(needed)], has_more;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	for (size_t i = 0; i < COUNT_OF(needed); i++)
		has[i] = capng_have_capability(CAPNG_PERMITTED, needed[i]);
	*ret_may_bound = capng_have_capability(CAPNG_EFFECTIVE, FOR_WORKERS);
	has_more = starts_workers && capng_have_capability(CAPNG_PERMITTED, FOR_WORKERS);
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < COUNT_OF(needed); i++)
		if (has[i])
			capng_update(CAPNG_ADD, (capng_type_t)sets, needed[i]);
	if (has_more)
		capng_update(CAPNG_ADD, (capng_type_t)sets, FOR_WORKERS);
	return 0;
}

/* The bounding set needs CAP_SETPCAP, and is of no matter with no_new_privs: it goes if it can. */
int confine_capabilities(bool starts_workers)
{
	bool may_bound;
	int r = keep_needed(starts_workers, &may_bound);

	if (r < 0)
		return r;
	if (may_bound) /* libcap-ng complains to the log otherwise */
		capng_apply(CAPNG_SELECT_BOUNDS);
	return capng_apply(CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}
