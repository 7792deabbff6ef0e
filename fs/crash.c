/* SPDX-License-Identifier: MIT */
#include "crash.h"

#include <signal.h>
#include <stddef.h>

#include "journal.h"
#include "util.h"

/* Those that a thread brings upon itself. (SIGBUS it may survive: shield.h.) */
static const int signals[] = {SIGSEGV, SIGILL, SIGFPE, SIGABRT};
static struct sigaction former[COUNT_OF(signals)];

/* The former way to end comes next: a sanitizer's report, or the default. */
static void on_crash(int number)
{
	journal_note_crash();
	for (size_t i = 0; i < COUNT_OF(signals); i++)
		if (signals[i] == number)
			sigaction(number, &former[i], NULL);
	raise(number);
}

void crash_install(void)
{
	struct sigaction action = {.sa_handler = on_crash};

	for (size_t i = 0; i < COUNT_OF(signals); i++)
		sigaction(signals[i], &action, &former[i]);
}
