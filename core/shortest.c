/* SPDX-License-Identifier: MIT */
#include "shortest.h"

#include "power10.h"

/* floor(log10(2^e)), or of 3/4 of that; floor(log2(10^e)): for all exponents that a double leads to. */
static int log10_of_power2(int e, bool three_quarters)
{
	return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

static int log2_of_power10(int e)
{
	return (e * 1741647) >> 19;
}

/*
 * power * factor / 2^128, rounded to odd: the last bit is set if anything was cut off. So a comparison with
 * an even number comes out as with the exact product. The power is up to 1 too large in its last place, which
 * the product below the point cannot tell from nothing: it counts from 2 on.
 */
static uint64_t multiply(unsigned __int128 power, uint64_t factor)
{
	unsigned __int128 low = (unsigned __int128)(uint64_t)power * factor;
	unsigned __int128 high = (unsigned __int128)(uint64_t)(power >> 64) * factor + (low >> 64);

	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The numbers around a binary one, in units of 10^k / 2^point. */
struct range {
	uint64_t lowest, value, highest; /* what is in lowest..highest is read as the value */
	unsigned point;
	int k;
};

/* One unit of 10^k is no larger than the range, ten are. */
static struct range find_range(const struct segfs_binary *binary)
{
	unsigned point = binary->spare_bits + 2;
	int k = log10_of_power2(binary->exponent, binary->near_below);
	int shift = binary->exponent + log2_of_power10(-k) + 1;
	unsigned __int128 power = segfs_power10_get(-k);
	uint64_t value = binary->significand << point, half = UINT64_C(2) << binary->spare_bits;
	uint64_t margin = binary->spare_bits > 0 ? 4 : 0; /* one place of the wider type */
	bool is_odd = binary->significand & 1; /* half way between two numbers, the even one is read */

	return (struct range){
		.lowest =
			multiply(power, (value - (binary->near_below ? half / 2 : half) + margin) << shift) +
			is_odd,
		.value = multiply(power, value << shift),
		.highest = multiply(power, (value + half - margin) << shift) - is_odd,
		.point = point,
		.k = k,
	};
}

static bool contains(const struct range *range, uint64_t digits)
{
	return range->lowest <= digits << range->point && digits << range->point <= range->highest;
}

static bool is_nearer_to_next(const struct range *range, uint64_t digits)
{
	uint64_t half = (digits << range->point) + (UINT64_C(1) << (range->point - 1));

	return range->value > half || (range->value == half && (digits & 1) != 0);
}

/* At most one number with a digit less than needed lies in the range: above the value or below. */
static struct segfs_decimal find_in(const struct range *range)
{
	uint64_t digits = range->value >> range->point, tens = digits / 10 * 10;
	bool below, above;

	if (tens > 0) {
		below = contains(range, tens);
		above = contains(range, tens + 10);
		if (below != above)
			return (struct segfs_decimal){below ? tens : tens + 10, range->k};
	}
	below = contains(range, digits);
	above = contains(range, digits + 1);
	if (below == above)
		below = !is_nearer_to_next(range, digits);
	return (struct segfs_decimal){below ? digits : digits + 1, range->k};
}

/* A whole number below 2^53 is its own shortest: no other that is read as it is whole. */
static bool is_small_integer(const struct segfs_binary *binary)
{
	return binary->exponent <= 0 && binary->exponent > -53 &&
	       (binary->significand & ((UINT64_C(1) << -binary->exponent) - 1)) == 0;
}

struct segfs_decimal segfs_shortest_find(const struct segfs_binary *binary)
{
	struct segfs_decimal found;

	if (is_small_integer(binary)) {
		found = (struct segfs_decimal){binary->significand >> -binary->exponent, 0};
	} else {
		struct range range = find_range(binary);

		found = find_in(&range);
	}
	for (; found.digits % 10 == 0; found.exponent++)
		found.digits /= 10;
	return found;
}
