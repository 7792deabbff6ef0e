/* SPDX-License-Identifier: MIT */
#include <segfs/ring.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "huge.h"
#include "ring-internal.h"
#include "util.h"

/* A ring that is to be made: what it is, and its header. */
struct plan {
	struct segfs_ring_info info;
	struct segfs_layout_ring *header; /* owned */
};

static void plan_clear(struct plan *plan)
{
	segfs_ring_info_clear(&plan->info);
	free(plan->header);
}

SEGFS_PUBLIC void segfs_ring_info_clear(struct segfs_ring_info *info)
{
	segfs_array_clear(&info->frame);
}

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Signed, as the limit is that of off_t. */
static int round_up(uint64_t n, uint64_t unit, uint64_t *ret_rounded)
{
	int64_t rounded;

	if (__builtin_mul_overflow(n / unit + (n % unit > 0), unit, &rounded))
		return -EOVERFLOW;
	*ret_rounded = (uint64_t)rounded;
	return 0;
}

static int end_of_frames(const struct segfs_ring_info *info, uint64_t *ret_end)
{
	int64_t length, twice, end;

	if (__builtin_mul_overflow(info->capacity, info->stride, &length) ||
	    __builtin_mul_overflow(length, 2, &twice) ||
	    __builtin_add_overflow(info->frame.offset, (uint64_t)length, &end))
		return -EOVERFLOW;
	*ret_end = (uint64_t)end;
	return 0;
}

/* ---- what there is */

static int check_frame(const struct segfs_layout_ring *header, struct segfs_array *frame,
		       uint64_t *ret_frame_size)
{
	size_t len = strnlen(header->dtype, sizeof(header->dtype));
	uint64_t elements;
	int r;

	if (len == sizeof(header->dtype) || header->ndim > SEGFS_RING_NDIM)
		return -EINVAL;
	r = segfs_dtype_parse(header->dtype, len, &frame->dtype);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	frame->ndim = header->ndim;
	frame->order = 'C';
	frame->offset = header->offset;
	memcpy(frame->shape, header->shape, sizeof(header->shape));
	r = segfs_array_count(frame, &elements, ret_frame_size);
	return r < 0 || *ret_frame_size == 0 || *ret_frame_size != header->frame_size ? -EINVAL : 0;
}

/* Frames that lay in the header would be overwritten together with it. */
static int check_places(const struct segfs_ring_info *info, uint64_t file_size)
{
	uint64_t end;

	if (info->policy > SEGFS_RING_OVERWRITE || info->capacity < 2 || info->stride % SEGFS_LINE != 0 ||
	    info->stride < info->frame_size || info->frame.offset < sizeof(struct segfs_layout_ring))
		return -EINVAL;
	if (end_of_frames(info, &end) < 0 || end > file_size)
		return -EINVAL;
	return info->frame.offset % page_size() != 0 || end % page_size() != 0 ? -ENOTSUP : 0;
}

int segfs_ring_check(const struct segfs_layout_ring *header, uint64_t file_size,
		     struct segfs_ring_info *ret_info)
{
	SEGFS_CLEANUP(segfs_ring_info_clear)
	struct segfs_ring_info info = {
		.policy = header->policy, .stride = header->stride, .capacity = header->capacity};
	int r;

	if (memcmp(header->magic, SEGFS_RING_MAGIC, sizeof(header->magic)) != 0)
		return -EINVAL;
	if (header->version != SEGFS_RING_VERSION)
		return -ENOTSUP;
	r = check_frame(header, &info.frame, &info.frame_size);
	if (r == 0)
		r = check_places(&info, file_size);
	if (r < 0)
		return r;
	*ret_info = info;
	info.frame.dtype = NULL;
	return 0;
}

int segfs_ring_read_header(int fd, struct segfs_layout_ring *ret_header, uint64_t *ret_file_size)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	n = pread(fd, ret_header, sizeof(*ret_header), 0);
	if (n < 0)
		return -errno;
	*ret_file_size = (uint64_t)st.st_size;
	return n == sizeof(*ret_header) ? 0 : -EINVAL;
}

