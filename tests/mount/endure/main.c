/* SPDX-License-Identifier: MIT */

/* endure MOUNT STORE CLIENTS: so many clients work in MOUNT until standard input ends. Prints how many calls
 * they made and how long the longest took; exit status 1 if any of them saw what must not be. */
#include "endure.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void note_call(struct shared *shared, uint64_t began_ns)
{
	uint64_t took_ns = now_ns() - began_ns, longest_ns = shared->longest_ns;

	shared->n_calls++;
	while (took_ns > longest_ns &&
	       !atomic_compare_exchange_weak(&shared->longest_ns, &longest_ns, took_ns))
		;
}

void fail(struct shared *shared, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	putc('\n', stderr);
	shared->failed = shared->stop = true;
	exit(EXIT_FAILURE);
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	return fd;
}

static void run_client(struct shared *shared, char **argv, unsigned number)
{
	struct client client = {
		.shared = shared,
		.dir = open_directory(argv[1]),
		.store = open_directory(argv[2]),
		.number = number,
		.random = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ now_ns(),
	};

	client.lock_fd = openat(client.dir, "lock", O_RDWR | O_CLOEXEC);
	client.counters = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, client.lock_fd, 0);
	if (client.lock_fd < 0 || client.counters == MAP_FAILED)
		fail(shared, "client %u: no lock", number);
	exit(client_run(&client));
}

static void make_lock(const char *mount)
{
	int dir = open_directory(mount), fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, 4096) < 0) {
		perror("lock");
		exit(EXIT_FAILURE);
	}
	close(fd);
	close(dir);
}

static bool counters_are_right(const struct shared *shared, const char *store)
{
	uint64_t counters[2] = {};
	int fd = openat(open_directory(store), "lock", O_RDONLY | O_CLOEXEC);

	if (read(fd, counters, sizeof(counters)) == sizeof(counters) && counters[0] == shared->n_flock &&
	    counters[1] == shared->n_fcntl)
		return true;
	fprintf(stderr, "a lock did not hold: %" PRIu64 " of %" PRIu64 ", %" PRIu64 " of %" PRIu64 "\n",
		counters[0], shared->n_flock, counters[1], shared->n_fcntl);
	return false;
}

int main(int argc, char **argv)
{
	struct shared *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned n = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN}; /* its end is the clients' */
	int status;

	if (n == 0 || shared == MAP_FAILED)
		return EXIT_FAILURE;
	make_lock(argv[1]);
	for (unsigned i = 0; i < n; i++)
		if (fork() == 0)
			run_client(shared, argv, i);
	puts("ready");
	fflush(stdout);
	while (!shared->failed && poll(&input, 1, 100) == 0)
		;
	shared->stop = true;
	while (wait(&status) > 0)
		if (status != 0)
			shared->failed = true;
	if (!counters_are_right(shared, argv[2]))
		shared->failed = true;
	printf("%" PRIu64 " calls, the longest %.1f ms\n", shared->n_calls, (double)shared->longest_ns / 1e6);
	return shared->failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
