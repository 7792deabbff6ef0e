/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "util.h"

/* Bytes left in the buffer, NUL included. */
static size_t room(const struct segfs_text *text)
{
	return text->size > text->len ? text->size - text->len : 0;
}

struct segfs_text segfs_text_start(char *buf, size_t size)
{
	if (size > 0)
		buf[0] = '\0';
	return (struct segfs_text){.buf = buf, .size = size};
}

void segfs_text_put(struct segfs_text *text, const char *bytes, size_t len)
{
	size_t left = room(text);

	if (left > 0) {
		size_t fits = MIN(len, left - 1);

		memcpy(text->buf + text->len, bytes, fits);
		text->buf[text->len + fits] = '\0';
	}
	text->len += len;
}

void segfs_text_printf(struct segfs_text *text, const char *format, ...)
{
	size_t left = room(text);
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(left > 0 ? text->buf + text->len : NULL, left, format, args);
	va_end(args);
	assert(len >= 0);
	text->len += (size_t)len;
}
