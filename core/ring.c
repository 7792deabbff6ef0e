/* SPDX-License-Identifier: MIT */
#include <segfs/ring.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "named.h"
#include "ring-internal.h"
#include "util.h"

static const struct segfs_words words[] = {
	{offsetof(struct segfs_layout_ring, producer), sizeof(uint64_t), 1, false},
	{offsetof(struct segfs_layout_ring, consumers) + offsetof(struct segfs_layout_consumer, owner),
	 sizeof(struct segfs_layout_consumer), SEGFS_RING_CONSUMERS, false},
	{offsetof(struct segfs_layout_ring, members), sizeof(struct segfs_layout_member), SEGFS_MEMBERS,
	 true},
};

/* One stretch of addresses, then the frames into its first half and once more into its second. For reading:
 * who becomes the producer gets more. */
static int map_frames(struct segfs_ring *ring, int fd)
{
	off_t offset = (off_t)ring->info.frame.offset;
	char *at;

	ring->length = ring->info.capacity * ring->info.stride;
	at = mmap(NULL, 2 * ring->length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	ring->frames = at;
	for (int i = 0; i < 2; i++, at += ring->length)
		if (mmap(at, ring->length, PROT_READ, MAP_SHARED | MAP_FIXED, fd, offset) == MAP_FAILED)
			return -errno;
	return 0;
}

static int check_mode(int fd, bool *ret_writable)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	*ret_writable = (flags & O_ACCMODE) == O_RDWR;
	return 0;
}

static int map(struct segfs_ring *ring, int fd)
{
	int r;

	r = check_mode(fd, &ring->writable);
	if (r == 0)
		r = segfs_ring_read(fd, &ring->info);
	if (r == 0)
		r = segfs_robust_map(fd, sizeof(*ring->header), ring->writable, words, COUNT_OF(words),
				     &ring->area);
	if (r < 0)
		return r;
	ring->header = segfs_robust_data(ring->area);
	return map_frames(ring, fd);
}

SEGFS_PUBLIC int segfs_ring_open(int fd, struct segfs_ring **ret_ring)
{
	struct segfs_ring *ring = aligned_alloc(SEGFS_LINE, sizeof(*ring));
	int r;

	if (!ring)
		return -ENOMEM;
	memset(ring, 0, sizeof(*ring));
	r = map(ring, fd);
	if (r < 0) {
		segfs_ring_close(ring);
		return r;
	}
	*ret_ring = ring;
	return 0;
}

/* What segfs_ring_format() is told. */
struct wish {
	const char *dtype;
	const uint64_t *shape;
	unsigned ndim, policy;
	uint64_t capacity;
};

static int make(int fd, const void *plan)
{
	const struct wish *wish = plan;

	return segfs_ring_format(fd, wish->dtype, wish->shape, wish->ndim, wish->capacity, wish->policy);
}

static int check_wish(const struct segfs_ring_info *info, const struct wish *wish)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array frame = {.ndim = wish->ndim, .order = 'C'};
	int r;

	if (wish->ndim > SEGFS_RING_NDIM)
		return -EINVAL;
	for (unsigned i = 0; i < wish->ndim; i++)
		frame.shape[i] = wish->shape[i];
	r = segfs_dtype_parse(wish->dtype, strlen(wish->dtype), &frame.dtype);
	if (r < 0)
		return r == -ENOMEM ? r : -EINVAL;
	return segfs_array_equal(&info->frame, &frame) && info->policy == wish->policy &&
			       info->capacity >= wish->capacity
		       ? 0
		       : -EMEDIUMTYPE;
}

SEGFS_PUBLIC int segfs_ring_create(const char *path, int flags, mode_t mode, const char *dtype,
				   const uint64_t *shape, unsigned ndim, uint64_t capacity, unsigned policy,
				   struct segfs_ring **ret_ring)
{
	const struct wish wish = {dtype, shape, ndim, policy, capacity};
	SEGFS_CLOSE int fd = segfs_named_create(path, flags, mode, make, &wish);
	struct segfs_ring *ring;
	int r;

	if (fd < 0)
		return fd;
	r = segfs_ring_open(fd, &ring);
	if (r < 0)
		return r;
	r = check_wish(&ring->info, &wish);
	if (r < 0)
		segfs_ring_close(ring);
	else
		*ret_ring = ring;
	return r;
}

SEGFS_PUBLIC struct segfs_ring *segfs_ring_close(struct segfs_ring *ring)
{
	if (!ring)
		return NULL;
	segfs_ring_detach(ring);
	segfs_ring_leave(ring);
	if (ring->frames)
		munmap(ring->frames, 2 * ring->length);
	segfs_robust_unmap(ring->area);
	segfs_ring_info_clear(&ring->info);
	free(ring);
	return NULL;
}

SEGFS_PUBLIC const struct segfs_ring_info *segfs_ring_info(const struct segfs_ring *ring)
{
	return &ring->info;
}

bool segfs_ring_holds(const struct segfs_ring *ring, uint32_t owner)
{
	return owner != 0 && segfs_robust_owner(ring->area) == (int)owner;
}
