/* SPDX-License-Identifier: MIT */

/*
 * ring CONFIGURATION [MUTANT]: the protocol of the ring (segfs/layout.h, core/ring-*.c) as an automaton, in
 * all interleavings, with kills at any step. Each step is one access to shared memory; memory is sequentially
 * consistent. What the weaker orders of the code may reorder is argued beside them, not here.
 *
 * Looked for: a frame that is accepted and is not whole; in a `block` ring, a frame that is begun over before
 * a consumer that had joined has released it; counters that go back, or contradict each other; somebody who
 * sleeps although what it waits for has come and nobody is about to wake it (unless somebody was killed, who
 * may have been: then naps end); and a state from which no way leads to the end.
 *
 * A process that is killed passes through three states, as in Linux: it is dying, while it still runs; the
 * kernel marks its words; it has stopped. The latter two come in any order, and settling waits for the last.
 *
 * With a MUTANT, something is wrong on purpose: exit status 0 if that was found.
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

enum {
	PRODUCERS = 2,
	CONSUMERS = 2,
	PROCESSES = PRODUCERS + CONSUMERS,
	MAX_CAPACITY = 3,
	NOBODY = 0,
	DIED = 15,
};

struct configuration {
	const char *name;
	uint8_t block, producers, consumers, followers, capacity, frames, batch, kills;
};

static const struct configuration configurations[] = {
	/*                             prod cons foll cap frames batch kills */
	{"block", 1, 1, 1, 0, 2, 5, 1, 0},
	{"block-2-consumers", 1, 1, 2, 0, 2, 2, 1, 0},
	{"block-batch", 1, 1, 1, 0, 3, 7, 2, 0},
	{"block-kills", 1, 2, 1, 0, 2, 3, 1, 2},
	{"block-batch-kill", 1, 2, 1, 0, 3, 5, 2, 1},
	{"block-follower", 1, 1, 1, 1, 2, 3, 1, 0},
	{"block-places-kill", 1, 1, 2, 0, 2, 2, 2, 1},
	{"overwrite-2-consumers", 0, 1, 2, 0, 2, 3, 1, 0},
	{"overwrite-kills", 0, 2, 1, 0, 2, 4, 1, 2},
	{"overwrite-batch-kill", 0, 2, 1, 0, 3, 6, 2, 1},
	{"overwrite-followers", 0, 2, 0, 2, 2, 3, 1, 0},
};
#define N_CONFIGURATIONS (sizeof(configurations) / sizeof(configurations[0]))

static struct configuration config;

enum mutant {
	NONE,
	LATE_BEGUN,    /* `begun` is stored when the frame has been written */
	BEGUN_BACK,    /* the successor stores a lesser `begun` than its predecessor */
	EARLY_LOOK,    /* the producer looks for sleepers before it stores `committed` */
	COUNT_FUTEX,   /* consumers sleep on `committed` as they saw it, not on `sleepers` */
	BIT_FUTEX,     /* `sleepers` is a mere bit, which wakers clear */
	EARLY_JOIN,    /* who joins looks at `committed` before it takes its place */
	EARLY_RELEASE, /* consumers store `next` before they have read the frame */
	NO_SETTLE,     /* nobody waits for the dead to stop */
	NO_CHECK,      /* consumers do not look at `begun` behind a frame */
	NO_MEMBERS,    /* a word with the thread id of somebody dead, who took it while dying, is believed */
	N_MUTANTS,
};
static const char *const mutants[] = {
	"none",	      "late-begun",    "begun-back", "early-look", "count-futex", "bit-futex",
	"early-join", "early-release", "no-settle",  "no-check",   "no-members",
};
static enum mutant mutant;

