/* SPDX-License-Identifier: MIT */

/*
 * lock [MUTANT | all]: every interleaving of two writers and two readers at the lock of a control page, step
 *by step as core/lock.c takes them, with processes killed at any step.
 *
 * A killed process is more than gone: the kernel marks its words one by one, and until something stops it,
 *its thread still takes steps, for as long as it likes; segfs_robust_settle() stops it. Sleepers wake for
 * whatever reason the model gives: FUTEX_WAKE of one wakes any one.
 *
 * What is found in all reachable states:
 *	exclusion	a writer that is in is in alone
 *	telling		after a writer died within, who comes in is told, until a writer has come in
 *	progress	all who live can still come to an end, if nobody else dies: no lock is lost
 * And, without naps and deaths:
 *	waking		nobody sleeps for ever
 *
 * A MUTANT is the lock with one thing left out; then finding nothing is the failure. Exit status 0 or 1.
 */
#include <err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { N_WRITERS = 3, N = 5, SLOTS = 2, MAX_STATES = 1 << 26 };

static const struct {
	const char *name, *what;
} mutants[] = {
	{"", "the lock as it is"},
	{"clear-blindly", "a hint is cleared without a second look at the slot"},
	{"hint-once", "a reader does not look for its hint again when it has its slot"},
	{"trust-the-dead", "the hint a dead holder left is believed"},
	{"settle-late", "the dead are given time to stop only after their hint has been mended"},
	{"exchange", "unlocking exchanges the owner word, whoever holds it"},
	{"forget", "a writer that gives up does not put back that a holder died"},
	{"no-heal", "a word of somebody who is no member stays as it is"},
	{"owner-first", "a reader looks at the owner before it sets its slot, and not behind"},
	{"wake-one", "unlocking wakes one sleeper, though readers sleep as well"},
	{"forget-waiters", "who has slept takes the lock without saying that others may sleep"},
};

enum mutant {
	NONE,
	CLEAR_BLINDLY,
	HINT_ONCE,
	TRUST_THE_DEAD,
	SETTLE_LATE,
	EXCHANGE,
	FORGET,
	NO_HEAL,
	OWNER_FIRST,
	WAKE_ONE,
	FORGET_WAITERS,
	N_MUTANTS,
};
static enum mutant mutant;

#define BIT(at) (UINT64_C(1) << (at))

/* An owner word: a process (0: nobody, 1..N), and the two bits. */
enum { TID = 7, DIED = 8, WAITERS = 16 };

/* Where a process is. The comments are the steps of core/lock.c. */
enum at {
	/* take_owner() */
	W_LOAD,
	W_CAS,
	W_SET_WAITERS,
	W_SLEEP,
	W_ASLEEP,
	/* hint_of_the_dead() */
	W_SETTLE,
	W_OR_HINT,
	W_LOAD_HINT,
	/* drain() */
	W_LOAD_SLOT,
	W_CLEAR_SLOT,
	W_CLEAR_HINT,
	W_LOOK_AGAIN,
	W_SET_HINT,
	W_SET_SLOT_WAITERS,
	W_SLEEP_ON_SLOT,
	W_ASLEEP_ON_SLOT,
	W_IN,
	/* drop_owner() */
	W_CLEAR_CROWD,
	W_DROP,
	W_LOAD_CROWD,
	W_WAKE,
	/* segfs_lock_join() */
	R_LOAD,
	R_SET_CROWD,
	R_SET_WAITERS,
	R_SLEEP,
	R_ASLEEP,
	R_LOAD_SLOT,
	R_SEE_HINT,
	R_SET_HINT,
	R_CAS_SLOT,
	R_SEE_HINT_AGAIN,
	R_SET_HINT_AGAIN,
	R_LOOK_AT_OWNER,
	R_GIVE_UP,
	R_WAKE_OTHERS,
	R_SETTLE,
	R_IN,
	/* segfs_lock_part() */
	R_PART,
	DONE,
};

struct process {
	uint8_t at;
	uint8_t seen : 5;    /* the owner word or slot it has read last */
	uint8_t died : 1;    /* it has taken the owner word from the dead */
	uint8_t waiters : 1; /* it has slept */
	uint8_t crowd : 1;
	uint8_t hint : SLOTS; /* writer: slots still to drain */
	uint8_t slot : 1;     /* reader: which */
	uint8_t within : 1;   /* writer: from W_IN until it has dropped */
	uint8_t giving_up : 1;
	uint8_t killed : 2; /* 0, or how far the kernel is: 1, its words are marked; 2, its member slot too */
	uint8_t stopped : 1;
};

