/* SPDX-License-Identifier: MIT */
#pragma once

/* Where the control page of the segment at a path is: see segfs/control.h. */

/*
 * Open it, and make it if there is none; `flags` are O_RDONLY or O_RDWR. A descriptor, or the errors of
 * segfs_control_open().
 */
int segfs_control_place_open(const char *path, int flags);