enum pc {
	START,
	/* producer */
	SETTLE,
	READ_COMMITTED,
	READ_BEGUN,
	ROOM,
	LOOK_OWNER,
	LOOK_NEXT,
	DROP,
	SETTLE_DROP,
	SET_SLEEPS,
	SLEEP,
	ASLEEP,
	STORE_BEGUN,
	WRITE,
	LATE_STORE,
	COMMIT,
	LOOK_SLEEPERS,
	CLEAR_SLEEPERS,
	WAKE,
	DETACH,
	/* consumer */
	SETTLE_PLACE,
	JOIN_LOOK,
	LOOK,
	TAKE_COMMITTED,
	TAKE_BEGUN,
	TAKE_AGAIN,
	READ,
	CHECK,
	STORE_NEXT,
	LEAVE,
	END,
};
static const char *const pc_names[] = {
	"START",       "SETTLE",     "READ_COMMITTED", "READ_BEGUN", "ROOM",	      "LOOK_OWNER",
	"LOOK_NEXT",   "DROP",	     "SETTLE_DROP",    "SET_SLEEPS", "SLEEP",	      "ASLEEP",
	"STORE_BEGUN", "WRITE",	     "LATE_STORE",     "COMMIT",     "LOOK_SLEEPERS", "CLEAR_SLEEPERS",
	"WAKE",	       "DETACH",     "SETTLE_PLACE",   "JOIN_LOOK",  "LOOK",	      "TAKE_COMMITTED",
	"TAKE_BEGUN",  "TAKE_AGAIN", "READ",	       "CHECK",	     "STORE_NEXT",    "LEAVE",
	"END",
};

/* Bytes all through: states are compared as such. Process i + 1 is i's owner word; 0 to 1 are producers. */
struct process {
	uint8_t pc, dying, marked, stopped;
	uint8_t again; /* 1: it looks for the last time before it sleeps; 2: `sleepers` has changed since then
			*/
	uint8_t at;    /* place or word that it is at */
	/* Its own memory; for a producer: frames committed, begun, the limit, the least `next`, frames
	 * reserved. */
	/* For a consumer: next frame, place + 1, committed and begun as seen, what it has read of the frame.
	 */
	uint8_t a, b, c, d, n, word[2];
	uint8_t batch, kept_from; /* how many it reserves; what it may rely on; 255 before it has joined */
};

struct state {
	uint8_t producer, begun, committed, committed_sleepers, released_sleepers, kills;
	struct {
		uint8_t owner, next;
	} place[CONSUMERS];
	uint8_t data[MAX_CAPACITY][2]; /* each word: the number of its frame, and who has written it */
	struct process process[PROCESSES];
};

static struct state s; /* that is being made */
static const char *wrong;

static void blame(const char *what)
{
	if (!wrong)
		wrong = what;
}

static uint8_t max(uint8_t a, uint8_t b)
{
	return a > b ? a : b;
}

