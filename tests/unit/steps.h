/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A child that may be killed between any two instructions: it goes instruction by instruction, and before
 * each one what it shares with this process is looked at, as whoever came after it would find it.
 */
#include <check.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* How many steps it took. What is to be stepped through shall have been called before, once: to find a
 * function in a library for the first time takes thousands. */
static inline unsigned each_step(void (*act)(void *data), void (*look)(void *data), void *data)
{
	unsigned n = 0;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(1);
		raise(SIGSTOP);
		act(data);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	while (WIFSTOPPED(status)) {
		look(data);
		n++;
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	}
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return n;
}