struct state {
	uint8_t owner, slots[SLOTS];
	uint8_t hint : SLOTS;
	uint8_t crowd : 1;
	uint8_t dirty : 1; /* a writer died within, and none has come in since */
	uint8_t kills : 2;
	struct process p[N];
};

static int max_kills;
static bool naps, giving_up;
static bool untold; /* somebody came in who should have been told and was not */

static bool is_free(uint8_t word)
{
	return (word & TID) == 0 || word & DIED;
}

static bool is_member(const struct state *s, uint8_t tid)
{
	return s->p[tid - 1].killed < 2;
}

/* ------------------------------------------------------------------------------------------------------------
 * The states found so far, and those that a step leads to.
 */
static struct state *states;
static uint32_t *table, *parents, table_size = 1 << 23;
static uint32_t n_states, parent; /* the latter: the state whose successors are being found */

/* What a process will not look at any more is no difference between two states. */
static void forget(struct process *p)
{
	static const uint64_t uses_seen = BIT(W_CAS) | BIT(W_SET_WAITERS) | BIT(W_SLEEP) | BIT(W_CLEAR_SLOT) |
					  BIT(W_SET_SLOT_WAITERS) | BIT(W_SLEEP_ON_SLOT) | BIT(R_SET_CROWD) |
					  BIT(R_SET_WAITERS) | BIT(R_SLEEP) | BIT(R_SEE_HINT) |
					  BIT(R_SET_HINT) | BIT(R_CAS_SLOT) | BIT(R_WAKE_OTHERS);

	if (p->stopped)
		p->at = DONE;
	if (!(uses_seen & BIT(p->at)))
		p->seen = 0;
	if (p->at > W_ASLEEP)
		p->waiters = 0;
	if (p->at > W_IN && !p->giving_up)
		p->died = 0;
	if (p->at < W_LOAD_SLOT || p->at > W_ASLEEP_ON_SLOT)
		p->hint = 0;
	if (p->at <= W_CLEAR_CROWD || p->at > W_WAKE)
		p->crowd = 0;
	if (p->at > W_DROP)
		p->giving_up = p->died = 0;
	if (p->at < R_LOAD_SLOT || p->at == DONE)
		p->slot = 0;
	if (p->at == DONE)
		p->within &= p->stopped; /* heal() asks */
}

static uint8_t rename_in(uint8_t word, int i)
{
	uint8_t tid = word & TID;

	return (word & (DIED | WAITERS)) | (tid == i + 1 ? i + 2 : tid == i + 2 ? i + 1 : tid);
}

/* Of two processes that do the same, it does not matter which is which: i and i + 1 in one order. */
static void sort(struct state *s, int i)
{
	struct process first = s->p[i];

	if (memcmp(&s->p[i], &s->p[i + 1], sizeof(first)) <= 0)
		return;
	s->p[i] = s->p[i + 1];
	s->p[i + 1] = first;
	s->owner = rename_in(s->owner, i);
	for (int k = 0; k < SLOTS; k++)
		s->slots[k] = rename_in(s->slots[k], i);
	for (int k = 0; k < N; k++)
		s->p[k].seen = rename_in(s->p[k].seen, i) & 31;
}

static void simplify(struct state *s)
{
	for (int i = 0; i < N; i++)
		forget(&s->p[i]);
	sort(s, 0);
	sort(s, 1);
	sort(s, 0);
	sort(s, N_WRITERS);
}

static void add(const struct state *s)
{
	const unsigned char *bytes = (const unsigned char *)s;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(*s); i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	hash ^= hash >> 29;
	for (uint32_t at = (uint32_t)hash % table_size;; at = (at + 1) % table_size) {
		if (table[at] == 0) {
			if (n_states == MAX_STATES - 1 || n_states == table_size / 2) {
				puts("too many states");
				exit(2);
			}
			states[++n_states] = *s;
			parents[n_states] = parent;
			table[at] = n_states;
			return;
		}
		if (!memcmp(&states[table[at]], s, sizeof(*s)))
			return;
	}
}

/* Where the successors of a state go: into the table, or just the first one kept. */
struct out {
	bool keep_first;
	int n;
	struct state first;
};

static void emit(struct out *out, const struct state *s)
{
	struct state simple = *s;

	if (!out->keep_first) {
		simplify(&simple);
		add(&simple);
	} else if (out->n == 0) {
		out->first = *s;
	}
	out->n++;
}

