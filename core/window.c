/* SPDX-License-Identifier: MIT */
#include "window.h"

#include <errno.h>
#include <sys/mman.h>

/* The room around the file stays reserved, so that no mapping of another thread can become one with this. */
int segfs_window_map(int fd, uint64_t start, uint64_t end, struct segfs_window *ret_window)
{
	size_t size = end - start, reserved_size = size + 2 * SEGFS_HUGE_PAGE;
	unsigned char *reserved, *base;
	int r;

	reserved = mmap(NULL, reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	base = reserved + SEGFS_HUGE_PAGE - (uintptr_t)reserved % SEGFS_HUGE_PAGE;
	if (mmap(base, size, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)start) == MAP_FAILED) {
		r = -errno;
		munmap(reserved, reserved_size);
		return r;
	}
	*ret_window = (struct segfs_window){start, end, base, reserved, reserved_size};
	return 0;
}

void segfs_window_unmap(struct segfs_window *window)
{
	if (window->reserved)
		munmap(window->reserved, window->reserved_size);
	*window = (struct segfs_window){};
}
