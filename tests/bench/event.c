/* SPDX-License-Identifier: MIT */

/*
 * event: how long it takes until another process has heard of an event and this one has heard of its answer,
 * beside two futexes used by hand.
 */
#include <err.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomics.h"
#include "event.h"
#include "rounds.h"

static struct shared {
	struct segfs_layout_event ping, pong;
	uint32_t bare_ping, apart[15], bare_pong, apart2[15];
} * shared;

static uint64_t sent, answered;
static uint32_t bare_sent;

static void answer_events(void)
{
	for (uint64_t seen = 0;;) {
		if (segfs_event_wait(&shared->ping, true, seen, -1, &seen) < 0)
			_exit(1);
		segfs_event_add(&shared->pong, 1);
	}
}

static double events(int times)
{
	double begin = now_ns();

	for (int i = 0; i < times; i++) {
		sent = segfs_event_add(&shared->ping, 1);
		while (answered < sent)
			if (segfs_event_wait(&shared->pong, true, answered, -1, &answered) < 0)
				errx(1, "wait");
	}
	return now_ns() - begin;
}

static void bare_add(uint32_t *word)
{
	word_add_seq_cst(word, 1);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void bare_wait(uint32_t *word, uint32_t seen)
{
	while (word_load_acquire(word) == seen)
		syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void answer_futexes(void)
{
	for (uint32_t seen = 0;; seen++) {
		bare_wait(&shared->bare_ping, seen);
		bare_add(&shared->bare_pong);
	}
}

static double futexes(int times)
{
	double begin = now_ns();

	for (int i = 0; i < times; i++) {
		bare_add(&shared->bare_ping);
		bare_wait(&shared->bare_pong, bare_sent++);
	}
	return now_ns() - begin;
}

static void start(void (*act)(void))
{
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		act();
	}
}

int main(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	start(answer_events);
	start(answer_futexes);
	describe("Event", "One process publishes and waits until another, which waited, has answered. C, "
			  "segfs/event.h beside two futexes used by hand.");
	alternate("there and back", "", (struct side[]){{"segfs", events}, {"futex", futexes}}, 2, 101, 2000);
	return 0;
}
