/* SPDX-License-Identifier: MIT */
#include "guest.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "target.h"

static pid_t guest; /* 0: none */
static bool lives;

/* Without descriptors: it would have open what the reaper looks at, and the pipe's end. */
static _Noreturn void be_guest(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close_range(0, ~0u, 0);
	for (;;)
		pause();
}

static void start(void)
{
	int ends[2];
	char none;

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	guest = fork();
	MUST(guest >= 0);
	if (guest == 0)
		be_guest();
	lives = true;
	close(ends[1]);
	while (read(ends[0], &none, 1) < 0) /* until it has closed the other */
		MUST(errno == EINTR);
	close(ends[0]);
}

/* One that lives is good for the next input, too. */
void guest_begin(void)
{
	if (!lives)
		guest = 0;
}

pid_t guest_pid(void)
{
	if (guest == 0)
		start();
	return guest;
}

void guest_kill(void)
{
	if (!lives)
		return;
	kill(guest, SIGKILL);
	waitpid(guest, NULL, 0);
	lives = false;
}
