/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the measurements in C share: several ways to do the same, in turn, many rounds, and lines for
 * tests/bench/report.py, which works out medians. Its head says what the lines are.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LEAST_ROUNDS = 3 };

struct side {
	const char *peer;
	/* Does it so many times, and returns the nanoseconds (or what is measured) of all. */
	double (*run)(int times);
};

static inline double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Set by `run --quick`: all is done, hardly anything is measured. */
static inline bool is_quick(void)
{
	return getenv("BENCH_QUICK") != NULL;
}

static inline int rounds_of(int full)
{
	return is_quick() ? 2 : full;
}

static inline int times_of(int full)
{
	return is_quick() ? (full + 99) / 100 : full;
}

static inline void describe(const char *title, const char *how)
{
	printf("title\t%s\nhow\t%s\n", title, how);
}

static inline void emit(const char *work, const char *peer, const char *parameter, double value,
			const char *unit)
{
	printf("round\t%s\t%s\t%s\t%.6g\t%s\n", work, peer, parameter, value, unit);
	fflush(stdout);
}

/* Whether there is to be another round, the first being 0: as many as were asked for, but of those beyond the
 * least only what begins before `end_ns`, or a slow machine would take for ever. */
static inline bool goes_on(int round, int rounds, double end_ns)
{
	return round <= rounds && (round <= LEAST_ROUNDS || now_ns() < end_ns);
}

static inline double in_seconds(double seconds)
{
	return now_ns() + seconds * 1e9;
}

/* All sides in turn, the order reversed every other round, so that neither a machine's drift nor a place in
 * the order favours one. The first round, which is not printed, warms them up. */
static inline void take_turns(const char *work, const char *parameter, const struct side *sides, int n,
			      int round, int times)
{
	for (int k = 0; k < n; k++) {
		const struct side *side = &sides[round % 2 ? k : n - 1 - k];
		double ns = side->run(times) / times;

		if (round > 0)
			emit(work, side->peer, parameter, ns, "ns");
	}
}

static inline void alternate(const char *work, const char *parameter, const struct side *sides, int n,
			     int rounds, int times)
{
	double end_ns = in_seconds(8);

	times = times_of(times);
	rounds = rounds_of(rounds);
	for (int i = 0; goes_on(i, rounds, end_ns); i++)
		take_turns(work, parameter, sides, n, i, times);
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
