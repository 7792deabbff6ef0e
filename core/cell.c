/* SPDX-License-Identifier: MIT */
#include "cell.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "datetime.h"
#include "element.h"
#include "float-text.h"
#include "utf8.h"
#include "util.h"

#define UNICODE_BYTES 4
#define QUOTES	      2

/* Digits of the largest number, and a sign for the smallest. */
static size_t integer_width(const struct segfs_dtype *dtype)
{
	switch (dtype->itemsize) {
	case 1:
		return dtype->kind == SEGFS_INT ? strlen("-128") : strlen("255");
	case 2:
		return dtype->kind == SEGFS_INT ? strlen("-32768") : strlen("65535");
	case 4:
		return dtype->kind == SEGFS_INT ? strlen("-2147483648") : strlen("4294967295");
	default:
		return strlen("-9223372036854775808"); /* no shorter than the largest without a sign */
	}
}

static size_t natural_width(const struct segfs_dtype *dtype)
{
	struct segfs_dtype part;

	switch (dtype->kind) {
	case SEGFS_BOOL:
		return 1;
	case SEGFS_FLOAT:
	case SEGFS_BFLOAT16:
		return segfs_float_text_width(dtype);
	case SEGFS_COMPLEX:
		part = segfs_element_part(dtype);
		return 2 * segfs_float_text_width(&part) + strlen("j");
	case SEGFS_DATETIME:
		return segfs_datetime_width(dtype);
	case SEGFS_BYTES: /* of nothing but quotes */
		return 2 * dtype->itemsize + QUOTES;
	case SEGFS_UNICODE: /* of nothing but characters of four bytes */
		return SEGFS_UTF8_MAX * (dtype->itemsize / UNICODE_BYTES) + QUOTES;
	case SEGFS_VOID:
		return 2 * dtype->itemsize;
	default:
		return integer_width(dtype);
	}
}

int segfs_cell_init(struct segfs_cell *ret_cell, const struct segfs_dtype *dtype)
{
	size_t width = natural_width(dtype);

	if (width > SEGFS_CELL_WIDTH_MAX)
		return -EOVERFLOW;
	*ret_cell = (struct segfs_cell){.dtype = dtype, .width = width};
	return 0;
}

static size_t put_unsigned(char *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	memcpy(out, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}

static size_t put_signed(char *out, int64_t value)
{
	if (value >= 0)
		return put_unsigned(out, (uint64_t)value);
	*out = '-';
	return 1 + put_unsigned(out + 1, -(uint64_t)value);
}

static size_t put_timedelta(char *out, int64_t value)
{
	if (value != INT64_MIN)
		return put_signed(out, value);
	memcpy(out, "NaT", 3);
	return 3;
}

/* The imaginary part has a sign in any case. */
static size_t put_complex(char *out, const struct segfs_dtype *dtype, const char *bytes)
{
	struct segfs_dtype part = segfs_element_part(dtype);
	char imaginary[SEGFS_FLOAT_TEXT_MAX];
	size_t n = segfs_float_text_format(&part, bytes + part.itemsize, imaginary);
	size_t len = segfs_float_text_format(&part, bytes, out);

	if (imaginary[0] != '-')
		out[len++] = '+';
	memcpy(out + len, imaginary, n);
	len += n;
	out[len++] = 'j';
	return len;
}

/* What would break a line, or do something to a terminal. */
static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

static size_t put_character(char *out, uint32_t code)
{
	size_t len = is_control(code) ? 0 : segfs_utf8_encode(code, out);

	if (len == 0)
		out[len++] = '?';
	if (code == '"')
		out[len++] = '"';
	return len;
}

static size_t put_bytes(char *out, const char *bytes, size_t n)
{
	size_t len = 0;

	while (n > 0 && bytes[n - 1] == '\0')
		n--;
	out[len++] = '"';
	while (n > 0) {
		uint32_t code = 0; /* shown as `?` */
		size_t taken = MAX(segfs_utf8_decode(bytes, n, &code), 1);

		len += put_character(out + len, code);
		bytes += taken;
		n -= taken;
	}
	out[len++] = '"';
	return len;
}

static size_t put_unicode(char *out, const struct segfs_dtype *dtype, const char *bytes)
{
	struct segfs_dtype character = {
		.kind = SEGFS_UINT, .itemsize = UNICODE_BYTES, .big_endian = dtype->big_endian};
	size_t n = dtype->itemsize / UNICODE_BYTES, len = 0;

	while (n > 0 && segfs_element_uint(&character, bytes + (n - 1) * UNICODE_BYTES) == 0)
		n--;
	out[len++] = '"';
	for (size_t i = 0; i < n; i++) {
		uint64_t code = segfs_element_uint(&character, bytes + i * UNICODE_BYTES);

		len += put_character(out + len, (uint32_t)code);
	}
	out[len++] = '"';
	return len;
}

static size_t put_hex(char *out, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 0xf];
	}
	return 2 * n;
}

/* Left-aligned; returns the length. */
static size_t put(char *out, const struct segfs_dtype *dtype, const void *bytes)
{
	switch (dtype->kind) {
	case SEGFS_BOOL:
		return put_unsigned(out, segfs_element_uint(dtype, bytes) != 0);
	case SEGFS_INT:
		return put_signed(out, segfs_element_int(dtype, bytes));
	case SEGFS_UINT:
		return put_unsigned(out, segfs_element_uint(dtype, bytes));
	case SEGFS_TIMEDELTA:
		return put_timedelta(out, segfs_element_int(dtype, bytes));
	case SEGFS_DATETIME:
		return segfs_datetime_format(dtype, segfs_element_int(dtype, bytes), out);
	case SEGFS_COMPLEX:
		return put_complex(out, dtype, bytes);
	case SEGFS_BYTES:
		return put_bytes(out, bytes, dtype->itemsize);
	case SEGFS_UNICODE:
		return put_unicode(out, dtype, bytes);
	case SEGFS_VOID:
		return put_hex(out, bytes, dtype->itemsize);
	default:
		return segfs_float_text_format(dtype, bytes, out);
	}
}

void segfs_cell_format(const struct segfs_cell *cell, const void *bytes, char *ret_text)
{
	size_t len = put(ret_text, cell->dtype, bytes), left = cell->width - len;

	memmove(ret_text + left, ret_text, len);
	memset(ret_text, ' ', left);
}
