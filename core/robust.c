/* SPDX-License-Identifier: MIT */
#include "robust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <segfs/layout.h>

#include "atomics.h"
#include "barrier.h"
#include "futex.h"
#include "keeper.h"
#include "util.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

enum {
	/* So many areas have a keeper each. The kernel ends its walk at a word whose file has been cut, and
	 * the words behind it on the same list remain unmarked. */
	KEEPERS_OF_ONE = 8,
	/* How many threads are tried for one area before its member slots are taken to be full. */
	MAX_ATTEMPTS = 64,
};

/*
 * Of an area, an address range is reserved: the file at `base`; SEGFS_ROBUST_MAX behind it as many bytes of
 * private memory, where the node of a word lies at the word's offset; and a page for this, which the child of
 * a fork finds zeroed.
 */
struct membership {
	uint32_t owner; /* 0: not joined. Read without the keepers' mutex */
	struct segfs_keeper *keeper;
	struct segfs_chain chain;
};

struct segfs_robust {
	char *base;
	size_t size, pages; /* the latter in bytes */
	size_t reserved;
	bool writable;
	struct membership *membership;
	const struct segfs_words *members; /* one of the following, or NULL */
	size_t n_words;
	struct segfs_words words[];
};

static struct robust_list *node_at(const struct segfs_robust *area, size_t offset)
{
	return (struct robust_list *)(area->base + SEGFS_ROBUST_MAX + offset);
}

static uint32_t *word_at(const struct segfs_robust *area, size_t offset)
{
	return (uint32_t *)(area->base + offset);
}

/* The file may have been cut, and touching it would be SIGBUS. A kernel before 5.14 does not know. */
static bool is_there(const struct segfs_robust *area)
{
	return madvise(area->base, area->pages, MADV_POPULATE_READ) == 0 || errno == EINVAL;
}

/* ------------------------------------------------------------------------------------------------------------
 * Joining: a keeper for the area's words.
 */

static bool is_held(uint32_t word)
{
	return word != 0 && !(word & SEGFS_OWNER_DIED);
}

static size_t slot_of(const struct segfs_robust *area, uint32_t tid)
{
	return area->members->offset + tid % area->members->n * area->members->stride;
}

/* Takes the member slot of a thread id. False if somebody has it. */
static bool claim(struct segfs_robust *area, uint32_t tid)
{
	uint32_t *slot, seen;

	if (!area->members)
		return true;
	slot = word_at(area, slot_of(area, tid));
	seen = word_load_relaxed(slot);
	return !is_held(seen) && word_cas_seq_cst(slot, &seen, tid);
}

static void unclaim(struct segfs_robust *area, uint32_t tid)
{
	uint32_t seen = tid;

	if (area->members)
		word_cas_seq_cst(word_at(area, slot_of(area, tid)), &seen, 0);
}

/* The nodes of all words, and last that of the member slot: the kernel marks it when it has marked the words,
 * as from then on the thread id may be somebody else's here. */
static void build_chain(struct segfs_robust *area, uint32_t tid)
{
	struct segfs_chain *chain = &area->membership->chain;
	struct robust_list first = {}, *last = &first;

	*chain = (struct segfs_chain){};
	for (size_t i = 0; i < area->n_words; i++) {
		const struct segfs_words *words = &area->words[i];

		for (size_t k = 0; !words->members && k < words->n; k++, chain->n_words++)
			last = last->next = node_at(area, words->offset + k * words->stride);
	}
	if (area->members) {
		last = last->next = node_at(area, slot_of(area, tid));
		chain->n_words++;
	}
	chain->first = first.next;
	chain->last = last;
}

static size_t count_words(const struct segfs_robust *area)
{
	size_t n = area->members ? 1 : 0;

	for (size_t i = 0; i < area->n_words; i++)
		n += area->words[i].members ? 0 : area->words[i].n;
	return n;
}

/* A keeper that there is, with room and whose member slot has been taken for it; NULL if there is none. */
static struct segfs_keeper *find_keeper(struct segfs_robust *area, bool shared)
{
	struct segfs_keeper *keeper = NULL;
	size_t n = count_words(area);

	while ((keeper = segfs_keeper_next(keeper)))
		if ((keeper->n_words == 0 || shared) && keeper->n_words + n <= SEGFS_KEEPER_WORDS &&
		    claim(area, keeper->tid))
			return keeper;
	return NULL;
}

