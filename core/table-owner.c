/* SPDX-License-Identifier: MIT */
#include "table-internal.h"

/* The longest of the pauses between two looks before going to sleep, which costs more than all of them. Each
 * is twice the one before: who looks often takes the cache line from the one who is to finish. */
#define PAUSES 64

/* 0 or 1 as segfs_table_take(), or -EBUSY. With `flags` it is marked as soon as it is taken. */
static int try_take(uint32_t *word, uint32_t me, uint32_t flags)
{
	uint32_t seen = word_load_relaxed(word);

	while ((seen & SEGFS_OWNER_TID) == 0) {
		if (word_cas_seq_cst(word, &seen, me | (seen & SEGFS_WAITERS) | flags))
			return (seen & SEGFS_OWNER_DIED) != 0;
	}
	return -EBUSY;
}

static int spin(uint32_t *word, uint32_t me)
{
	int r = try_take(word, me, 0);

	for (unsigned n = 1; r == -EBUSY && n <= PAUSES; n *= 2) {
		for (unsigned i = 0; i < n; i++)
			cpu_pause();
		r = try_take(word, me, 0);
	}
	return r;
}

/* Sleep until the word may be free. */
static int nap(uint32_t *word, int64_t deadline)
{
	uint32_t seen = word_load_relaxed(word);

	if ((seen & SEGFS_OWNER_TID) == 0)
		return 0;
	if (!(seen & SEGFS_WAITERS) && !word_cas_seq_cst(word, &seen, seen | SEGFS_WAITERS))
		return 0;
	return segfs_futex_wait(word, seen | SEGFS_WAITERS, deadline, SEGFS_NAP_NS);
}

/* Whoever has slept takes the word with SEGFS_WAITERS: it cannot know whether it was the only one. */
static int sleep_and_take(uint32_t *word, uint32_t me, int64_t deadline)
{
	int r;

	do {
		r = nap(word, deadline);
		if (r < 0)
			return r;
		r = try_take(word, me, SEGFS_WAITERS);
	} while (r == -EBUSY);
	return r;
}

int segfs_table_take(uint32_t *word, uint32_t me, int64_t timeout_ns)
{
	int r = timeout_ns == 0 ? try_take(word, me, 0) : spin(word, me);

	if (r == -EBUSY)
		r = sleep_and_take(word, me, segfs_futex_deadline(timeout_ns));
	if (r > 0)
		segfs_robust_settle();
	return r;
}

/* Only if it is still one's own: a thread that was killed may come here just after its word was marked. */
void segfs_table_let_go(uint32_t *word, uint32_t me)
{
	uint32_t seen = word_load_relaxed(word);

	while ((seen & SEGFS_OWNER_TID) == me) {
		if (!word_cas_seq_cst(word, &seen, 0))
			continue;
		if (seen & SEGFS_WAITERS)
			segfs_futex_wake(word, 1);
		return;
	}
}
