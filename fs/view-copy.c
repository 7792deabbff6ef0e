/* SPDX-License-Identifier: MIT */
#include "view-copy.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <segfs/ring.h>
#include <segfs/table.h>

#include "util.h"

uint64_t view_copy_size(const struct segfs_segment *segment)
{
	uint64_t elements, bytes = 0;

	segfs_array_count(&segment->array, &elements, &bytes);
	return bytes;
}

int view_copy_of(const void *bytes, size_t size)
{
	SEGFS_CLOSE int file = memfd_create("segfs-view", MFD_CLOEXEC);

	if (file < 0)
		return -errno;
	for (size_t done = 0; done < size;) {
		ssize_t n = write(file, (const char *)bytes + done, size - done);

		if (n < 0 && errno != EINTR)
			return errno == ENOSPC ? -ENOMEM : -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return steal_fd(&file);
}

/* The header is read anew, for capacity and stride. */
static int copy_frame(int fd, uint64_t size)
{
	SEGFS_CLEANUP(segfs_ring_info_clear) struct segfs_ring_info info = {};
	SEGFS_FREE void *frame = malloc(size);
	uint64_t number;
	int r;

	if (!frame)
		return -ENOMEM;
	r = segfs_ring_read(fd, &info);
	if (r == -EINVAL || r == -ENOTSUP || (r == 0 && info.frame_size != size))
		return -ESTALE;
	if (r == 0)
		r = segfs_ring_newest(fd, &info, frame, &number);
	return r < 0 ? r : view_copy_of(frame, size);
}

static int copy_record(int fd, uint64_t size)
{
	SEGFS_CLEANUP(segfs_table_status_clear) struct segfs_table_status status = {};
	int r = segfs_table_status(fd, size, &status);

	if (r == -EINVAL || (r == 0 && (!status.record || status.dtype->itemsize != size)))
		return -ESTALE;
	return r < 0 ? r : view_copy_of(status.record, size);
}

int view_copy_take(int fd, struct segfs_segment *segment)
{
	uint64_t size = view_copy_size(segment);
	int file = segment->kind == SEGFS_KIND_RING ? copy_frame(fd, size) : copy_record(fd, size);

	if (file < 0)
		return file;
	segment->kind = SEGFS_KIND_ARRAY;
	segment->size = size;
	segment->array.offset = 0;
	return file;
}
