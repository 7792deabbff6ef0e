/* SPDX-License-Identifier: MIT */
#include "futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define NS_PER_S INT64_C(1000000000)

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* now + ns, or never, should there be no such number. */
static int64_t later(int64_t now, int64_t ns)
{
	int64_t sum;

	return __builtin_add_overflow(now, ns, &sum) ? SEGFS_FUTEX_NEVER : sum;
}

int64_t segfs_futex_deadline(int64_t timeout_ns)
{
	return timeout_ns < 0 ? SEGFS_FUTEX_NEVER : later(now_ns(), timeout_ns);
}

bool segfs_futex_is_over(int64_t deadline)
{
	return now_ns() >= deadline;
}

static struct timespec time_of(int64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

/* FUTEX_WAIT_BITSET, as that alone takes an absolute time. */
static int sleep_until(const uint32_t *word, uint32_t value, int64_t until)
{
	struct timespec t = time_of(until);

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, &t, NULL, FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int segfs_futex_wait(const uint32_t *word, uint32_t value, int64_t deadline, int64_t nap_ns)
{
	int64_t now = now_ns(), until = MIN(deadline, later(now, nap_ns));
	int r;

	if (now >= deadline)
		return -ETIMEDOUT;
	r = sleep_until(word, value, until);
	return r == -ETIMEDOUT && until < deadline ? 0 : r;
}

/* Kernel ABI since Linux 5.16 (include/uapi/linux/futex.h), which older headers lack. The call has the same
 * number on every architecture. */
struct waitv {
	uint64_t value, address;
	uint32_t flags, unused;
};
#define WAITV_32_BITS 2
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

int segfs_futex_wait_any(const struct segfs_futex_word *words, size_t n, int64_t deadline)
{
	struct waitv waiters[SEGFS_FUTEX_WORDS];
	struct timespec t = time_of(deadline);

	if (n > SEGFS_FUTEX_WORDS)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		waiters[i] = (struct waitv){
			.value = words[i].value, .address = (uintptr_t)words[i].word, .flags = WAITV_32_BITS};
	if (syscall(SYS_futex_waitv, waiters, (unsigned)n, 0, deadline == SEGFS_FUTEX_NEVER ? NULL : &t,
		    CLOCK_MONOTONIC) >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

void segfs_futex_wake(const uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}
