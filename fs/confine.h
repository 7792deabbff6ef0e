/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What this process can do no more, should somebody take it over: it keeps the capabilities that requests
 * need and the system calls that it makes, and gains none by execve(2). Each of the two needs a library, and
 * is left out where the build has none.
 */
#include <stdbool.h>

/*
 * For this thread and all that it starts; the mount and the store are open. 0 or -errno. A system call that
 * is not on the list is EPERM from now on, with a line in the kernel's log (type=1326, and its number).
 */
int confine(void);

/* The supervisor's, whose workers need these capabilities and are not to gain others. It keeps its system
 * calls, as it starts programs, and what is taken from it is taken from them. */
int confine_supervisor(void);

/* The parts of it, in this order. */
int confine_capabilities(bool starts_workers);
int confine_calls(void);
