/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The shortest decimal number that reads back as a given binary one; of the shortest the nearest.
 *
 * This is Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles", 2020), in the form that
 * Alexander Bolz gave it: one look at a power of ten and three multiplications. What this module does not
 * do: it writes no text.
 */
#include <stdbool.h>
#include <stdint.h>

/* significand * 2^exponent, as its bits say; a finite number above zero. */
struct segfs_binary {
	uint64_t significand; /* below 2^53 */
	int exponent;	      /* -1074 to 971 */
	bool near_below;      /* a power of two: the next number below is only half as far as that above */

	/*
	 * Bits that whoever reads the decimal may have beyond those of this type, 53 together at most. A
	 * float is often read as a double and rounded again: both ways must then end at the same number, so
	 * that a decimal as near to the half between two floats as a double's last place is no answer. 0: no
	 * more bits than the type's own.
	 */
	unsigned spare_bits;
};

struct segfs_decimal {
	uint64_t digits; /* above zero, does not end in a zero */
	int exponent;	 /* digits * 10^exponent */
};

struct segfs_decimal segfs_shortest_find(const struct segfs_binary *binary);
