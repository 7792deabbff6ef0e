/* SPDX-License-Identifier: MIT */
#include "name.h"

#include <string.h>

/* Not isalnum(3), which depends on the locale. */
static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

bool segfs_name_is_portable(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= SEGFS_PORTABLE_NAME_MAX && strspn(name, allowed) == len;
}
