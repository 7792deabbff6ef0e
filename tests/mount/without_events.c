/* SPDX-License-Identifier: MIT */

/* To be preloaded into the daemon: a kernel without fanotify, and a process out of descriptors for pidfds. */
#include <errno.h>
#include <sys/resource.h>

int fanotify_init(unsigned flags, unsigned event_flags);

int fanotify_init(unsigned flags, unsigned event_flags)
{
	(void)flags, (void)event_flags;
	errno = ENOSYS;
	return -1;
}

/* What the daemon finds of its limits: pidfds get half of that. */
int getrlimit(__rlimit_resource_t resource, struct rlimit *limits)
{
	(void)resource;
	*limits = (struct rlimit){.rlim_cur = 1, .rlim_max = 1024};
	return 0;
}
