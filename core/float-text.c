/* SPDX-License-Identifier: MIT */
#include "float-text.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "element.h"
#include "shortest.h"
#include "util.h"

/* A type whose numbers fit in a double. */
struct format {
	unsigned fraction_bits, exponent_bits;
	unsigned spare_bits;	/* what the next wider type has more */
	size_t digits;		/* that a number can need */
	size_t exponent_digits; /* that its text can need, at least two */
};

static const struct format half = {10, 5, 13, 5, 2};
static const struct format bfloat16 = {7, 8, 16, 4, 2};
static const struct format single = {23, 8, 29, 9, 2};
static const struct format full = {52, 11, 0, 17, 3};

/* NULL: a long double. */
static const struct format *format_of(const struct segfs_dtype *dtype)
{
	if (dtype->kind == SEGFS_BFLOAT16)
		return &bfloat16;
	switch (dtype->itemsize) {
	case 2:
		return &half;
	case 4:
		return &single;
	case 8:
		return &full;
	default:
		return NULL;
	}
}

/* "-d.ddde-xxx" */
static size_t width(size_t digits, size_t exponent_digits)
{
	return 1 + digits + 1 + 2 + exponent_digits;
}

size_t segfs_float_text_width(const struct segfs_dtype *dtype)
{
	const struct format *format = format_of(dtype);

	if (!format)
		return width(LDBL_DECIMAL_DIG, 4);
	return width(format->digits, format->exponent_digits);
}

static size_t put_string(char *out, const char *string)
{
	size_t len = strlen(string);

	memcpy(out, string, len);
	return len;
}

static size_t put_digits(char *out, uint64_t digits)
{
	char buf[20];
	size_t at = sizeof(buf);

	do {
		buf[--at] = (char)('0' + digits % 10);
		digits /= 10;
	} while (digits > 0);
	memcpy(out, buf + at, sizeof(buf) - at);
	return sizeof(buf) - at;
}

/* 12e3 as "12000", 12e-1 as "1.2", 12e-3 as "0.012". `point` is where the point is, counted from the first
 * digit. */
static size_t put_plain(char *out, const char *digits, size_t n, int point)
{
	size_t zeros = point <= 0 ? (size_t)-point : 0, whole = point > 0 ? (size_t)point : 0;

	if (whole >= n) {
		memcpy(out, digits, n);
		memset(out + n, '0', whole - n);
		return whole;
	}
	if (whole == 0) {
		memcpy(out, "0.000", 2 + zeros);
		memcpy(out + 2 + zeros, digits, n);
		return 2 + zeros + n;
	}
	memcpy(out, digits, whole);
	out[whole] = '.';
	memcpy(out + whole + 1, digits + whole, n - whole);
	return n + 1;
}

static size_t put_scientific(char *out, const char *digits, size_t n, int exponent)
{
	unsigned size = (unsigned)abs(exponent);
	size_t len = put_plain(out, digits, n, 1);

	out[len++] = 'e';
	out[len++] = exponent < 0 ? '-' : '+';
	if (size < 10)
		out[len++] = '0';
	return len + put_digits(out + len, size);
}

/* printf's rule for %g, with a precision of all digits. */
static size_t put_decimal(char *out, const struct segfs_decimal *decimal, size_t max_digits)
{
	char digits[20];
	size_t n = put_digits(digits, decimal->digits);
	int exponent = (int)n - 1 + decimal->exponent;

	if (exponent < -4 || exponent >= (int)max_digits)
		return put_scientific(out, digits, n, exponent);
	return put_plain(out, digits, n, exponent + 1);
}

/* The bits of a number above zero, sign left out, its exponent not all ones. */
static struct segfs_binary binary_of(const struct format *format, uint64_t bits)
{
	uint64_t leading = UINT64_C(1) << format->fraction_bits, fraction = bits & (leading - 1);
	int exponent = (int)(bits >> format->fraction_bits), bias = (1 << (format->exponent_bits - 1)) - 1;

	return (struct segfs_binary){
		.significand = exponent > 0 ? fraction | leading : fraction,
		.exponent = MAX(exponent, 1) - bias - (int)format->fraction_bits,
		.near_below = fraction == 0 && exponent > 1,
		.spare_bits = format->spare_bits,
	};
}

/* The magnitude alone. */
static size_t put_bits(char *out, const struct format *format, uint64_t bits)
{
	uint64_t infinity = ((UINT64_C(1) << format->exponent_bits) - 1) << format->fraction_bits;
	struct segfs_binary binary;
	struct segfs_decimal decimal;

	if (bits == infinity)
		return put_string(out, "inf");
	if (bits == 0)
		return put_string(out, "0");
	binary = binary_of(format, bits);
	decimal = segfs_shortest_find(&binary);
	return put_decimal(out, &decimal, format->digits);
}

static size_t put_float(char *out, const struct format *format, uint64_t bits)
{
	uint64_t sign = UINT64_C(1) << (format->fraction_bits + format->exponent_bits);
	uint64_t magnitude = bits & (sign - 1);
	uint64_t infinity = sign - (UINT64_C(1) << format->fraction_bits);
	size_t len = 0;

	if (magnitude > infinity)
		return put_string(out, "nan");
	if (bits & sign)
		out[len++] = '-';
	return len + put_bits(out + len, format, magnitude);
}

/*
 * x87's long doubles show their leading bit, and so have patterns that no operation results in. Without that
 * bit where it must be they are no numbers to the processor. With it where there is none, in the numbers
 * below the smallest of full precision, they are just that smallest exponent's. printf(3) need know neither.
 */
static void make_canonical(long double *value)
{
#if LDBL_MANT_DIG == 64
	uint64_t significand;
	uint16_t exponent;

	memcpy(&significand, value, sizeof(significand));
	memcpy(&exponent, (char *)value + sizeof(significand), sizeof(exponent));
	if ((exponent & 0x7fff) != 0 && significand >> 63 == 0)
		*value = (long double)NAN;
	else if ((exponent & 0x7fff) == 0 && significand >> 63 == 1) {
		exponent |= 1;
		memcpy((char *)value + sizeof(significand), &exponent, sizeof(exponent));
	}
#else
	(void)value;
#endif
}

/* Any decimal of LDBL_DIG digits survives, so that no fewer need be tried; but the smallest have fewer bits.
 */
static size_t put_long_double(char *out, long double value)
{
	int digits = fabsl(value) < LDBL_MIN ? 1 : LDBL_DIG, len = 0;

	if (isnan(value))
		return put_string(out, "nan");
	for (; digits <= LDBL_DECIMAL_DIG; digits++) {
		len = snprintf(out, SEGFS_FLOAT_TEXT_MAX, "%.*Lg", digits, value);
		if (strtold(out, NULL) == value)
			break;
	}
	return (size_t)len;
}

size_t segfs_float_text_format(const struct segfs_dtype *dtype, const void *bytes, char *ret_text)
{
	const struct format *format = format_of(dtype);
	char text[SEGFS_FLOAT_TEXT_MAX]; /* snprintf() ends it in NUL */
	long double value;
	size_t len;

	if (format)
		return put_float(ret_text, format, segfs_element_uint(dtype, bytes));
	value = segfs_element_float(dtype, bytes);
	make_canonical(&value);
	len = put_long_double(text, value);
	assert(len <= segfs_float_text_width(dtype));
	memcpy(ret_text, text, len);
	return len;
}