static uint8_t min(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

static bool is_producer(int i)
{
	return i < PRODUCERS;
}

static bool runs(int i)
{
	return s.process[i].pc != END && !s.process[i].stopped;
}

/* Of an owner word: the kernel's mark also takes the member slot. */
static bool lives(uint8_t owner)
{
	return owner != NOBODY && owner != DIED && (mutant == NO_MEMBERS || !s.process[owner - 1].marked);
}

/* membarrier(2): whoever has been killed executes no more. */
static bool settled(void)
{
	for (int i = 0; i < PROCESSES; i++)
		if (s.process[i].marked && !s.process[i].stopped)
			return mutant == NO_SETTLE;
	return true;
}

/* Who is about to sleep, and who is about to wake, has read a number that is no longer there. */
static void outdate(bool sleeping_producers)
{
	for (int i = 0; i < PROCESSES; i++) {
		struct process *p = &s.process[i];
		bool sleeper = sleeping_producers == is_producer(i);

		if (sleeper ? p->again == 1 : p->pc == CLEAR_SLEEPERS)
			p->again = 2;
	}
}

/* The compare-and-swap of a waker. False: another was faster. */
static bool clear_sleepers(struct process *p, uint8_t *sleepers, bool of_producers)
{
	bool cleared = p->again != 2;

	if (cleared) {
		*sleepers = 0;
		if (mutant != BIT_FUTEX)
			outdate(of_producers);
	}
	p->again = 0;
	return cleared;
}

static void wake(bool producers)
{
	for (int i = 0; i < PROCESSES; i++)
		if (is_producer(i) == producers && s.process[i].pc == ASLEEP)
			s.process[i].pc = producers ? ROOM : LOOK;
}

/* ---- the producer: a committed, b begun, c limit, d least next, n reserved */

static void check_overwriting(uint8_t from, uint8_t to)
{
	for (int i = PRODUCERS; i < PROCESSES; i++) {
		const struct process *p = &s.process[i];

		for (uint8_t frame = from; config.block && frame < to; frame++)
			if (runs(i) && p->b != 0 && p->kept_from != 255 && frame >= config.capacity &&
			    frame - config.capacity >= max(p->a, p->kept_from))
				blame("a frame was begun over that a consumer has not released");
	}
}

static void store_begun(struct process *p)
{
	if (p->a + p->n > p->b || (mutant == BEGUN_BACK && p->a + p->n > p->a)) {
		p->b = p->a + p->n;
		if (p->b < s.begun)
			blame(mutant == BEGUN_BACK ? NULL : "begun went back");
		check_overwriting(s.begun, p->b);
		s.begun = p->b;
	}
	p->at = 0;
}

static void write_word(struct process *p, int who)
{
	uint8_t frame = p->a + p->at / 2;

	s.data[frame % config.capacity][p->at % 2] = 2 * frame + who;
	if (++p->at == 2 * p->n)
		p->pc = mutant == LATE_BEGUN ? LATE_STORE : mutant == EARLY_LOOK ? LOOK_SLEEPERS : COMMIT;
}

static void seek_room(struct process *p)
{
	uint8_t room = p->c - p->a;

	if (p->a == config.frames) {
		p->pc = DETACH;
	} else if (room > 0) {
		p->n = min(min(p->batch, room), config.frames - p->a);
		p->again = 0;
		p->pc = STORE_BEGUN;
	} else if (!config.block) {
		p->c = p->a + config.capacity;
	} else {
		p->d = p->a;
		p->at = 0;
		p->pc = LOOK_OWNER;
	}
}

static void next_place(struct process *p)
{
	p->pc = LOOK_OWNER;
	if (++p->at < CONSUMERS)
		return;
	p->c = max(p->c, p->d + config.capacity);
	p->pc = p->c > p->a ? ROOM : p->again != 0 ? SLEEP : SET_SLEEPS;
	p->at = p->d = 0;
}

static void look_owner(struct process *p)
{
	uint8_t owner = s.place[p->at].owner;

	if (lives(owner))
		p->pc = LOOK_NEXT;
	else if (owner != NOBODY)
		p->pc = DROP;
	else
		next_place(p);
}

static void commit(struct process *p)
{
	if (p->a + p->n <= s.committed)
		blame("committed did not go on");
	p->a += p->n;
	s.committed = p->a;
	p->pc = mutant == EARLY_LOOK ? ROOM : LOOK_SLEEPERS;
}

static void attach(struct process *p, int who)
{
	bool died = s.producer != NOBODY;

	s.producer = (uint8_t)(who + 1);
	p->pc = died ? SETTLE : READ_COMMITTED;
}

static void step_producer(struct process *p, int who)
{
	switch (p->pc) {
	case START:
		attach(p, who);
		break;
	case SETTLE:
		p->pc = READ_COMMITTED;
		break;
	case READ_COMMITTED:
		p->a = p->c = s.committed;
		p->pc = READ_BEGUN;
		break;
	case READ_BEGUN:
		p->b = mutant == BEGUN_BACK ? p->a : s.begun;
		if (s.begun < p->a || s.begun > p->a + config.capacity)
			blame("a successor found nonsense");
		p->pc = ROOM;
		break;
	case ROOM:
		seek_room(p);
		break;
	case LOOK_OWNER:
		look_owner(p);
		break;
	case LOOK_NEXT:
		p->d = min(p->d, s.place[p->at].next);
		next_place(p);
		break;
	case DROP:
		if (!lives(s.place[p->at].owner))
			s.place[p->at].owner = NOBODY;
		p->pc = SETTLE_DROP;
		break;
	case SETTLE_DROP:
		next_place(p);
		break;
	case SET_SLEEPS:
		s.released_sleepers = 1;
		p->again = 1;
		p->pc = ROOM;
		break;
	case SLEEP:
		p->pc = p->again == 1 && s.released_sleepers ? ASLEEP : ROOM;
		p->again = 0;
		break;
	case STORE_BEGUN:
		if (mutant != LATE_BEGUN)
			store_begun(p);
		p->at = 0;
		p->pc = WRITE;
		break;
	case WRITE:
		write_word(p, who);
		break;
	case LATE_STORE:
		store_begun(p);
		p->pc = COMMIT;
		break;
	case COMMIT:
		commit(p);
		break;
	case LOOK_SLEEPERS:
		p->pc = s.committed_sleepers ? CLEAR_SLEEPERS : mutant == EARLY_LOOK ? COMMIT : ROOM;
		break;
	case CLEAR_SLEEPERS:
		p->pc = clear_sleepers(p, &s.committed_sleepers, false) ? WAKE : ROOM;
		break;
	case WAKE:
		wake(false);
		p->pc = mutant == EARLY_LOOK ? COMMIT : ROOM;
		break;
	case DETACH:
		if (s.producer == who + 1)
			s.producer = NOBODY;
		p->pc = END;
		break;
	}
}

static bool producer_can(const struct process *p)
{
	if (p->pc == START)
		return !lives(s.producer);
	if (p->pc == SETTLE || p->pc == SETTLE_DROP)
		return settled();
	return p->pc != ASLEEP;
}

/* ---- the consumer: a next frame, b place + 1 (0: follows), c committed, d begun, both as seen, n early read
 */

static bool all_read(const struct process *p)
{
	return p->a >= config.frames;
}

/* What is committed from here on, the producer keeps for it. */
static void join(struct process *p, uint8_t committed)
{
	p->a = p->kept_from = committed;
	p->n = 1; /* tell, but nothing has been read */
	p->pc = STORE_NEXT;
}

static void take_place(struct process *p, int who)
{
	uint8_t owner = s.place[p->at].owner;

	if (lives(owner)) {
		p->at++;
		return;
	}
	s.place[p->at].owner = (uint8_t)(who + 1);
	p->b = p->at + 1;
	p->at = 0;
	p->pc = owner != NOBODY ? SETTLE_PLACE : JOIN_LOOK;
	if (mutant == EARLY_JOIN)
		join(p, p->a);
}

static void look(struct process *p)
{
	if (all_read(p))
		p->pc = LEAVE, p->again = 0;
	else if (s.committed > p->a)
		p->pc = TAKE_COMMITTED;
	else
		p->pc = p->again != 0 ? SLEEP : SET_SLEEPS;
	p->c = mutant == COUNT_FUTEX ? s.committed : 0;
}

static void take(struct process *p)
{
	bool mine = p->b != 0 && config.block;

	if (p->c > p->d || p->d > s.committed + config.capacity)
		blame("the counters contradict each other");
	if (p->a + config.capacity >= p->d) {
		p->pc = mutant == EARLY_RELEASE ? STORE_NEXT : READ;
		return;
	}
	if (mine && p->a >= p->kept_from)
		blame("a consumer lost a frame that was kept for it");
	p->a = mine ? p->d - config.capacity
		    : max(p->d - config.capacity, min(p->d - config.capacity / 2, p->c));
	p->n = 1; /* tell, but nothing has been read */
	p->pc = STORE_NEXT;
}

static void accept_frame(const struct process *p)
{
	if (p->word[0] / 2 != p->a || p->word[0] != p->word[1])
		blame("a frame was accepted that is not whole");
}

static void check_frame(struct process *p)
{
	bool torn = mutant != NO_CHECK && s.begun > p->a + config.capacity;

	if (!torn)
		accept_frame(p);
	else if (p->b != 0 && config.block && p->a >= p->kept_from)
		blame("a frame was torn that was kept for a consumer");
	p->word[0] = p->word[1] = p->c = p->d = 0;
	p->a++;
	p->pc = mutant == EARLY_RELEASE ? LOOK : STORE_NEXT;
}

static void store_next(struct process *p)
{
	bool tell = p->b != 0 && config.block;
	uint8_t early = mutant == EARLY_RELEASE && p->n == 0;

	if (p->b != 0)
		s.place[p->b - 1].next = p->a + early;
	p->pc = tell ? LOOK_SLEEPERS : early ? READ : LOOK;
	if (early)
		return;
	p->n = 0;
}

static void after_telling(struct process *p)
{
	if (p->at == 1)
		p->pc = END;
	else
		p->pc = mutant == EARLY_RELEASE && p->n == 0 && p->a < s.place[p->b - 1].next ? READ : LOOK;
}

static void leave(struct process *p, int who)
{
	p->pc = END;
	if (p->b == 0)
		return;
	if (s.place[p->b - 1].owner == who + 1)
		s.place[p->b - 1].owner = NOBODY;
	p->at = 1;
	p->kept_from = 255;
	p->pc = LOOK_SLEEPERS;
}

static bool may_sleep(const struct process *p)
{
	return mutant == COUNT_FUTEX ? s.committed == p->c : p->again == 1 && s.committed_sleepers;
}

static void start_consumer(struct process *p, int who)
{
	bool looks = mutant == EARLY_JOIN && p->n == 0;

	if (who - PRODUCERS < config.consumers && !looks) {
		take_place(p, who);
		return;
	}
	p->a = s.committed;
	p->n = looks;
	p->pc = looks ? START : LOOK;
}

static void step_consumer(struct process *p, int who)
{
	switch (p->pc) {
	case START:
		start_consumer(p, who);
		break;
	case SETTLE_PLACE:
		p->pc = JOIN_LOOK;
		break;
	case JOIN_LOOK:
		join(p, s.committed);
		break;
	case LOOK:
		look(p);
		break;
	case SET_SLEEPS:
		s.committed_sleepers = 1;
		p->again = 1;
		p->pc = LOOK;
		break;
	case SLEEP:
		p->pc = may_sleep(p) ? ASLEEP : LOOK;
		p->again = 0;
		break;
	case TAKE_COMMITTED:
		p->again = 0;
		p->c = s.committed;
		p->pc = TAKE_BEGUN;
		break;
	case TAKE_BEGUN:
		p->d = s.begun;
		p->pc = TAKE_AGAIN;
		break;
	case TAKE_AGAIN:
		take(p);
		break;
	case READ:
		p->word[p->at] = s.data[p->a % config.capacity][p->at];
		p->pc = p->at == 1 ? CHECK : READ;
		p->at = !p->at;
		break;
	case CHECK:
		check_frame(p);
		break;
	case STORE_NEXT:
		store_next(p);
		break;
	case LOOK_SLEEPERS:
		if (s.released_sleepers)
			p->pc = CLEAR_SLEEPERS;
		else
			after_telling(p);
		break;
	case CLEAR_SLEEPERS:
		if (clear_sleepers(p, &s.released_sleepers, true))
			p->pc = WAKE;
		else
			after_telling(p);
		break;
	case WAKE:
		wake(true);
		after_telling(p);
		break;
	case LEAVE:
		leave(p, who);
		break;
	}
}

static bool consumer_can(const struct process *p)
{
	return p->pc == SETTLE_PLACE ? settled() : p->pc != ASLEEP;
}

/* ---- all of them */

static bool may_be_waking(int i)
{
	uint8_t pc = s.process[i].pc;

	return runs(i) && pc >= LOOK_SLEEPERS && pc <= WAKE;
}

static bool somebody_wakes(bool producers)
{
	for (int i = 0; i < PROCESSES; i++)
		if (is_producer(i) != producers && may_be_waking(i))
			return true;
	return false;
}

static bool is_room(const struct process *p)
{
	for (int i = 0; i < CONSUMERS; i++)
		if (lives(s.place[i].owner) && p->a >= s.place[i].next + config.capacity)
			return false;
	return true;
}

/* Only of a history without kills: a waker may have been killed. */
static void check_sleepers(void)
{
	for (int i = 0; i < PROCESSES; i++) {
		const struct process *p = &s.process[i];
		bool due = is_producer(i) ? is_room(p) : s.committed > p->a;

		if (runs(i) && p->pc == ASLEEP && due && !somebody_wakes(is_producer(i)))
			blame("somebody sleeps, and nobody knows");
	}
}

/* What nobody will look at again does not make states differ. */
static void forget(struct process *p)
{
	if (p->stopped)
		p->pc = END;
	if (p->pc == END)
		memset(&p->again, 0, sizeof(*p) - offsetof(struct process, again));
}

static void offer(void)
{
	for (int i = 0; i < PROCESSES; i++)
		forget(&s.process[i]);
	if (s.kills == config.kills)
		check_sleepers();
	explore_add(&s, wrong);
	wrong = NULL;
}

static void mark(int i)
{
	s.process[i].marked = 1;
	if (s.producer == i + 1)
		s.producer = DIED;
	for (int k = 0; k < CONSUMERS; k++)
		if (s.place[k].owner == i + 1)
			s.place[k].owner = DIED;
}

static void expand_death(const struct state *from, int i)
{
	if (s.process[i].pc != END && !s.process[i].dying && s.kills > 0) {
		s.kills--;
		s.process[i].dying = 1;
		offer();
	}
	s = *from;
	if (s.process[i].dying && !s.process[i].marked) {
		mark(i);
		offer();
	}
	s = *from;
	if (s.process[i].dying && !s.process[i].stopped) {
		s.process[i].stopped = 1;
		offer();
	}
}

/* A nap may end where somebody has been killed. */
static void expand_nap(int i)
{
	if (s.process[i].pc != ASLEEP || s.kills == config.kills || !runs(i))
		return;
	s.process[i].pc = is_producer(i) ? ROOM : LOOK;
	offer();
}

static void expand_step(int i)
{
	struct process *p = &s.process[i];

	if (!runs(i) || !(is_producer(i) ? producer_can(p) : consumer_can(p)))
		return;
	if (!is_producer(i))
		step_consumer(p, i);
	else
		do /* what touches nothing shared is part of the step before */
			step_producer(p, i);
		while (p->pc == ROOM);
	offer();
}

static void expand(const void *state)
{
	const struct state *from = state;

	for (int i = 0; i < PROCESSES; i++) {
		s = *from;
		expand_step(i);
		s = *from;
		expand_nap(i);
		s = *from;
		expand_death(from, i);
	}
}

/* All have ended, or the producers have and the others have read all there is. */
static bool is_end(const void *state)
{
	s = *(const struct state *)state;
	for (int i = 0; i < PROCESSES; i++) {
		const struct process *p = &s.process[i];

		if (p->dying && !(p->marked && p->stopped))
			return false;
		if (runs(i) && (is_producer(i) || s.committed > p->a || p->pc != ASLEEP))
			return false;
	}
	return true;
}

static void print_process(int i)
{
	const struct process *p = &s.process[i];

	printf(" | %c%d %s%s%s%s %d %d %d %d", is_producer(i) ? 'p' : 'c', i, pc_names[p->pc],
	       p->dying ? " dying" : "", p->marked ? " marked" : "", p->stopped ? " stopped" : "", p->a, p->b,
	       p->c, p->d);
}

static void print(const void *state)
{
	s = *(const struct state *)state;
	printf("producer %d begun %d committed %d sleepers %d %d places", s.producer, s.begun, s.committed,
	       s.committed_sleepers, s.released_sleepers);
	for (int i = 0; i < CONSUMERS; i++)
		printf(" %d:%d", s.place[i].owner, s.place[i].next);
	for (int i = 0; i < PROCESSES; i++)
		print_process(i);
	putchar('\n');
}

static void choose(int argc, char **argv)
{
	size_t i = 0;

	if (argc < 2 || argc > 3)
		errx(2, "usage: ring CONFIGURATION [MUTANT]");
	while (i < N_CONFIGURATIONS && strcmp(configurations[i].name, argv[1]) != 0)
		i++;
	if (i == N_CONFIGURATIONS)
		errx(2, "%s: no such configuration", argv[1]);
	config = configurations[i];
	while (argc > 2 && mutant < N_MUTANTS && strcmp(mutants[mutant], argv[2]) != 0)
		mutant++;
	if (mutant == N_MUTANTS)
		errx(2, "%s: no such mutant", argv[2]);
}

int main(int argc, char **argv)
{
	struct state first = {};
	struct explore_model model = {sizeof(first), &first, expand, is_end, print};
	const char *found;
	size_t n;

	choose(argc, argv);
	first.kills = config.kills;
	memset(first.data, 255, sizeof(first.data));
	for (int i = 0; i < PROCESSES; i++) {
		bool there = is_producer(i) ? i < config.producers
					    : i - PRODUCERS < config.consumers + config.followers;

		first.process[i].pc = there ? START : END;
		first.process[i].batch = i == 0 ? config.batch : is_producer(i); /* a successor differs */
		first.process[i].kept_from = 255;
	}
	found = explore(&model, &n);
	printf("%s, %s: %zu states, %s\n", config.name, mutants[mutant], n, found ? found : "nothing wrong");
	return mutant == NONE ? found != NULL : found == NULL;
}
