/* SPDX-License-Identifier: MIT */

/*
 * ring-pump write FILE POLICY: makes FILE a ring of 7 frames of 4 x 128 numbers and writes to it at full
 * speed until its input ends, then a last frame. ring-pump read FILE: prints, of each frame it could read
 * whole, the number and the first and last element, until it has seen no other for a second.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ring_frames.h"

enum { WORDS = 512 };

static bool input_ended(void)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

static void write_ring(const char *path, const char *policy)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct segfs_ring *ring;

	if (fd < 0 ||
	    segfs_ring_format(fd, "<u8", (uint64_t[]){4, WORDS / 4}, 2, 7, (unsigned)atoi(policy)) < 0 ||
	    segfs_ring_open(fd, &ring) < 0 || segfs_ring_attach(ring) < 0)
		errx(1, "%s", path);
	while (!input_ended())
		for (uint64_t i = 0; i < 100; i++) {
			void *frames;
			ssize_t n = segfs_ring_reserve(ring, 1 + i % 3, 0, -1, &frames);

			for (ssize_t k = 0; k < n; k++)
				frame_fill((char *)frames + (size_t)k * segfs_ring_info(ring)->stride, WORDS,
					   segfs_ring_next_write(ring) + (uint64_t)k);
			segfs_ring_commit(ring, (uint64_t)n);
		}
	segfs_ring_close(ring);
}

static void read_ring(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct segfs_ring *ring;
	const void *frame;

	if (fd < 0 || segfs_ring_open(fd, &ring) < 0 || segfs_ring_follow(ring, SEGFS_RING_NEWEST) < 0)
		errx(1, "%s", path);
	while (segfs_ring_acquire(ring, 1, 1, 0, 1000000000, &frame, NULL) == 1) {
		uint64_t number = segfs_ring_next_read(ring), first = *(const uint64_t *)frame,
			 last = ((const uint64_t *)frame)[WORDS - 1];

		if (segfs_ring_release(ring, 1) == 0)
			printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", number, first, last);
	}
	segfs_ring_close(ring);
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "write"))
		write_ring(argv[2], argv[3]);
	else if (argc == 3 && !strcmp(argv[1], "read"))
		read_ring(argv[2]);
	else
		errx(2, "usage: ring-pump write FILE POLICY | read FILE");
	return 0;
}
