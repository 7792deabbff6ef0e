/* SPDX-License-Identifier: MIT */
#pragma once

/* What the tests of the parsers share. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Outputs are preset to this, to see that a failure leaves them so. */
#define UNTOUCHED 0x5ca1ab1e

/*
 * Bytes at the end of a block of exactly their size, so that AddressSanitizer and valgrind see one read too
 * far. One byte stands before them, as malloc(0) may be NULL: free them with bounded_free().
 */
static inline char *bounded_copy(const void *bytes, size_t len)
{
	char *block = malloc(len + 1);

	if (!block)
		abort();
	memcpy(block + 1, bytes, len);
	return block + 1;
}

static inline void bounded_free(char *copy)
{
	free(copy - 1);
}
