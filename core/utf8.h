/* SPDX-License-Identifier: MIT */
#pragma once

/* UTF-8 by one code point at a time (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). */
#include <stddef.h>
#include <stdint.h>

#define SEGFS_UTF8_MAX 4 /* bytes of one code point */

/* Returns the bytes written, 0 if `code` is no code point that UTF-8 can hold. */
size_t segfs_utf8_encode(uint32_t code, char ret_bytes[SEGFS_UTF8_MAX]);

/* Returns the bytes read, 0 if what `text` begins with is not UTF-8, or `len` is 0. */
size_t segfs_utf8_decode(const char *text, size_t len, uint32_t *ret_code);