SEGFS_PUBLIC int segfs_ring_read(int fd, struct segfs_ring_info *ret_info)
{
	SEGFS_FREE struct segfs_layout_ring *header = malloc(sizeof(*header));
	uint64_t file_size;
	int r;

	if (!header)
		return -ENOMEM;
	r = segfs_ring_read_header(fd, header, &file_size);
	return r < 0 ? r : segfs_ring_check(header, file_size, ret_info);
}

/* ---- a new one */

static int plan_frame(struct plan *plan, const char *dtype, const uint64_t *shape, unsigned ndim)
{
	struct segfs_array *frame = &plan->info.frame;
	uint64_t elements;
	int r;

	if (ndim > SEGFS_RING_NDIM)
		return -EINVAL;
	r = segfs_dtype_parse(dtype, strlen(dtype), &frame->dtype);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	frame->ndim = ndim;
	for (unsigned i = 0; i < ndim; i++)
		frame->shape[i] = shape[i];
	r = segfs_array_count(frame, &elements, &plan->info.frame_size);
	return r == 0 && plan->info.frame_size == 0 ? -EINVAL : r;
}

/* The stride is a multiple of 64, so few frames fill whole pages. */
static int plan_places(struct segfs_ring_info *info, uint64_t capacity)
{
	uint64_t unit = page_size();
	int r;

	r = round_up(info->frame_size, SEGFS_LINE, &info->stride);
	if (r == 0)
		r = round_up(sizeof(struct segfs_layout_ring), page_size(), &info->frame.offset);
	while (r == 0 && unit > 1 && unit / 2 * info->stride % page_size() == 0)
		unit /= 2;
	return r < 0 ? r : round_up(capacity, unit, &info->capacity);
}

static int plan_header(struct plan *plan)
{
	const struct segfs_ring_info *info = &plan->info;
	struct segfs_layout_ring *header = calloc(1, sizeof(*header));

	plan->header = header;
	if (!header)
		return -ENOMEM;
	header->version = SEGFS_RING_VERSION;
	header->policy = info->policy;
	header->frame_size = info->frame_size;
	header->stride = info->stride;
	header->capacity = info->capacity;
	header->offset = info->frame.offset;
	header->ndim = info->frame.ndim;
	memcpy(header->shape, info->frame.shape, sizeof(header->shape));
	if (segfs_dtype_format(info->frame.dtype, header->dtype, sizeof(header->dtype)) >=
	    sizeof(header->dtype))
		return -E2BIG;
	return 0;
}

static int check_empty(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size == 0 ? 0 : -ENOTEMPTY;
}

static int write_whole(int fd, const void *bytes, size_t len)
{
	ssize_t n = pwrite(fd, bytes, len, 0);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -ENOSPC;
}

/* The magic is last, in a write of its own. */
static int make_file(int fd, const struct segfs_layout_ring *header, uint64_t size)
{
	int r;

	r = segfs_huge_reserve(fd, 0, (off_t)size);
	if (r < 0)
		return r;
	r = write_whole(fd, header, sizeof(*header));
	if (r == 0)
		r = write_whole(fd, SEGFS_RING_MAGIC, sizeof(header->magic));
	if (r < 0)
		(void)!ftruncate(fd, 0);
	return r;
}

SEGFS_PUBLIC int segfs_ring_format(int fd, const char *dtype, const uint64_t *shape, unsigned ndim,
				   uint64_t capacity, unsigned policy)
{
	SEGFS_CLEANUP(plan_clear) struct plan plan = {.info.policy = policy};
	uint64_t size = 0;
	int r;

	if (capacity < 2 || policy > SEGFS_RING_OVERWRITE)
		return -EINVAL;
	r = plan_frame(&plan, dtype, shape, ndim);
	if (r == 0)
		r = plan_places(&plan.info, capacity);
	if (r == 0)
		r = end_of_frames(&plan.info, &size);
	if (r == 0)
		r = plan_header(&plan);
	if (r == 0)
		r = check_empty(fd);
	return r < 0 ? r : make_file(fd, plan.header, size);
}