/* ------------------------------------------------------------------------------------------------------------
 * The kernel.
 */

/* Wakes process i, if it sleeps on `word` (the owner word, or a slot). */
static bool wake_one(struct state *s, int i, const uint8_t *word)
{
	struct process *p = &s->p[i];

	if ((p->at == W_ASLEEP || p->at == R_ASLEEP) && word == &s->owner)
		p->at = p->at == W_ASLEEP ? W_LOAD : R_LOAD;
	else if (p->at == W_ASLEEP_ON_SLOT && word == &s->slots[__builtin_ctz(p->hint)])
		p->at = W_LOAD_SLOT;
	else
		return false;
	return true;
}

static void wake_all(struct state *s, const uint8_t *word)
{
	for (int i = 0; i < N; i++)
		wake_one(s, i, word);
}

/* All that can come of waking any one. */
static void emit_woken(struct out *out, const struct state *s, const uint8_t *word)
{
	size_t offset = (size_t)((const char *)word - (const char *)s);
	bool any = false;

	for (int i = 0; i < N; i++) {
		struct state woken = *s;

		if (wake_one(&woken, i, (uint8_t *)&woken + offset)) {
			emit(out, &woken);
			any = true;
		}
	}
	if (!any)
		emit(out, s);
}

/* The kernel marks the words: of a writer that is the owner word, of a reader its slot. */
static void emit_killed(struct out *out, const struct state *before, int i)
{
	struct state s = *before;
	uint8_t *word = i < N_WRITERS ? &s.owner : &s.slots[s.p[i].slot], was = *word;

	s.kills++;
	s.p[i].killed = 1;
	if ((was & TID) != i + 1) {
		emit(out, &s);
		return;
	}
	if (s.p[i].within)
		s.dirty = 1;
	*word = (was & WAITERS) | DIED;
	if (was & WAITERS)
		emit_woken(out, &s, word);
	else
		emit(out, &s);
}

static void kernel_steps(struct out *out, const struct state *s, int i)
{
	const struct process *p = &s->p[i];
	struct state next = *s;

	if (p->killed == 0 && p->at != DONE && s->kills < max_kills) {
		emit_killed(out, s, i);
	} else if (p->killed == 1) {
		next.p[i].killed = 2;
		emit(out, &next);
	}
	if (p->killed > 0 && !p->stopped) {
		next = *s;
		next.p[i].stopped = 1;
		emit(out, &next);
	}
}

static void settle(struct state *s)
{
	for (int i = 0; i < N; i++)
		if (s->p[i].killed > 0)
			s->p[i].stopped = 1;
}

/* ------------------------------------------------------------------------------------------------------------
 * The lock. Each step has at most one access to a shared word.
 */

static bool cas(uint8_t *word, uint8_t seen, uint8_t value)
{
	bool same = *word == seen;

	if (same)
		*word = value;
	return same;
}

/* sleep_on() begins with this: the word's owner is no member, so it is nobody's. */
static bool heal(struct state *s, uint8_t *word, uint8_t seen)
{
	if (mutant == NO_HEAL || is_free(seen) || is_member(s, seen & TID))
		return false;
	if (*word == seen) {
		if (word == &s->owner && s->p[(seen & TID) - 1].within)
			s->dirty = 1;
		*word = (seen & WAITERS) | DIED;
	}
	return true;
}

static void come_in(struct state *s, struct process *p)
{
	p->at = W_IN;
	p->within = 1;
	untold |= s->dirty && !p->died && p->killed == 0;
	s->dirty = 0;
}

