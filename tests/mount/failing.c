/* SPDX-License-Identifier: MIT */

/*
 * To be preloaded into the daemon: memory that is not to be had, and a clock that jumps. What happens is in
 * the file that the environment's FAILING names: two 64-bit numbers, how many of a million allocations fail,
 * and by how many seconds CLOCK_REALTIME is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *memory, size_t size);

static const _Atomic int64_t none[2];
static const _Atomic int64_t *faults = none;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("FAILING");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(none), PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		_exit(99);
	close(fd);
	faults = map;
}

static bool fails(void)
{
	static __thread uint64_t seed;

	if (faults[0] == 0)
		return false;
	if (seed == 0)
		seed = (uint64_t)syscall(SYS_gettid) * UINT64_C(0x9e3779b97f4a7c15);
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	if ((int64_t)((seed >> 11) % 1000000) >= faults[0])
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	if (syscall(SYS_clock_gettime, clock, ret_time) < 0)
		return -1;
	if (clock == CLOCK_REALTIME)
		ret_time->tv_sec += faults[1];
	return 0;
}
