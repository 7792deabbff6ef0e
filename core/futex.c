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

/* FUTEX_WAIT_BITSET, as that alone takes an absolute time. */
static int sleep_until(const uint32_t *word, uint32_t value, int64_t until)
{
	struct timespec t = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};

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

void segfs_futex_wake(const uint32_t *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}
