/* SPDX-License-Identifier: MIT */
#include "array-read.h"

#include "util.h"

int segfs_array_read(const struct segfs_array *array, int fd, uint64_t first, size_t count,
		     void *ret_elements)
{
	uint64_t at = array->offset + first * array->dtype->itemsize;
	size_t size = count * array->dtype->itemsize, done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)ret_elements + done, size - done, (off_t)(at + done));

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