static void writer_step(struct out *out, struct state s, int i)
{
	struct process *p = &s.p[i];
	uint8_t self = (uint8_t)(i + 1), *slot = p->hint ? &s.slots[__builtin_ctz(p->hint)] : NULL;

	switch ((enum at)p->at) {
	case W_LOAD:
		p->seen = s.owner & 31;
		p->at = is_free(p->seen) ? W_CAS : W_SET_WAITERS;
		break;
	case W_CAS:
		if (cas(&s.owner, p->seen,
			self | (p->seen & WAITERS) |
				(p->waiters && mutant != FORGET_WAITERS ? WAITERS : 0))) {
			p->died = !!(p->seen & DIED);
			p->at = !p->died ? W_LOAD_HINT : mutant == SETTLE_LATE ? W_OR_HINT : W_SETTLE;
		} else {
			p->at = W_LOAD;
		}
		break;
	case W_SET_WAITERS:
		p->waiters = 1;
		if (heal(&s, &s.owner, p->seen))
			p->at = W_LOAD;
		else
			p->at = p->seen & WAITERS || cas(&s.owner, p->seen, p->seen | WAITERS) ? W_SLEEP
											       : W_LOAD;
		break;
	case W_SLEEP: /* futex_wait() compares and sleeps in one step */
		p->at = s.owner == (p->seen | WAITERS) ? W_ASLEEP : W_LOAD;
		break;
	case W_ASLEEP:
		if (!naps)
			return;
		p->at = W_LOAD;
		break;
	case W_SETTLE:
		settle(&s);
		p->at = W_OR_HINT;
		if (mutant == TRUST_THE_DEAD)
			p->at = W_LOAD_HINT;
		if (mutant == SETTLE_LATE)
			p->at = W_LOAD_SLOT;
		break;
	case W_OR_HINT:
		s.hint = p->hint = (1 << SLOTS) - 1;
		p->at = mutant == SETTLE_LATE ? W_LOAD_HINT : W_LOAD_SLOT;
		break;
	case W_LOAD_HINT:
		p->hint = s.hint;
		p->at = W_LOAD_SLOT;
		if (p->died && mutant == SETTLE_LATE)
			p->at = W_SETTLE;
		if (p->hint == 0 && p->at == W_LOAD_SLOT)
			come_in(&s, p);
		break;
	case W_LOAD_SLOT:
		if (!slot) {
			come_in(&s, p);
			break;
		}
		p->seen = *slot & 31;
		p->at = !is_free(p->seen) ? W_SET_SLOT_WAITERS : p->seen ? W_CLEAR_SLOT : W_CLEAR_HINT;
		break;
	case W_CLEAR_SLOT:
		p->at = cas(slot, p->seen, 0) ? W_CLEAR_HINT : W_LOAD_SLOT;
		break;
	case W_CLEAR_HINT:
		s.hint &= ~(p->hint & -p->hint) & ((1 << SLOTS) - 1);
		p->at = W_LOOK_AGAIN;
		break;
	case W_LOOK_AGAIN:
		if (!is_free(*slot) && mutant != CLEAR_BLINDLY) {
			p->at = W_SET_HINT;
			break;
		}
		p->hint &= p->hint - 1;
		p->at = W_LOAD_SLOT;
		if (p->hint == 0)
			come_in(&s, p);
		break;
	case W_SET_HINT:
		s.hint |= p->hint & -p->hint;
		p->at = W_LOAD_SLOT;
		break;
	case W_SET_SLOT_WAITERS:
		if (heal(&s, slot, p->seen))
			p->at = W_LOAD_SLOT;
		else
			p->at = p->seen & WAITERS || cas(slot, p->seen, p->seen | WAITERS) ? W_SLEEP_ON_SLOT
											   : W_LOAD_SLOT;
		break;
	case W_SLEEP_ON_SLOT:
		p->at = *slot == (p->seen | WAITERS) ? W_ASLEEP_ON_SLOT : W_LOAD_SLOT;
		break;
	case W_ASLEEP_ON_SLOT:
		if (giving_up) {
			struct state given_up = s;

			given_up.p[i].giving_up = 1;
			given_up.p[i].at = W_CLEAR_CROWD;
			emit(out, &given_up);
		}
		if (!naps)
			return;
		p->at = W_LOAD_SLOT;
		break;
	case W_IN:
		p->at = W_CLEAR_CROWD;
		break;
	case W_CLEAR_CROWD:
		p->crowd = s.crowd;
		s.crowd = 0;
		p->at = W_DROP;
		break;
	case W_DROP:
		if ((s.owner & TID) != self && mutant != EXCHANGE) {
			p->at = DONE;
			break;
		}
		p->seen = s.owner & 31;
		s.owner = p->giving_up && p->died && mutant != FORGET ? DIED : 0;
		p->within = 0;
		p->at = p->seen & WAITERS || p->crowd ? W_LOAD_CROWD : DONE;
		break;
	case W_LOAD_CROWD:
		p->crowd |= s.crowd;
		p->at = W_WAKE;
		break;
	case W_WAKE:
		p->at = DONE;
		if (p->crowd && mutant != WAKE_ONE) {
			wake_all(&s, &s.owner);
			break;
		}
		emit_woken(out, &s, &s.owner);
		return;
	default:
		return;
	}
	emit(out, &s);
}

