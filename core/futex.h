/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sleeping on a word that processes share, and waking those who do: futex(2), without FUTEX_PRIVATE_FLAG.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC. What this module does not do: it says never why a sleep has
 * ended; its callers look at the word again, in a loop, each time.
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEGFS_FUTEX_NEVER INT64_MAX /* a deadline */
#define SEGFS_FUTEX_ALL	  INT_MAX   /* sleepers */

/* When a timeout that begins now is over. SEGFS_FUTEX_NEVER if it is negative. */
int64_t segfs_futex_deadline(int64_t timeout_ns);

bool segfs_futex_is_over(int64_t deadline);

/*
 * Sleep while `word` is `value`, until the deadline or for `nap_ns`, whichever is sooner. `word` may be
 * mapped for reading only. 0: look again (woken, the word was not `value`, the nap is over, or a signal
 * handler has run: waits go on after signals, as pthread_mutex_lock(3) does). -ETIMEDOUT: the deadline is
 * over. -EFAULT: the word is gone, its file having been cut.
 */
int segfs_futex_wait(const uint32_t *word, uint32_t value, int64_t deadline, int64_t nap_ns);

/* One of several words to sleep on, and what it is. */
struct segfs_futex_word {
	const uint32_t *word;
	uint32_t value;
};
#define SEGFS_FUTEX_WORDS 128

/*
 * Sleep while each of up to SEGFS_FUTEX_WORDS words is as given, until the deadline: futex_waitv(2). 0, look
 * again, -ETIMEDOUT and -EFAULT, as above; or another -errno: -ENOSYS before Linux 5.16.
 */
int segfs_futex_wait_any(const struct segfs_futex_word *words, size_t n, int64_t deadline);

/* Wake up to `n` sleepers of all processes. */
void segfs_futex_wake(const uint32_t *word, int n);
