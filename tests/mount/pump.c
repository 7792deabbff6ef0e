/* SPDX-License-Identifier: MIT */

/*
 * pump ring FILE: commits frames at full speed, frame i of bytes i % 251. pump table FILE: writes to the
 * fields a, wide and b, in this order, their count, and pauses now and then, as a table is only read without
 * writing while nobody writes. pump consumer FILE: joins a ring, says so, and reads nothing. Each until the
 * end of the input.
 */
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <segfs/ring.h>
#include <segfs/table.h>

#include "util.h"

enum { N_WIDE = 24 };

static bool input_ended(void)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};

	return poll(&input, 1, 0) > 0;
}

static void pump_ring(int fd)
{
	struct segfs_ring *ring;
	void *frame;

	if (segfs_ring_open(fd, &ring) < 0 || segfs_ring_attach(ring) < 0)
		errx(1, "no ring to write to");
	do {
		for (int i = 0; i < 100; i++) {
			if (segfs_ring_reserve(ring, 1, 0, -1, &frame) != 1)
				errx(1, "reserve");
			memset(frame, (int)(segfs_ring_next_write(ring) % 251),
			       segfs_ring_info(ring)->frame_size);
			segfs_ring_commit(ring, 1);
		}
	} while (!input_ended());
	segfs_ring_close(ring);
}

static void join_ring(int fd)
{
	struct segfs_ring *ring;

	if (segfs_ring_open(fd, &ring) < 0 || segfs_ring_join(ring, SEGFS_RING_NEXT) < 0)
		errx(1, "no ring to join");
	puts("joined");
	fflush(stdout);
	while (!input_ended())
		usleep(1000);
	segfs_ring_close(ring);
}

static void write_field(struct segfs_table *table, const char *name, const void *bytes)
{
	int field = segfs_table_find(table, name);

	if (field < 0 || segfs_table_write(table, (unsigned)field, bytes, -1) < 0)
		errx(1, "write of %s", name);
}

static void pump_table(int fd)
{
	struct segfs_table *table;
	uint64_t wide[N_WIDE];

	if (segfs_table_open(fd, &table) < 0)
		errx(1, "no table");
	for (uint64_t n = 1; n % 100 != 0 || !input_ended(); n++) {
		for (size_t i = 0; i < COUNT_OF(wide); i++)
			wide[i] = n;
		write_field(table, "a", &n);
		write_field(table, "wide", wide);
		write_field(table, "b", &n);
		if (n % 100 == 0)
			usleep(200);
	}
	segfs_table_close(table);
}

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[2], O_RDWR | O_CLOEXEC) : -1;

	if (fd >= 0 && !strcmp(argv[1], "ring"))
		pump_ring(fd);
	else if (fd >= 0 && !strcmp(argv[1], "table"))
		pump_table(fd);
	else if (fd >= 0 && !strcmp(argv[1], "consumer"))
		join_ring(fd);
	else
		errx(2, "usage: pump ring|table|consumer FILE");
	return 0;
}
