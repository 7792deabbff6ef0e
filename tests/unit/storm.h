/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Processes that are killed at any instruction, again and again, while a test looks on. How often is a second
 * or two's worth, or SEGFS_STORM times that.
 */
#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static inline int storm_length(int kills)
{
	const char *factor = getenv("SEGFS_STORM");

	return factor ? kills * atoi(factor) : kills;
}

/* Memory that children share with the test, zeroed. */
static inline void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

static inline void sleep_us(long us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

/* A child that runs `act`, which had better not return; it dies with the test. */
static inline pid_t spawn(void (*act)(void *arg), void *arg)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		act(arg);
		_exit(0);
	}
	return pid;
}

/* Its exit status, as wait(2) gives it. */
static inline int reap(pid_t pid)
{
	int status;

	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static inline void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	ck_assert_int_eq(reap(pid), SIGKILL);
}

/* Waits until a word that a child writes has this value, without trusting that to be soon. */
static inline void wait_for_word(const uint32_t *word, uint32_t value)
{
	for (int i = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; i++) {
		ck_assert_int_lt(i, 600000);
		sleep_us(100);
	}
}
