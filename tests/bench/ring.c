/* SPDX-License-Identifier: MIT */

/*
 * ring: what it costs to get a frame from one process to another, by a ring and by its peers.
 *
 * Latency: from before the frame is copied in until all of it has been looked at, one frame at a time, with
 * 100 us between. Throughput: as many frames as go. All peers in turn, each with two new processes. Two free
 * cores are needed, as both ends may spin.
 */
#include <err.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring-peer.h"
#include "rounds.h"

enum { LATENCIES = 200 };

static const struct peer *const peers[] = {
	&peer_spin,    &peer_sleep, &peer_pipe,
#ifdef HAVE_CK
	&peer_ck,
#endif
#ifdef HAVE_ZMQ
	&peer_zmq,
#endif
#ifdef HAVE_BOOST
	&peer_boost,
#endif
#ifdef HAVE_ICEORYX
	&peer_iceoryx,
#endif
};

enum { N_PEERS = sizeof(peers) / sizeof(peers[0]) };

static const size_t sizes[] = {64, 1 << 10, 16 << 10, 256 << 10, 4 << 20};

/* What the two processes share. */
static struct {
	uint64_t received, end_ns, took_ns;
	uint64_t latency_ns[LATENCIES];
} * shared;

static void wait_for(uint64_t received)
{
	while (__atomic_load_n(&shared->received, __ATOMIC_ACQUIRE) < received)
		sched_yield();
}

/* Frames whose latency is taken, before those that go as they can. */
static size_t latencies(void)
{
	return is_quick() ? 10 : LATENCIES;
}

static size_t frames_of(size_t size)
{
	size_t n = ((size_t)128 << 20) / size;

	return (size_t)times_of(n > 50000 ? 50000 : (int)n);
}

static void consume(const struct peer *peer, size_t size)
{
	size_t n = frames_of(size);

	peer->start(false, size);
	for (size_t i = 0; i < latencies() + n; i++) {
		uint64_t stamp = peer->receive(size);

		if (i < latencies())
			shared->latency_ns[i] = (uint64_t)now_ns() - stamp;
		if (i < latencies() || i == latencies() + n - 1) {
			shared->end_ns = (uint64_t)now_ns();
			__atomic_store_n(&shared->received, i + 1, __ATOMIC_RELEASE);
		}
	}
}

static void produce(const struct peer *peer, size_t size)
{
	size_t n = frames_of(size);
	char *frame = calloc(1, size);
	uint64_t stamp;

	if (!frame)
		err(1, "memory");
	peer->start(true, size);
	for (size_t i = 0; i < latencies(); i++) {
		usleep(100);
		stamp = (uint64_t)now_ns();
		memcpy(frame, &stamp, sizeof(stamp));
		peer->send(frame, size);
		wait_for(i + 1);
	}
	stamp = (uint64_t)now_ns();
	for (size_t i = 0; i < n; i++)
		peer->send(frame, size);
	wait_for(latencies() + n);
	shared->took_ns = shared->end_ns - stamp;
}

static pid_t start(void (*run)(const struct peer *, size_t), const struct peer *peer, size_t size)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(peer, size);
		_exit(0);
	}
	return pid;
}

static void measure(const struct peer *peer, size_t size, double *ret_latency_us, double *ret_mib_s)
{
	double us[LATENCIES];
	int status[2];

	shared->received = 0;
	peer->make(size);
	pid_t consumer = start(consume, peer, size), producer = start(produce, peer, size);
	waitpid(producer, &status[0], 0);
	if (status[0])
		kill(consumer, SIGKILL);
	waitpid(consumer, &status[1], 0);
	peer->end();
	if (status[0] || status[1])
		errx(1, "%s failed", peer->name);
	for (size_t i = 0; i < latencies(); i++)
		us[i] = (double)shared->latency_ns[i] * 1e-3;
	*ret_latency_us = median(us, (int)latencies());
	*ret_mib_s = (double)(frames_of(size) * size) / 1048576 / ((double)shared->took_ns * 1e-9);
}

/* iceoryx's library waits for its daemon for ever. */
static bool is_here(const struct peer *peer)
{
	return strcmp(peer->name, "iceoryx") || getenv("BENCH_ICEORYX");
}

static void measure_size(size_t size)
{
	double latency_us, mib_s;
	char parameter[32];
	int rounds = rounds_of(11);
	double end_ns = in_seconds(15);

	snprintf(parameter, sizeof(parameter), "%zu", size);
	for (int i = 1; goes_on(i, rounds, end_ns); i++)
		for (int k = 0; k < N_PEERS; k++) {
			const struct peer *peer = peers[i % 2 ? N_PEERS - 1 - k : k];

			if (!is_here(peer))
				continue;
			measure(peer, size, &latency_us, &mib_s);
			emit("latency of a frame", peer->name, parameter, latency_us * 1e3, "ns");
			emit("throughput", peer->name, parameter, mib_s, "MiB/s");
		}
}

static void say_who_is_missing(void)
{
#ifndef HAVE_CK
	puts("skipped\tck_ring\tno libck-dev when it was built");
#endif
#ifndef HAVE_ZMQ
	puts("skipped\tZeroMQ ipc\tno libzmq3-dev when it was built");
#endif
#ifndef HAVE_BOOST
	puts("skipped\tBoost message_queue\tno libboost-dev when it was built");
#endif
#ifndef HAVE_ICEORYX
	puts("skipped\ticeoryx\tno libiceoryx-binding-c-dev when it was built");
#else
	if (!getenv("BENCH_ICEORYX"))
		puts("skipped\ticeoryx\tits daemon, iox-roudi, does not run");
#endif
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	describe(
		"Frames from process to process, C",
		"One copy in, then each cache line is looked at, in place where the peer can. About 1 MiB is under "
		"way at most. Latency: one frame at a time, until all of it was looked at. ck_ring and iceoryx "
		"spin at both ends, ZeroMQ, Boost's message_queue and the pipe sleep, the ring does either.");
	puts("axis\tframe\tbytes");
	say_who_is_missing();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i += is_quick() ? 2 : 1)
		measure_size(sizes[i]);
	return 0;
}