static void reader_step(struct out *out, struct state s, int i)
{
	struct process *p = &s.p[i];
	uint8_t self = (uint8_t)(i + 1), *slot = &s.slots[p->slot], bit = (uint8_t)(1 << p->slot);

	switch ((enum at)p->at) {
	case R_LOAD:
		p->seen = s.owner & 31;
		p->at = is_free(p->seen) ? R_LOAD_SLOT : R_SET_CROWD;
		break;
	case R_SET_CROWD:
		s.crowd = 1;
		p->at = R_SET_WAITERS;
		break;
	case R_SET_WAITERS:
		if (heal(&s, &s.owner, p->seen))
			p->at = R_LOAD;
		else
			p->at = p->seen & WAITERS || cas(&s.owner, p->seen, p->seen | WAITERS) ? R_SLEEP
											       : R_LOAD;
		break;
	case R_SLEEP:
		p->at = s.owner == (p->seen | WAITERS) ? R_ASLEEP : R_LOAD;
		break;
	case R_ASLEEP:
		if (!naps)
			return;
		p->at = R_LOAD;
		break;
	case R_LOAD_SLOT:
		p->seen = *slot & 31;
		if (is_free(p->seen)) {
			p->at = R_SEE_HINT;
		} else {
			p->slot ^= 1;
		}
		break;
	case R_SEE_HINT:
		p->at = s.hint & bit ? R_CAS_SLOT : R_SET_HINT;
		break;
	case R_SET_HINT:
		s.hint |= bit;
		p->at = R_CAS_SLOT;
		break;
	case R_CAS_SLOT:
		if (cas(slot, p->seen, self)) {
			p->at = mutant == HINT_ONCE ? R_LOOK_AT_OWNER : R_SEE_HINT_AGAIN;
		} else {
			p->slot ^= 1;
			p->at = R_LOAD_SLOT;
		}
		break;
	case R_SEE_HINT_AGAIN:
		p->at = s.hint & bit ? R_LOOK_AT_OWNER : R_SET_HINT_AGAIN;
		break;
	case R_SET_HINT_AGAIN:
		s.hint |= bit;
		p->at = R_LOOK_AT_OWNER;
		break;
	case R_LOOK_AT_OWNER:
		p->seen = mutant == OWNER_FIRST ? 0 : s.owner & 31;
		p->at = !is_free(p->seen)				   ? R_GIVE_UP
			: (p->seen & (DIED | WAITERS)) == (DIED | WAITERS) ? R_WAKE_OTHERS
			: p->seen & DIED				   ? R_SETTLE
									   : R_IN;
		untold |= p->at == R_IN && s.dirty && p->killed == 0;
		break;
	case R_WAKE_OTHERS:
		p->at = R_SETTLE;
		if (cas(&s.owner, p->seen, p->seen & ~WAITERS & 31))
			wake_all(&s, &s.owner);
		break;
	case R_SETTLE:
		settle(&s);
		p->at = R_IN;
		break;
	case R_IN:
		p->at = R_PART;
		break;
	case R_GIVE_UP:
	case R_PART:
		p->at = p->at == R_GIVE_UP ? R_LOAD : DONE;
		if ((*slot & TID) == self) {
			bool waiters = *slot & WAITERS;

			*slot = 0;
			if (waiters)
				wake_all(&s, slot);
		}
		break;
	default:
		return;
	}
	emit(out, &s);
}

static void step(struct out *out, const struct state *s, int i)
{
	if (s->p[i].stopped || s->p[i].at == DONE)
		return;
	if (i < N_WRITERS)
		writer_step(out, *s, i);
	else
		reader_step(out, *s, i);
}

/* ------------------------------------------------------------------------------------------------------------
 * What must be so.
 */

static bool runs(const struct process *p)
{
	return !p->stopped;
}

/* A reader that is being killed may still read what a writer writes: it can do nothing with it. */
static const char *violation(const struct state *s)
{
	int writers = 0, readers = 0;

	for (int i = 0; i < N; i++) {
		writers += runs(&s->p[i]) && s->p[i].at == W_IN;
		readers += runs(&s->p[i]) && s->p[i].at == R_IN && s->p[i].killed == 0;
	}
	if (writers > 1 || (writers == 1 && readers > 0))
		return "exclusion";
	return NULL;
}

static bool is_over(const struct state *s)
{
	for (int i = 0; i < N; i++)
		if (s->p[i].killed == 0 && s->p[i].at != DONE)
			return false;
	return true;
}

