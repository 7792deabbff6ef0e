/* SPDX-License-Identifier: MIT */
#include "power10.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>

/* Powers of five differ from those of ten in the exponent alone, which leading_bits() leaves out. */
#define WORDS 14 /* 5^324 takes 12; 2^832 / 5^292 has 154 bits left of 833 */

struct big {
	uint64_t words[WORDS]; /* the least significant first */
};

static unsigned __int128 powers[SEGFS_POWER10_MAX - SEGFS_POWER10_MIN + 1];

static void multiply_by_5(struct big *big)
{
	unsigned __int128 carry = 0;

	for (int i = 0; i < WORDS; i++) {
		carry += (unsigned __int128)big->words[i] * 5;
		big->words[i] = (uint64_t)carry;
		carry >>= 64;
	}
}

/* Rounded down; so is what comes of dividing again and again, as floor(floor(x / 5) / 5) is floor(x / 25). */
static void divide_by_5(struct big *big)
{
	unsigned __int128 rest = 0;

	for (int i = WORDS - 1; i >= 0; i--) {
		rest = rest << 64 | big->words[i];
		big->words[i] = (uint64_t)(rest / 5);
		rest %= 5;
	}
}

/*
 * What has more than 128 bits is never exact: a power of five is odd, and a fraction of five periodic. It has
 * more if it takes three words.
 */
static unsigned __int128 leading_bits(const struct big *big)
{
	unsigned __int128 bits;
	int top = WORDS - 1, shift;

	while (big->words[top] == 0)
		top--;
	shift = __builtin_clzll(big->words[top]);
	bits = (unsigned __int128)big->words[top] << 64 | (top > 0 ? big->words[top - 1] : 0);
	bits <<= shift;
	if (top < 2)
		return bits;
	if (shift > 0)
		bits |= big->words[top - 2] >> (64 - shift);
	return bits + 1;
}

static void compute(void)
{
	struct big power = {.words = {1}}, fraction = {.words = {[WORDS - 1] = 1}};

	for (int i = 0; i <= SEGFS_POWER10_MAX; i++) {
		powers[i - SEGFS_POWER10_MIN] = leading_bits(&power);
		multiply_by_5(&power);
	}
	for (int i = -1; i >= SEGFS_POWER10_MIN; i--) {
		divide_by_5(&fraction);
		powers[i - SEGFS_POWER10_MIN] = leading_bits(&fraction);
	}
}

unsigned __int128 segfs_power10_get(int exponent)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	assert(exponent >= SEGFS_POWER10_MIN && exponent <= SEGFS_POWER10_MAX);
	pthread_once(&once, compute);
	return powers[exponent - SEGFS_POWER10_MIN];
}