static int start_keeper(struct segfs_robust *area, struct segfs_keeper **ret_keeper)
{
	struct segfs_keeper *keeper;
	int r;

	for (int i = 0; i < MAX_ATTEMPTS; i++) {
		r = segfs_keeper_start(&keeper);
		if (r < 0)
			return r;
		if (claim(area, keeper->tid)) {
			*ret_keeper = keeper;
			return 0;
		}
	}
	return -EUSERS;
}

static int choose_keeper(struct segfs_robust *area, struct segfs_keeper **ret_keeper)
{
	struct segfs_keeper *keeper = find_keeper(area, segfs_keepers_count() >= KEEPERS_OF_ONE);
	int r;

	r = keeper ? 0 : start_keeper(area, &keeper);
	if (r < 0 && (keeper = find_keeper(area, true))) /* better shared than none */
		r = 0;
	if (r == 0)
		*ret_keeper = keeper;
	return r;
}

/* With the keepers' mutex. The order: slot, list, and only then may words be taken. */
static int join_locked(struct segfs_robust *area)
{
	struct membership *membership = area->membership;
	struct segfs_keeper *keeper;
	int r;

	if (membership->owner != 0)
		return 0;
	r = choose_keeper(area, &keeper);
	if (r < 0)
		return r;
	build_chain(area, keeper->tid);
	if (membership->chain.first)
		segfs_keeper_link(keeper, &membership->chain);
	membership->keeper = keeper;
	word_store_release(&membership->owner, keeper->tid);
	return 0;
}

static int join(struct segfs_robust *area)
{
	int r;

	r = segfs_keepers_lock();
	if (r < 0)
		return r;
	r = join_locked(area);
	segfs_keepers_unlock();
	return r;
}

/* ------------------------------------------------------------------------------------------------------------
 * Leaving: what the kernel does at the end of a process, done for one area.
 */

static void mark(uint32_t *word, uint32_t tid)
{
	uint32_t seen = word_load_relaxed(word);

	while ((seen & SEGFS_OWNER_TID) == tid)
		if (word_cas_seq_cst(word, &seen, (seen & SEGFS_WAITERS) | SEGFS_OWNER_DIED)) {
			if (seen & SEGFS_WAITERS)
				segfs_futex_wake(word, SEGFS_FUTEX_ALL);
			return;
		}
}

static void mark_all(struct segfs_robust *area, uint32_t tid)
{
	for (size_t i = 0; i < area->n_words; i++) {
		const struct segfs_words *words = &area->words[i];

		for (size_t k = 0; !words->members && k < words->n; k++)
			mark(word_at(area, words->offset + k * words->stride), tid);
	}
}

static void leave(struct segfs_robust *area)
{
	struct membership *membership = area->membership;
	uint32_t tid = membership->owner;
	bool there = is_there(area);

	if (there)
		mark_all(area, tid);
	if (membership->chain.first)
		segfs_keeper_unlink(membership->keeper, &membership->chain);
	if (there)
		unclaim(area, tid);
}

/* ------------------------------------------------------------------------------------------------------------
 * Mapping.
 */

static bool words_fit(const struct segfs_words *words, size_t size)
{
	size_t span;

	if (words->n == 0)
		return !words->members;
	if (words->offset % sizeof(struct robust_list) || words->stride % sizeof(struct robust_list) ||
	    words->stride == 0)
		return false;
	return !__builtin_mul_overflow(words->n - 1, words->stride, &span) &&
	       !__builtin_add_overflow(span, words->offset, &span) &&
	       !__builtin_add_overflow(span, sizeof(uint32_t), &span) && span <= size;
}

static int check(size_t size, const struct segfs_words *words, size_t n_words)
{
	size_t members = 0;

	if (size == 0 || size > SEGFS_ROBUST_MAX || n_words > SEGFS_KEEPER_WORDS)
		return -EINVAL;
	for (size_t i = 0; i < n_words; i++) {
		members += words[i].members;
		if (!words_fit(&words[i], size) || members > 1)
			return -EINVAL;
	}
	return 0;
}

static struct segfs_robust *new_area(size_t size, bool writable, const struct segfs_words *words,
				     size_t n_words)
{
	struct segfs_robust *area = calloc(1, sizeof(*area) + n_words * sizeof(*words));
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!area)
		return NULL;
	area->size = size;
	area->pages = (size + page - 1) / page * page;
	area->reserved = writable ? SEGFS_ROBUST_MAX + area->pages + page : area->pages;
	area->writable = writable;
	area->n_words = n_words;
	if (n_words > 0)
		memcpy(area->words, words, n_words * sizeof(*words));
	for (size_t i = 0; i < n_words; i++)
		if (words[i].members)
			area->members = &area->words[i];
	return area;
}

