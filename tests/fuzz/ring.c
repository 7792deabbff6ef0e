/* SPDX-License-Identifier: MIT */
/*
 * A ring whose header somebody spoils, before it is opened and while it is used. The first byte says what is
 * in the file; then come steps. Frames that are handed out are touched from end to end.
 */
#include <segfs/ring.h>

#include "target.h"

#define MAX_STEPS 64
#define SHORT_NS  20000

static void look(int fd)
{
	SEGFS_CLEANUP(segfs_ring_info_clear) struct segfs_ring_info info = {};
	struct segfs_ring_status status;
	char text[64];

	segfs_ring_read(fd, &info);
	if (segfs_ring_status(fd, &status) < 0)
		return;
	MUST(status.n_consumers <= SEGFS_RING_CONSUMERS);
	segfs_ring_status_format(&status, text, sizeof(text));
	segfs_ring_info_clear(&status.info);
}

static void produce(struct segfs_ring *ring, uint64_t n)
{
	const struct segfs_ring_info *info = segfs_ring_info(ring);
	void *frames;
	ssize_t got = segfs_ring_reserve(ring, n, 0, SHORT_NS, &frames);

	MUST(got <= (ssize_t)n && got <= (ssize_t)info->capacity);
	if (got <= 0)
		return;
	memset(frames, 1, (size_t)got * info->stride);
	segfs_ring_commit(ring, (uint64_t)got);
}

static void consume(struct segfs_ring *ring, uint64_t min, uint64_t max)
{
	const struct segfs_ring_info *info = segfs_ring_info(ring);
	const void *frames;
	uint64_t lost;
	ssize_t got = segfs_ring_acquire(ring, min, max, 0, SHORT_NS, &frames, &lost);

	MUST(got <= (ssize_t)max && got <= (ssize_t)info->capacity);
	for (size_t i = 0; got > 0 && i < (size_t)got * info->stride; i += SEGFS_LINE)
		(void)((const volatile char *)frames)[i];
	if (got > 0)
		segfs_ring_release(ring, (uint64_t)got);
}

static void use(struct segfs_ring *ring, struct input *in)
{
	uint64_t capacity = segfs_ring_info(ring)->capacity;

	switch (draw_byte(in) % 8) {
	case 0:
		segfs_ring_attach(ring);
		break;
	case 1:
		segfs_ring_detach(ring);
		break;
	case 2:
		segfs_ring_join(ring, draw_byte(in) % 3);
		break;
	case 3:
		segfs_ring_follow(ring, draw_byte(in) % 3);
		break;
	case 4:
		segfs_ring_leave(ring);
		break;
	case 5:
		produce(ring, 1 + draw_byte(in) % (capacity + 1));
		break;
	default:
		consume(ring, 1 + draw_byte(in) % capacity, capacity);
	}
}

static void step(struct input *in, int fd, struct segfs_ring **ring)
{
	uint8_t what = draw_byte(in);

	if (what % 4 == 0)
		scribble(in, fd, sizeof(struct segfs_layout_ring));
	else if (what % 16 == 1)
		look(fd);
	else if (what % 16 == 2)
		*ring = segfs_ring_close(*ring);
	else if (*ring)
		use(*ring, in);
	else
		segfs_ring_open(fd, ring);
}

static int make_file(uint8_t what)
{
	int fd = fuzz_file("", 0);

	if (what & 1)
		MUST(segfs_ring_format(fd, what & 2 ? "<f4" : "[('a', '<u8'), ('b', '|S8')]",
				       (uint64_t[]){64, 16}, 2, 4, what >> 2 & 1) == 0);
	else
		MUST(ftruncate(fd, 65536) == 0 && pwrite(fd, SEGFS_RING_MAGIC "\1", 9, 0) == 9);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	SEGFS_CLOSE int fd = make_file(draw_byte(&in));
	struct segfs_ring *ring = NULL;

	for (int i = 0; i < MAX_STEPS && in.size > 0; i++)
		step(&in, fd, &ring);
	segfs_ring_close(ring);
	return 0;
}
