/* SPDX-License-Identifier: MIT */
/* Our own ring, with a consumer that spins and with one that sleeps at once; and a pipe. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <segfs/ring.h>

#include "ring-peer.h"

/* A consumer that spins does so from one frame to the next. A full ring is another matter: somewhat more than
 * it takes to go to sleep and be woken. */
enum { CONSUMER_SPIN_NS = 1000000, PRODUCER_SPIN_NS = 20000 };

static int fd, ends[2];
static struct segfs_ring *ring;
static char *buffer;

static void make_ring(size_t size)
{
	fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 ||
	    segfs_ring_format(fd, "u1", (uint64_t[]){size}, 1, depth_of(size), SEGFS_RING_BLOCK) < 0)
		err(1, "ring");
}

static void start_ring(bool producer, size_t size)
{
	struct segfs_ring_status status = {};

	if (segfs_ring_open(fd, &ring) < 0)
		err(1, "ring");
	if (!producer && segfs_ring_join(ring, SEGFS_RING_NEXT) < 0)
		errx(1, "join");
	if (producer && segfs_ring_attach(ring) < 0)
		errx(1, "attach");
	while (producer && status.n_consumers == 0) {
		segfs_ring_status(fd, &status);
		segfs_ring_info_clear(&status.info);
	}
}

static void send_ring(const void *frame, size_t size, int64_t spin_ns)
{
	void *to;

	if (segfs_ring_reserve(ring, 1, spin_ns, -1, &to) != 1)
		errx(1, "reserve");
	memcpy(to, frame, size);
	segfs_ring_commit(ring, 1);
}

static uint64_t receive_ring(size_t size, int64_t spin_ns)
{
	const void *frame;
	uint64_t seen;

	if (segfs_ring_acquire(ring, 1, 1, spin_ns, -1, &frame, NULL) != 1)
		errx(1, "acquire");
	seen = look_at(frame, size);
	if (segfs_ring_release(ring, 1) != 0)
		errx(1, "release");
	return seen;
}

static void send_spin(const void *frame, size_t size)
{
	send_ring(frame, size, PRODUCER_SPIN_NS);
}

static uint64_t receive_spin(size_t size)
{
	return receive_ring(size, CONSUMER_SPIN_NS);
}

static void send_sleep(const void *frame, size_t size)
{
	send_ring(frame, size, 0);
}

static uint64_t receive_sleep(size_t size)
{
	return receive_ring(size, 0);
}

static void end_ring(void)
{
	close(fd);
}

const struct peer peer_spin = {"ring, spinning", make_ring, start_ring, send_spin, receive_spin, end_ring};
const struct peer peer_sleep = {"ring, sleeping", make_ring, start_ring, send_sleep, receive_sleep, end_ring};

static void make_pipe(size_t size)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		err(1, "pipe");
	fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
}

static void start_pipe(bool producer, size_t size)
{
	buffer = malloc(size);
	if (!buffer)
		err(1, "memory");
}

static void send_pipe(const void *frame, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(ends[1], (const char *)frame + done, size - done);

		if (n < 0)
			err(1, "write");
		done += (size_t)n;
	}
}

static uint64_t receive_pipe(size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = read(ends[0], buffer + done, size - done);

		if (n <= 0)
			err(1, "read");
		done += (size_t)n;
	}
	return look_at(buffer, size);
}

static void end_pipe(void)
{
	close(ends[0]);
	close(ends[1]);
}

const struct peer peer_pipe = {"pipe", make_pipe, start_pipe, send_pipe, receive_pipe, end_pipe};