static int map_file(struct segfs_robust *area, int fd)
{
	int prot = area->writable ? PROT_READ | PROT_WRITE : PROT_READ;

	area->base =
		mmap(NULL, area->reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area->base == MAP_FAILED) {
		area->base = NULL;
		return -errno;
	}
	return mmap(area->base, area->size, prot, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ? -errno : 0;
}

static int map_nodes(struct segfs_robust *area)
{
	char *nodes = area->base + SEGFS_ROBUST_MAX;
	size_t len = area->reserved - SEGFS_ROBUST_MAX;

	if (mprotect(nodes, len, PROT_READ | PROT_WRITE) < 0 || madvise(nodes, len, MADV_WIPEONFORK) < 0)
		return -errno;
	area->membership = (struct membership *)(nodes + area->pages);
	return 0;
}

/* Nothing is to be undone but the memory: this has never joined, or has left. */
static void free_area(struct segfs_robust *area)
{
	if (area->base)
		munmap(area->base, area->reserved);
	free(area);
}

static int map_area(struct segfs_robust *area, int fd)
{
	int r;

	r = map_file(area, fd);
	if (r < 0 || !area->writable)
		return r;
	if (count_words(area) > SEGFS_KEEPER_WORDS)
		return -EINVAL;
	if (!is_there(area))
		return -EFAULT;
	r = map_nodes(area);
	return r < 0 ? r : join(area);
}

int segfs_robust_map(int fd, size_t size, bool writable, const struct segfs_words *words, size_t n_words,
		     struct segfs_robust **ret_area)
{
	struct segfs_robust *area;
	int r;

	r = check(size, words, n_words);
	if (r < 0)
		return r;
	area = new_area(size, writable, words, n_words);
	if (!area)
		return -ENOMEM;
	r = map_area(area, fd);
	if (r < 0) {
		free_area(area);
		return r;
	}
	*ret_area = area;
	return 0;
}

void *segfs_robust_data(const struct segfs_robust *area)
{
	return area->base;
}

int segfs_robust_owner(struct segfs_robust *area)
{
	uint32_t owner;
	int r;

	if (!area->writable)
		return 0;
	owner = word_load_acquire(&area->membership->owner);
	if (owner != 0)
		return (int)owner;
	r = join(area);
	return r < 0 ? r : (int)area->membership->owner;
}

struct segfs_robust *segfs_robust_unmap(struct segfs_robust *area)
{
	if (!area)
		return NULL;
	if (area->writable && segfs_keepers_lock() == 0) {
		if (area->membership->owner != 0)
			leave(area);
		segfs_keepers_unlock();
	}
	free_area(area);
	return NULL;
}

/*
 * While this has the slot of the thread id in question, nobody can become a member under that id, and the
 * word cannot be rightly anybody's. If another member has the slot, nothing can be said until it has gone.
 */
bool segfs_robust_heal(struct segfs_layout_member *members, uint32_t *word, uint32_t seen, uint32_t self)
{
	uint32_t tid = seen & SEGFS_OWNER_TID, *slot = &members[tid % SEGFS_MEMBERS].owner;
	uint32_t at = word_load_acquire(slot);

	if (is_held(at) && (at != self || at == tid))
		return false;
	if (at != self && !word_cas_seq_cst(slot, &at, self))
		return true;
	word_cas_seq_cst(word, &seen, (seen & SEGFS_WAITERS) | SEGFS_OWNER_DIED);
	if (self % SEGFS_MEMBERS != tid % SEGFS_MEMBERS) {
		at = self;
		word_cas_seq_cst(slot, &at, 0);
	}
	return true;
}

/*
 * A process that is killed has the signal pending in all its threads before its keeper ends: sending it and
 * taking it are done under the same lock in the kernel (sighand->siglock), and exit_group(2) and execve(2) do
 * likewise. But a thread on another processor runs on until the interrupt that tells it so arrives.
 * membarrier(2) interrupts the processors that run threads of registered processes, and waits until they have
 * been interrupted: on its way back to the program such a thread finds its signal, and ends. Where
 * membarrier(2) is not to be had, what remains is the interrupt's travelling time, less that in which the
 * kernel ends the keeper.
 */
void segfs_robust_settle(void)
{
	segfs_barrier_heavy();
}
