/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Bytes as `hexdump -C` shows them, but for offsets of 16 digits, lines of equal bytes, which are shown as
 * any other, and the offset of the end, which is not.
 */
#include <stddef.h>
#include <stdint.h>

#define SEGFS_HEXDUMP_BYTES 16 /* on a line */
#define SEGFS_HEXDUMP_WIDTH 87 /* of a line, newline included; a byte less for each that is missing */

/* Write the line of the `n` bytes that lie at `offset`, without NUL; returns its length. */
size_t segfs_hexdump_line(uint64_t offset, const void *bytes, size_t n, char ret_line[SEGFS_HEXDUMP_WIDTH]);
