/* SPDX-License-Identifier: MIT */
#pragma once

/* Two ways to do the same, in turn, many rounds: medians of each, and the median of the ratios round by
 * round, as a machine's drift hits both. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_ROUNDS = 201 };

static inline double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double median(double *values, int n)
{
	qsort(values, (size_t)n, sizeof(*values), compare_doubles);
	return values[n / 2];
}

/* A line of a Markdown table: nanoseconds for one of `times`, ours and the other's, and ours / other. */
static inline void compare(const char *name, int rounds, double (*ours)(int times),
			   double (*other)(int times), int times)
{
	static double our_ns[MAX_ROUNDS], other_ns[MAX_ROUNDS], ratios[MAX_ROUNDS];

	ours(times);
	other(times);
	for (int i = 0; i < rounds; i++) {
		if (i % 2)
			our_ns[i] = ours(times) / times;
		other_ns[i] = other(times) / times;
		if (i % 2 == 0)
			our_ns[i] = ours(times) / times;
		ratios[i] = our_ns[i] / other_ns[i];
	}
	printf("| %s | %.1f ns | %.1f ns | %.2f |\n", name, median(our_ns, rounds), median(other_ns, rounds),
	       median(ratios, rounds));
	fflush(stdout);
}
