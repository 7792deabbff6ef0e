/* SPDX-License-Identifier: MIT */
#pragma once

/* Going to the background: once the mount answers, and not before, so that what goes wrong is said on the
 * terminal. */
struct options;

/*
 * Go there: returns in the child alone, which is to go on. The parent waits until the child has called
 * background_ready(), and ends: with `failure` if it never does. In the child 0; -errno: there is none.
 */
int background_enter(int failure);

/* No terminal, and the log in the system's. In each process that has one; nothing with -f. */
void background_leave(const struct options *options);

/* The parent may end. */
void background_ready(void);
