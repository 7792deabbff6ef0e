/* SPDX-License-Identifier: MIT */
#include "hexdump.h"

#include <assert.h>
#include <string.h>

#define OFFSET_DIGITS 16
#define HEX_AT	      (OFFSET_DIGITS + 2)
#define TEXT_AT	      (HEX_AT + 3 * SEGFS_HEXDUMP_BYTES + 2) /* two blanks in the middle, two at the end */

static const char digits[] = "0123456789abcdef";

static void put_offset(char *out, uint64_t offset)
{
	for (int i = OFFSET_DIGITS - 1; i >= 0; i--) {
		out[i] = digits[offset & 0xf];
		offset >>= 4;
	}
}

static void put_byte(char *line, size_t i, unsigned char byte)
{
	char *out = line + HEX_AT + 3 * i + (i >= SEGFS_HEXDUMP_BYTES / 2);

	out[0] = digits[byte >> 4];
	out[1] = digits[byte & 0xf];
	line[TEXT_AT + 1 + i] = byte >= ' ' && byte < 0x7f ? (char)byte : '.';
}

size_t segfs_hexdump_line(uint64_t offset, const void *bytes, size_t n, char ret_line[SEGFS_HEXDUMP_WIDTH])
{
	assert(n <= SEGFS_HEXDUMP_BYTES);
	memset(ret_line, ' ', TEXT_AT);
	put_offset(ret_line, offset);
	ret_line[TEXT_AT] = '|';
	for (size_t i = 0; i < n; i++)
		put_byte(ret_line, i, ((const unsigned char *)bytes)[i]);
	ret_line[TEXT_AT + 1 + n] = '|';
	ret_line[TEXT_AT + 2 + n] = '\n';
	return TEXT_AT + 3 + n;
}
