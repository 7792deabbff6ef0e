/* SPDX-License-Identifier: MIT */
#include "element.h"

#include <math.h>
#include <string.h>

#include "dtype-internal.h"

bool segfs_element_is_real(const struct segfs_dtype *dtype)
{
	switch (dtype->kind) {
	case SEGFS_BOOL:
	case SEGFS_INT:
	case SEGFS_UINT:
	case SEGFS_FLOAT:
	case SEGFS_BFLOAT16:
		return true;
	default:
		return false;
	}
}

uint64_t segfs_element_uint(const struct segfs_dtype *dtype, const void *bytes)
{
	const unsigned char *in = bytes;
	size_t n = dtype->itemsize;
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value |= (uint64_t)in[i] << 8 * (dtype->big_endian ? n - 1 - i : i);
	return value;
}

int64_t segfs_element_int(const struct segfs_dtype *dtype, const void *bytes)
{
	unsigned unused = 64 - 8 * (unsigned)dtype->itemsize;

	/* The sign bit goes to the top and comes down again. */
	return (int64_t)(segfs_element_uint(dtype, bytes) << unused) >> unused;
}

/* IEEE 754 binary16: 1 sign bit, 5 of exponent, 10 of fraction. */
static double from_half(uint64_t bits)
{
	int exponent = bits >> 10 & 0x1f;
	double fraction = (double)(bits & 0x3ff), value;

	if (exponent == 0x1f)
		value = fraction != 0 ? (double)NAN : (double)INFINITY;
	else if (exponent == 0)
		value = ldexp(fraction, -24);
	else
		value = ldexp(fraction + 1024, exponent - 25);
	return copysign(value, bits & 0x8000 ? -1 : 1);
}

static double from_single(uint64_t bits)
{
	uint32_t word = (uint32_t)bits;
	float value;

	memcpy(&value, &word, sizeof(value));
	return value;
}

static double from_double(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static long double from_long_double(const struct segfs_dtype *dtype, const void *bytes)
{
	unsigned char native[sizeof(long double)];
	const unsigned char *in = bytes;
	long double value;

	for (size_t i = 0; i < sizeof(native); i++)
		native[i] = in[dtype->big_endian == SEGFS_DTYPE_NATIVE_BIG ? i : sizeof(native) - 1 - i];
	memcpy(&value, native, sizeof(value));
	return value;
}

long double segfs_element_float(const struct segfs_dtype *dtype, const void *bytes)
{
	if (dtype->kind == SEGFS_BFLOAT16)
		return from_single(segfs_element_uint(dtype, bytes) << 16);
	switch (dtype->itemsize) {
	case 2:
		return from_half(segfs_element_uint(dtype, bytes));
	case 4:
		return from_single(segfs_element_uint(dtype, bytes));
	case 8:
		return from_double(segfs_element_uint(dtype, bytes));
	default:
		return from_long_double(dtype, bytes);
	}
}

long double segfs_element_real(const struct segfs_dtype *dtype, const void *bytes)
{
	switch (dtype->kind) {
	case SEGFS_BOOL:
		return segfs_element_uint(dtype, bytes) != 0;
	case SEGFS_UINT:
		return (long double)segfs_element_uint(dtype, bytes);
	case SEGFS_INT:
		return (long double)segfs_element_int(dtype, bytes);
	default:
		return segfs_element_float(dtype, bytes);
	}
}

double segfs_element_double(const struct segfs_dtype *dtype, const void *bytes)
{
	return (double)segfs_element_real(dtype, bytes);
}

struct segfs_dtype segfs_element_part(const struct segfs_dtype *complex_dtype)
{
	struct segfs_dtype part = *complex_dtype;

	part.kind = SEGFS_FLOAT;
	part.itemsize /= 2;
	part.alignment = MIN(part.alignment, part.itemsize);
	return part;
}
