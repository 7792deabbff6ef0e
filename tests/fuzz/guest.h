/* SPDX-License-Identifier: MIT */
#pragma once

/* A process that requests can come from, and that can end: whose segments then go, if that was their
 * lifetime. One at a time. */
#include <sys/types.h>

/* At the beginning of an input. */
void guest_begin(void);

/* It is started when it is first asked for. Once killed, it is still what it was called. */
pid_t guest_pid(void);
void guest_kill(void);
