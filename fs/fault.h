/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Crashes on purpose, for tests of what survives them: in builds with -Dfaults=true alone. `-o fault=N`: at
 * each point that a thread passes, once in N times, it gets a SIGSEGV; `-o fault=SYMLINK`: whenever it has
 * read a request of that kind; `-o fault=!SYMLINK`: when it is about to answer one, unless an earlier worker
 * has read it before; `-o fault=.END`: whenever it comes to the place of that name, with the same exception.
 */
#include <stdbool.h>

/* False: not in this build. */
bool fault_set(const char *when);

/* Such a point: when a request has been read, before and after the store is touched, before and after the
 * reply. */
void fault_point(void);

/* A request of this kind has been read; NULL: of another. */
void fault_request(const char *kind);

/* A place with a name: "END" is where a file that the kernel has forgotten is about to be let go, "SEAL"
 * where a segment is noted as sealed and has its write bits. */
void fault_at(const char *place);

/* The request in hand is about to be answered. */
void fault_reply(void);