/* Everybody in turn, and the kernel, which stops the killed: does it come to an end? */
static bool comes_to_an_end(struct state s)
{
	for (int round = 0; round < 100; round++) {
		if (is_over(&s))
			return true;
		for (int i = 0; i < N; i++) {
			struct out out = {.keep_first = true};

			if (s.p[i].killed == 0)
				step(&out, &s, i);
			else if (s.p[i].killed < 2 || !s.p[i].stopped)
				kernel_steps(&out, &s, i);
			if (out.n > 0)
				s = out.first;
		}
	}
	return false;
}

static const char *look_at(const struct state *s)
{
	struct out out = {};

	if (violation(s))
		return violation(s);
	untold = false;
	for (int i = 0; i < N; i++) {
		step(&out, s, i);
		kernel_steps(&out, s, i);
	}
	if (untold)
		return "telling";
	if (out.n == 0 && !is_over(s))
		return "waking";
	return naps && !comes_to_an_end(*s) ? "progress" : NULL;
}

/* What is explored: so many take part, so many may be killed. */
struct extent {
	int writers, readers, kills;
	bool naps, giving_up;
};

/* Who does not take part has been there already. */
static struct state first_state(const struct extent *extent)
{
	struct state s;

	memset(&s, 0, sizeof(s));
	for (int i = 0; i < N; i++)
		s.p[i].at = DONE;
	for (int i = 0; i < extent->writers; i++)
		s.p[i].at = W_LOAD;
	for (int i = 0; i < extent->readers; i++)
		s.p[N_WRITERS + i].at = R_LOAD;
	simplify(&s);
	return s;
}

/* How it came to a state: for each on the way the shared words, then where the processes are. */
static void print_way_to(uint32_t i)
{
	const struct state *s = &states[i];

	if (parents[i])
		print_way_to(parents[i]);
	printf("owner %02x slots %02x %02x hint %x crowd %x dirty %x ", s->owner, s->slots[0], s->slots[1],
	       s->hint, s->crowd, s->dirty);
	for (int k = 0; k < N; k++)
		printf(" | at %2d seen %02x killed %d%s", s->p[k].at, s->p[k].seen, s->p[k].killed,
		       s->p[k].stopped ? " stopped" : "");
	puts("");
}

/* Looks at every state that can be reached. What is wrong in one, or NULL. */
static const char *explore(const struct extent *extent)
{
	struct state first = first_state(extent);
	const char *wrong = NULL;

	max_kills = extent->kills;
	naps = extent->naps;
	giving_up = extent->giving_up;
	parent = n_states = 0;
	madvise(table, table_size * sizeof(*table), MADV_DONTNEED); /* zeros it */
	add(&first);
	while (!wrong && parent < n_states) {
		parent++;
		wrong = look_at(&states[parent]);
	}
	if (wrong && mutant == NONE)
		print_way_to(parent);
	printf("%s: %d writers, %d readers, %d killed%s%s: %u states, %s\n", mutants[mutant].what,
	       extent->writers, extent->readers, extent->kills, naps ? "" : ", no naps",
	       giving_up ? ", giving up" : "", n_states, wrong ? wrong : "all well");
	fflush(stdout);
	return wrong;
}

static void *reserve(size_t size)
{
	void *memory =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		err(2, "mmap");
	return memory;
}

/* The last takes minutes and gigabytes: with "all" as the argument. */
static const struct extent extents[] = {
	{.writers = 2, .readers = 2},
	{.writers = 3, .readers = 1},
	{.writers = 2, .readers = 1, .kills = 2, .naps = true, .giving_up = true},
	{.writers = 1, .readers = 2, .kills = 1, .naps = true, .giving_up = true},
	{.writers = 2, .readers = 2, .kills = 1, .naps = true, .giving_up = true},
};

int main(int argc, char **argv)
{
	bool all = argc > 1 && !strcmp(argv[1], "all"), found = false;
	size_t n = sizeof(extents) / sizeof(extents[0]) - !all;

	for (mutant = NONE; argc > 1 && !all && strcmp(mutants[mutant].name, argv[1]); mutant++)
		if (mutant + 1 == N_MUTANTS)
			errx(2, "no such mutant: %s", argv[1]);
	if (all)
		table_size <<= 3;
	states = reserve(MAX_STATES * sizeof(*states));
	table = reserve(table_size * sizeof(*table));
	parents = reserve(MAX_STATES * sizeof(*parents));
	for (size_t i = 0; i < n && !found; i++)
		found = explore(&extents[i]);
	return found == (mutant != NONE) ? EXIT_SUCCESS : EXIT_FAILURE;
}
