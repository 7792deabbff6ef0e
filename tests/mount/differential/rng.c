/* splitmix64: tiny, and equal everywhere, which libc's random() is not. */
#include "step.h"

static uint64_t state;

void rng_seed(uint64_t seed)
{
	state = seed;
}

uint64_t rng_next(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t rng_below(uint64_t n)
{
	return rng_next() % n;
}

bool rng_chance(int percent)
{
	return rng_below(100) < (uint64_t)percent;
}
