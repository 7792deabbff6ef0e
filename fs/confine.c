/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include <errno.h>
#include <sys/prctl.h>

static int give_up_privileges(bool starts_workers)
{
	int r = confine_capabilities(starts_workers);

	return r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : r;
}

int confine_supervisor(void)
{
	return give_up_privileges(true);
}

int confine(void)
{
	int r = give_up_privileges(false);

	return r < 0 ? r : confine_calls();
}
