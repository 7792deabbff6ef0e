/* SPDX-License-Identifier: MIT */
#include "shield.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

/* Of a thread, which alone is interrupted by its own SIGBUS. */
static _Thread_local struct shield *volatile raised;

/* mmap(2) is not on the list of what a signal handler may call, but is a system call and nothing more. */
static bool replace(struct shield *shield)
{
	return mmap(shield->base, shield->size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

/* Returning with the default action in place makes the instruction fail once more, and that end the process.
 */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
	struct shield *shield = raised;
	uintptr_t at = (uintptr_t)info->si_addr, base = shield ? (uintptr_t)shield->base : 0;

	(void)context;
	if (shield && at >= base && at - base < shield->size && replace(shield))
		shield->broken = true;
	else
		signal(number, SIG_DFL);
}

void shield_init(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_NODEFER};

	sigaction(SIGBUS, &action, NULL);
}

void shield_raise(struct shield *shield)
{
	raised = shield;
}

void shield_lower(void)
{
	raised = NULL;
}
