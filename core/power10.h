/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Powers of ten to 128 bits, for the conversion of binary numbers to decimal ones.
 *
 * They are computed once, when the first is asked for: that takes a tenth of a millisecond, and spares a
 * table of six hundred lines that nobody would read. Any thread.
 */

/* What doubles need. */
#define SEGFS_POWER10_MIN (-292)
#define SEGFS_POWER10_MAX 324

/*
 * The leading 128 bits of 10^exponent, rounded up: 2^127 <= bits < 2^128, and the power is at most
 * bits * 2^(floor(log2(10^exponent)) - 127), less than 1 in the last place below that.
 */
unsigned __int128 segfs_power10_get(int exponent);
