/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Text written into a buffer of fixed size, counting what did not fit: how the *_format() functions return
 * what snprintf(3) would.
 */
#include <stddef.h>

struct segfs_text {
	char *buf;   /* borrowed; NULL if size is 0 */
	size_t size; /* bytes, NUL included */
	size_t len;  /* of the whole text, whether it fitted or not */
};

/* An empty text; from here on the buffer always ends in NUL. */
struct segfs_text segfs_text_start(char *buf, size_t size);

void segfs_text_put(struct segfs_text *text, const char *bytes, size_t len);

void segfs_text_printf(struct segfs_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
