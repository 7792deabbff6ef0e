/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What each thread has in hand, written into the ledger before the store is touched, so that a request which
 * a killed worker had read and not answered is answered by its successor as it would have been: what is done
 * is not done, or refused, a second time.
 *
 * The kernel sends such a request again with bit 63 of its number set. Its handler asks what the names that
 * it is about led to before: that is looked at the first time, and remembered. Requests that change a
 * directory hold it in the kernel, so that between the two times only somebody who works in the store, behind
 * the mount, can have changed what is there.
 *
 * All functions concern the calling thread; one that has not entered has no slot, and remembers nothing.
 */
#include <stdbool.h>
#include <stdint.h>

struct ledger;

/* Before a thread's first request, in a worker whose ledger_take_over() is done. */
void journal_enter(struct ledger *ledger);

/* A request has been read, with this number; it has been answered, or handed to another thread. False: it has
 * crashed so many workers that it is to be refused. */
bool journal_begin(uint64_t unique);
void journal_end(void);

/* Another thread is going to begin it, with the same number. */
void journal_put_aside(void);

/* The request's answer is about to be written, or it wants none: all that is left to do is to let go. */
void journal_let_go(void);

/* Is there a thread that is about to do that? */
bool journal_has_letting_go(const struct ledger *ledger);

/* The request in hand crashes this worker. From a signal handler. */
void journal_note_crash(void);

/* This thread goes on with a request that another has begun. */
void journal_resume(uint64_t unique);

/* The number of the request in hand, without bit 63; 0: none. */
uint64_t journal_unique(void);

/* Has an earlier worker read it before? */
bool journal_is_resent(void);

/*
 * What a name leads to now (an inode number or another value, 0: nothing) is what it led to before the
 * request was begun, unless an earlier worker has begun it: then what it wrote down is returned. `which`: 0
 * or 1.
 */
uint64_t journal_before(unsigned which, uint64_t now);

/* The same for what has been done. True if an earlier worker has done it. */
bool journal_is_done(void);
void journal_done(void);
