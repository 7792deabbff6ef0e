/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What fuzz targets share. A target is one file with the function that libFuzzer calls (LLVM's documentation,
 * "LibFuzzer"); with replay.c instead of libFuzzer it is a unit test that runs its corpus.
 *
 * An input is a text that somebody hostile wrote; or, where memory is shared with him, steps: what he does
 * and what we do, drawn byte by byte.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert(3), also where that is switched off. */
#define MUST(condition)                                                                                      \
	do {                                                                                                 \
		if (!(condition)) {                                                                          \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);              \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

struct input {
	const uint8_t *bytes; /* borrowed */
	size_t size;
};

/* The next byte, 0 once there are none. */
static inline uint8_t draw_byte(struct input *in)
{
	if (in->size == 0)
		return 0;
	in->size--;
	return *in->bytes++;
}

/* Little-endian, as it would lie in the memory. */
static inline uint64_t draw_number(struct input *in, unsigned len)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < len; i++)
		n |= (uint64_t)draw_byte(in) << 8 * i;
	return n;
}

/* A copy of what is left, in a block of exactly its size: AddressSanitizer sees one byte too far. To be
 * freed. */
static inline char *rest_copy(const struct input *in)
{
	char *copy = malloc(in->size);

	MUST(copy || in->size == 0);
	if (in->size > 0)
		memcpy(copy, in->bytes, in->size);
	return copy;
}

/* Files stay small whatever sizes are asked for: EFBIG. */
#define FUZZ_FILE_MAX (4 << 20)

/* A nameless file on tmpfs, which has room for attributes, with these bytes. */
static inline int fuzz_file(const void *bytes, size_t size)
{
	static const struct rlimit limit = {FUZZ_FILE_MAX, FUZZ_FILE_MAX};
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	MUST(fd >= 0 && pwrite(fd, bytes, size, 0) == (ssize_t)size);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	return fd;
}

/* A few bytes of a file change, anywhere within the first `span`, as by somebody else who has it mapped. */
static inline void scribble(struct input *in, int fd, uint64_t span)
{
	uint64_t place = draw_number(in, 2);
	unsigned len = draw_byte(in) % 9;
	uint64_t value = draw_number(in, len);

	MUST(pwrite(fd, &value, len, (off_t)(place % span)) == len);
}
