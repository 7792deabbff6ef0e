/* SPDX-License-Identifier: MIT */

/*
 * ring [ROUNDS]: what it costs to get a frame from one process to another, by a ring and by its peers.
 *
 * Latency: from before the frame is copied in until all of it has been looked at, one frame at a time, with
 * 100 us between. Throughput: as many frames as go. All peers in turn, each with two new processes, many
 * rounds; medians of each, and the medians of the ratios to the first, round by round: a machine's drift hits
 * all. Two free cores are needed, as both ends may spin. Prints a Markdown table.
 */
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring-peer.h"

enum { MAX_ROUNDS = 101, LATENCIES = 200 };

static const struct peer *const peers[] = {
	&peer_spin,    &peer_sleep, &peer_pipe,
#ifdef HAVE_CK
	&peer_ck,
#endif
#ifdef HAVE_ZMQ
	&peer_zmq,
#endif
#ifdef HAVE_ICEORYX
	&peer_iceoryx,
#endif
};

enum { N_PEERS = sizeof(peers) / sizeof(peers[0]) };

static const size_t sizes[] = {64, 1 << 10, 16 << 10, 256 << 10, 4 << 20};
static int rounds = 11;

/* What the two processes share. */
static struct {
	uint64_t received, end_ns;
	uint64_t latency_ns[LATENCIES];
} * shared;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void wait_for(uint64_t received)
{
	while (__atomic_load_n(&shared->received, __ATOMIC_ACQUIRE) < received)
		sched_yield();
}

static size_t frames_of(size_t size)
{
	size_t n = ((size_t)128 << 20) / size;

	return n > 50000 ? 50000 : n;
}

static void consume(const struct peer *peer, size_t size)
{
	size_t n = frames_of(size);

	peer->start(false, size);
	for (size_t i = 0; i < LATENCIES + n; i++) {
		uint64_t stamp = peer->receive(size);

		if (i < LATENCIES)
			shared->latency_ns[i] = now_ns() - stamp;
		if (i < LATENCIES || i == LATENCIES + n - 1) {
			shared->end_ns = now_ns();
			__atomic_store_n(&shared->received, i + 1, __ATOMIC_RELEASE);
		}
	}
	_exit(0);
}

/* The time that the frames took. */
static uint64_t produce(const struct peer *peer, size_t size)
{
	size_t n = frames_of(size);
	char *frame = calloc(1, size);
	uint64_t stamp;

	if (!frame)
		err(1, "memory");
	peer->start(true, size);
	for (size_t i = 0; i < LATENCIES; i++) {
		usleep(100);
		stamp = now_ns();
		memcpy(frame, &stamp, sizeof(stamp));
		peer->send(frame, size);
		wait_for(i + 1);
	}
	stamp = now_ns();
	for (size_t i = 0; i < n; i++)
		peer->send(frame, size);
	wait_for(LATENCIES + n);
	return shared->end_ns - stamp;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(const double *values, size_t n)
{
	double sorted[LATENCIES > MAX_ROUNDS ? LATENCIES : MAX_ROUNDS];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), compare);
	return sorted[n / 2];
}

static void measure(const struct peer *peer, size_t size, double *ret_latency_us, double *ret_mib_s)
{
	static uint64_t *took;
	double latencies[LATENCIES];
	pid_t producer, consumer;
	int status[2];

	if (!took)
		took = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared->received = 0;
	peer->make(size);
	consumer = fork();
	if (consumer == 0)
		consume(peer, size);
	producer = fork();
	if (producer == 0) {
		*took = produce(peer, size);
		_exit(0);
	}
	waitpid(producer, &status[0], 0);
	waitpid(consumer, &status[1], 0);
	peer->end();
	if (status[0] || status[1])
		errx(1, "%s failed", peer->name);
	for (int i = 0; i < LATENCIES; i++)
		latencies[i] = (double)shared->latency_ns[i] * 1e-3;
	*ret_latency_us = median(latencies, LATENCIES);
	*ret_mib_s = (double)(frames_of(size) * size) / 1048576 / ((double)*took * 1e-9);
}

static double values[2][N_PEERS][MAX_ROUNDS], ratios[N_PEERS][MAX_ROUNDS];

static void print_row(size_t size, const char *what, double (*of)[MAX_ROUNDS])
{
	printf("| %zu B, %s |", size, what);
	for (int p = 0; p < N_PEERS; p++) {
		for (int i = 0; i < rounds; i++)
			ratios[p][i] = of[p][i] / of[0][i];
		printf(" %.2f (%.2f) |", median(of[p], (size_t)rounds), median(ratios[p], (size_t)rounds));
	}
	putchar('\n');
	fflush(stdout);
}

static void measure_size(size_t size)
{
	for (int i = 0; i < rounds; i++)
		for (int k = 0; k < N_PEERS; k++) {
			int p = i % 2 ? N_PEERS - 1 - k : k;

			measure(peers[p], size, &values[0][p][i], &values[1][p][i]);
		}
	print_row(size, "latency, us", values[0]);
	print_row(size, "throughput, MiB/s", values[1]);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = atoi(argv[1]);
	if (argc > 2 || rounds < 1 || rounds > MAX_ROUNDS)
		errx(2, "usage: ring [ROUNDS], at most %d", MAX_ROUNDS);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	printf("| frames, in brackets the ratio to the first |");
	for (int p = 0; p < N_PEERS; p++)
		printf(" %s |", peers[p]->name);
	printf("\n|%s", " --- |");
	for (int p = 0; p < N_PEERS; p++)
		printf(" --- |");
	putchar('\n');
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		measure_size(sizes[i]);
	return 0;
}
