/* SPDX-License-Identifier: MIT */
#include "confine.h"

#include <errno.h>
#include <sys/prctl.h>

int confine(void)
{
	int r;

	r = confine_capabilities();
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = -errno;
	return r < 0 ? r : confine_calls();
}
