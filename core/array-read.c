/* SPDX-License-Identifier: MIT */
#include "array-read.h"

#include "util.h"

int segfs_read_whole(int fd, void *ret_bytes, size_t size, uint64_t at)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)ret_bytes + done, size - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ESTALE;
		done += (size_t)n;
	}
	return 0;
}

int segfs_array_read(const struct segfs_array *array, int fd, uint64_t first, size_t count,
		     void *ret_elements)
{
	size_t itemsize = array->dtype->itemsize;

	return segfs_read_whole(fd, ret_elements, count * itemsize, array->offset + first * itemsize);
}
