/* SPDX-License-Identifier: MIT */
#pragma once

/* Names of segments that mean the same on every system with shared memory. */
#include <stdbool.h>

/* macOS takes 31 characters (PSHMNAMLEN), the slash that shm_open(3) wants in front being one of them. */
#define SEGFS_PORTABLE_NAME_MAX 30

/*
 * Is this 1 to SEGFS_PORTABLE_NAME_MAX ASCII letters, digits and underscores? Then it works with shm_open(3)
 * on Linux and macOS and as the name of a file mapping on Windows, where a backslash would name a namespace.
 */
bool segfs_name_is_portable(const char *name);
