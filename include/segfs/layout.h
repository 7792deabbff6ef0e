/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bytes that processes share to agree on others: control page, ring and table. This file is their
 * specification, for C and for whatever can read bytes.
 *
 * All numbers are little-endian and naturally aligned; a cache line is 64 bytes, and what different processes
 * write lies on different lines. Counters run from 0 and never wrap. Each format begins with a magic and a
 * version; a reader refuses what it does not know. Everything here is written by strangers: a reader copies a
 * value, checks the copy, and uses that.
 *
 * Below, "relaxed", "acquire", "release" and "seq_cst" are the memory orders of C11. A "futex word" is slept
 * on with futex(2), shared (without FUTEX_PRIVATE_FLAG).
 *
 * OWNER WORDS say who holds something: 0, nobody; else in the low 30 bits the thread id, in its own pid
 * namespace, of a thread that lives as long as its process, SEGFS_WAITERS if somebody sleeps on the word, and
 * SEGFS_OWNER_DIED instead of the thread id if the holder has ended without letting go. The kernel itself
 * sets that bit, at the moment when the process ends, however it ends, and wakes a sleeper: each process has
 * its words on a robust futex list (set_robust_list(2)). Whoever takes a word by compare-and-swap from a
 * value with SEGFS_OWNER_DIED has been told that its predecessor died. A holder may be killed after it has
 * let go and before it has woken the sleepers, so nobody sleeps longer than SEGFS_NAP_NS without looking
 * again. The kernel sets the bit while other threads of the dying process may be at their last instruction:
 * who has been told calls membarrier(2) with MEMBARRIER_CMD_GLOBAL_EXPEDITED, for which each process
 * registers, before it touches what the word protects. (A system call that such a thread is in, say a
 * read(2) into the protected memory, may end later still.)
 *
 * MEMBERS. The kernel compares thread ids as numbers, each in the pid namespace of the thread that ends. Two
 * threads of different namespaces may have the same, and the end of one would mark what the other holds. So
 * each area with owner words has member slots, and a thread is one's owner of words there only while it has
 * the slot number (thread id % SEGFS_MEMBERS): taken, by compare-and-swap from 0 or from a value with
 * SEGFS_OWNER_DIED to the thread id, before any of the area's words are put on the thread's robust list, and
 * set to 0 after they have been taken off. If the slot is taken, another thread is made. The slot itself is
 * put on the list behind the words, so that it is marked after them. Whoever is killed just after taking it
 * or just before giving it back leaves it taken; slots are many.
 *
 * A dying process may take a word at its last instruction, behind the kernel's back, which has been at its
 * list already. So in an area with member slots an owner word whose thread id is not in the slot for it means
 * the same as SEGFS_OWNER_DIED. (The word is read before the slot.) Who would sleep on it may take that slot,
 * if it is free, put SEGFS_OWNER_DIED into the word, and set the slot to 0 again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <segfs/export.h>

SEGFS_BEGIN

#define SEGFS_LINE 64

#define SEGFS_OWNER_TID	 0x3fffffffu /* FUTEX_TID_MASK */
#define SEGFS_OWNER_DIED 0x40000000u /* FUTEX_OWNER_DIED */
#define SEGFS_WAITERS	 0x80000000u /* FUTEX_WAITERS */
#define SEGFS_NAP_NS	 50000000

#define SEGFS_MEMBERS 480

/*
 * FENCES. Of two who each write their own word and then read the other's, one must see the other: both have a
 * full fence (seq_cst) between their accesses. Below, a "light fence" is a full one that may be left out by a
 * process which is registered for MEMBARRIER_CMD_GLOBAL_EXPEDITED, as its partner's, a "heavy fence", is a
 * call of membarrier(2) with that command: the kernel makes all processors that run registered processes pass
 * a full fence. Who makes millions of frames a second spares itself the wait for its own writes. Whose kernel
 * has no membarrier(2) waits SEGFS_RING_SETTLE_NS in its place, or sleeps but a millisecond before it looks
 * again.
 */

struct segfs_layout_member {
	uint32_t owner; /* owner word */
	uint32_t unused;
};
static_assert(sizeof(struct segfs_layout_member) == 8, "room for a pointer in the list behind it");

/*
 * A counter that can be waited for. Who changes `count` then reads `sleepers`, with a full fence between the
 * two, and, if that is odd, adds 1 to it (compare-and-swap; if that fails, somebody else has) and wakes all
 * who sleep on it. A waiter sets the lowest bit of `sleepers`, reads `count` once more, with a full fence
 * between the two, and, if it has still not come, sleeps while `sleepers` is what that made of it; whoever
 * may only read sleeps for short times instead. An odd number that a dead waiter left costs a needless system
 * call, no wake-up.
 *
 * It must be this word that is slept on, and never twice the same. A waiter may come while the waker is about
 * to wake: sleeping on `count`, it would have seen the new one, and then have its bit taken away; and were it
 * a mere bit, another waiter might set that again for the one which has looked before and does not sleep yet.
 */
struct segfs_layout_event {
	uint64_t count;
	uint32_t sleepers; /* futex word: odd if somebody sleeps */
	uint32_t unused[13];
};
static_assert(sizeof(struct segfs_layout_event) == SEGFS_LINE, "a cache line");

/* ------------------------------------------------------------------------------------------------------------
 * The control page: lock and event of one segment, in a file of its own (control.h says where).
 */
#define SEGFS_CONTROL_MAGIC   "SEGFSCTL"
#define SEGFS_CONTROL_VERSION 1
#define SEGFS_CONTROL_READERS 64

/*
 * Locking exclusively: compare-and-swap `owner` from 0, or from SEGFS_OWNER_DIED, to one's thread id
 * (seq_cst), with SEGFS_WAITERS if one has slept on it; then, for each bit of `hint`, wait until that
 * reader's slot is 0 or has SEGFS_OWNER_DIED, which is cleared. Who gives up before it is in puts back
 * SEGFS_OWNER_DIED if it was there. Unlocking: set `crowd` to 0 unless it is; compare-and-swap `owner` from
 * one's thread id to 0 (seq_cst); if SEGFS_WAITERS was set, wake one, or all if `crowd` was not 0 or is not
 * (seq_cst). Who has set `crowd` to 0 wakes all in any case.
 *
 * Locking shared: set one's bit in `hint` (seq_cst) unless it is set, compare-and-swap one's slot from 0 to
 * one's thread id (seq_cst), set the bit again should it be gone, read `owner` (seq_cst). If it has a thread
 * id, give up the slot, set `crowd` (seq_cst), set SEGFS_WAITERS in `owner`, and sleep on that. Unlocking:
 * compare-and-swap the slot to 0 (seq_cst), and wake all if SEGFS_WAITERS was set. Of the two who each write
 * their own word and then read the other's, one sees the other: that is why these are seq_cst.
 *
 * `hint` saves the writer from reading 64 lines. Readers only set bits; the holder of `owner` clears that of
 * a free slot, and sets it again if the slot is not free when looked at once more after that. So a reader
 * that is in has its bit set, and a bit that is set for nobody costs one look. A holder that dies between
 * the two leaves a bit unset: whoever takes `owner` from SEGFS_OWNER_DIED first sets all bits of `hint`.
 *
 * Once an exclusive holder has died, `owner` keeps SEGFS_OWNER_DIED until the next exclusive holder: shared
 * holders are told as well, each time. `deaths` counts the exclusive holders that have died, and is added to
 * by whoever takes over.
 */
struct segfs_layout_control {
	/* Written once, before the file has a name; never again. */
	char magic[8];
	uint32_t version;
	uint32_t size;	    /* of this structure */
	uint64_t ino;	    /* of the segment: a control page says which one it is of */
	uint8_t handle[16]; /* name_to_handle_at(2): generation and inode number; zeros behind its 12 bytes */
	uint8_t unused[24];

	uint32_t owner;	 /* owner word and futex word of the exclusive lock */
	uint32_t deaths; /* by the holder, relaxed; read by anybody */
	uint64_t hint;	 /* which reader slots may be in use */
	uint32_t crowd;	 /* 0 or 1: readers sleep on `owner` */
	uint8_t unused2[44];

	struct segfs_layout_event event; /* publish adds 1; the count is the segment's version */

	uint8_t unused3[SEGFS_LINE];
	struct segfs_layout_member members[SEGFS_MEMBERS];

	struct {
		uint32_t owner; /* owner word and futex word: this reader holds the lock */
		uint8_t unused[SEGFS_LINE - 4];
	} readers[SEGFS_CONTROL_READERS];
};
static_assert(offsetof(struct segfs_layout_control, owner) == 64, "written by lockers");
static_assert(offsetof(struct segfs_layout_control, event) == 128, "written by publishers");
static_assert(offsetof(struct segfs_layout_control, members) == 256, "the rest of the page");
static_assert(offsetof(struct segfs_layout_control, readers) == 4096, "written by readers");
static_assert(sizeof(struct segfs_layout_control) == 8192, "two pages");

/* ------------------------------------------------------------------------------------------------------------
 * The ring: frames of fixed size from one producer to many consumers. The header is at the start of the
 * segment, the frames begin at `offset`; frame number i, counted from 0 for ever, lies at
 * offset + (i % capacity) * stride. The frames fill whole pages, so that they can be mapped twice, one
 * mapping right behind the other: then any `capacity` frames in a row are contiguous, wherever they begin.
 *
 * Three counters tell what can be read: frames before `begun` - `capacity` have been overwritten, or are
 * about to be; those from there to `committed` are whole; those from there to `begun` are being written.
 * Always committed <= begun <= committed + capacity <= 2^63: whoever reads `committed`, `begun` and
 * `committed` again, in this order, and finds anything else reads nonsense, and says so.
 *
 * The producer: take `producer`; go on from `committed`. If the predecessor died, wait SEGFS_RING_SETTLE_NS
 * first, for a system call that one of its threads may still be in. For each frame: wait for room (policy
 * `block`), store `begun`, write the frame, store `committed`.
 *
 * A consumer of a `block` ring takes a place among `consumers` and is waited for. In an `overwrite` ring a
 * place serves only to be seen. Without one, and without any permission to write, whoever can read the
 * segment can follow either ring: read `committed` (acquire), copy the frame, check `begun` as described
 * there.
 */
#define SEGFS_RING_MAGIC     "SEGFSRNG"
#define SEGFS_RING_VERSION   1
#define SEGFS_RING_CONSUMERS 64
#define SEGFS_RING_NDIM	     8
#define SEGFS_RING_SETTLE_NS 5000000

enum {
	SEGFS_RING_BLOCK = 0,	  /* the producer waits for the slowest consumer */
	SEGFS_RING_OVERWRITE = 1, /* it waits for nobody */
};

/*
 * A place for one consumer; free if `owner` is 0 or its owner is dead, whatever the rest says. Written by its
 * consumer alone, but that whoever finds the owner dead may compare-and-swap that to 0.
 */
struct segfs_layout_consumer {
	uint32_t owner; /* owner word */
	uint32_t unused;
	/*
	 * The next frame it wants: all before have been released. It stores (release) `next`, then, behind a
	 * light fence, reads `released.sleepers`; a producer that waits sets the latter, then, behind a heavy
	 * one, reads the former: one sees the other. The producer's read makes the consumer's reads come
	 * before the overwriting.
	 *
	 * The producer may begin frame i if i < next + capacity for each owned place, and it may remember
	 * such an i: no later ones than `capacity` from what was committed when it looked. A consumer joins
	 * by taking `owner` (seq_cst), then, behind a heavy fence, reading `committed`, then storing that
	 * here, or less: from that frame on the producer waits for it. It has either looked before `owner`
	 * was taken, and so before that frame was committed; or it sees the place, with the number of its
	 * former consumer, which is no greater. Earlier frames may be overwritten under the consumer's eyes;
	 * `begun` tells.
	 */
	uint64_t next;
	uint64_t lost; /* frames overwritten before it came to them; for people to look at, relaxed */
	uint8_t unused2[2 * SEGFS_LINE - 24];
};
static_assert(sizeof(struct segfs_layout_consumer) == 2 * SEGFS_LINE, "two, as lines are fetched in pairs");

struct segfs_layout_ring {
	/* Written once, the magic last (release); never again. */
	char magic[8];
	uint32_t version;
	uint32_t policy;
	uint64_t frame_size; /* bytes of data in a frame */
	uint64_t stride;     /* bytes from a frame to the next, a multiple of 64 */
	uint64_t capacity;   /* frames, at least 2; capacity * stride is a multiple of the page size */
	uint64_t offset;     /* of frame 0 in the file, behind this header; a multiple of the page size */
	uint32_t ndim;
	uint32_t unused;
	uint64_t shape[SEGFS_RING_NDIM]; /* of one frame, in C order */
	char dtype[3976];		 /* of its elements, as numpy writes it, ends in NUL */

	/* The producer's. */
	uint32_t producer; /* owner word: there is one at a time */
	uint32_t epoch;	   /* how many there have been; by the producer, relaxed */
	uint64_t dropped;  /* consumers that died in their place; added to by who frees that, relaxed */
	uint8_t unused2[SEGFS_LINE - 16];

	/*
	 * Frames begun: stored (release, so that it is not seen before the `committed` that allowed it)
	 * before the first byte of a frame is written, with a release fence behind. A consumer reads a frame,
	 * issues an acquire fence, and reads this (relaxed): frame i was not touched meanwhile if begun <= i
	 * + capacity. Never less than before: a frame that a dead producer began is begun again under the
	 * same number, and `begun` stays as it is until more are.
	 */
	uint64_t begun;
	uint8_t unused3[SEGFS_LINE - 8];

	/* The count: frames that can be read. Only the producer changes it: it stores (release), then, behind
	 * a light fence, looks for sleepers and at places. Who sleeps has a heavy one; who only reads frames
	 * reads it with acquire. */
	struct segfs_layout_event committed;
	/* Counts nothing. A producer that finds no room sets `sleepers`, looks once more behind a heavy
	 * fence, and sleeps; a consumer that has changed `next`, or left, wakes it. */
	struct segfs_layout_event released;

	struct segfs_layout_member members[SEGFS_MEMBERS];

	struct segfs_layout_consumer consumers[SEGFS_RING_CONSUMERS];
};
static_assert(offsetof(struct segfs_layout_ring, dtype) == 120, "behind what is fixed");
static_assert(offsetof(struct segfs_layout_ring, producer) == 4096, "a page of its own");
static_assert(offsetof(struct segfs_layout_ring, members) == 4096 + 4 * SEGFS_LINE, "the rest of the page");
static_assert(offsetof(struct segfs_layout_ring, consumers) == 8192, "and another");
static_assert(sizeof(struct segfs_layout_ring) == 16384, "four pages");

/* ------------------------------------------------------------------------------------------------------------
 * The table: the fields of one record, each read and written on its own, and all of them read as they were at
 * one moment. The header is at the start of the segment; behind it come `n_fields` entries, one for each
 * named field of the dtype, in its order; behind these the values, SEGFS_TABLE_COPIES of each. The copies of
 * a field lie side by side, and no two fields' copies share a byte.
 */
#define SEGFS_TABLE_MAGIC   "SEGFSTBL"
#define SEGFS_TABLE_VERSION 1
#define SEGFS_TABLE_NAME    32
#define SEGFS_TABLE_COPIES  4

/*
 * STATE is one word, so that it changes in one step:
 *
 *	bits 0-1   `now`: the copy that is the value
 *	bits 2-3   `kept`: the copy that was the value when the last snapshot was taken
 *	bit 4      the low bit of the age (below) that the field is in
 *	bits 5-63  a serial number, grows with every change of this word
 *
 * Reading: read `state` (seq_cst), the copy `now`, issue an acquire fence, and read `state` again (relaxed).
 * The value is whole if the serial number has grown by 1 at most.
 *
 * Writing: take `owner` (acquire) and read `state` (seq_cst). Of the copies behind `now`, in turn, take the
 * first that is not `kept`. Issue a release fence; write the copy and its number in `counts`, one more than
 * that of `now`. Then read `state` and after it `age` (both seq_cst). If `age` is odd, help (below) and
 * read both again. Else compare-and-swap `state` (seq_cst) to have the copy as `now` and the serial number
 * 1 higher; if that fails, read both again. Let go of `owner`. A writer that dies has changed nothing that
 * is read, or all of it.
 *
 * Why a reader may be one change behind: a copy that was the value is written into again only after two more
 * changes, and the fence comes between those and the writing. That is what the fourth copy is for, beside
 * `now`, `kept` and the one being written: a reader as slow as the writer gets through.
 *
 * A SNAPSHOT is the record as it was when `age` became even. `age` is twice the number of these so far,
 * and odd while one is taken. Whoever takes one holds `taker`, the owner word of the header, helps if `age`
 * is odd already, adds 1 to `age` (compare-and-swap, seq_cst) and helps; the record is then made of all
 * `kept` copies, and is right if `age` is the same behind an acquire fence. To help with the odd age a: for
 * each field, read `state` and then `age` (both seq_cst); stop if `age` is not a any more; pass over the
 * field if its bit 4 is not bit 1 of a; else compare-and-swap `state` (seq_cst) to have `kept` = `now`, bit
 * 4 inverted and a serial number 1 higher, and look again if that fails. When all are done,
 * compare-and-swap `age` from a to a + 1 (seq_cst).
 *
 * Once a field has been helped, nothing is committed to it until `age` is even: a writer that has read an
 * even age before has its compare-and-swap fail. So at the moment when `age` becomes even, `kept` is `now`
 * in all fields. Nobody waits for anybody: a writer that meets an odd age helps, which is one
 * compare-and-swap a field. Whoever may only read takes all states, all values and all states again until
 * none has changed.
 */
struct segfs_layout_field {
	char name[SEGFS_TABLE_NAME]; /* UTF-8, ends in NUL unless it is that long; written once */
	uint64_t offset;	     /* of copy 0 in the file, a multiple of 64; written once */
	uint64_t stride;	     /* from a copy to the next, a multiple of 64; written once */
	uint64_t size;		     /* bytes of a value, not 0; written once */
	uint64_t at;		     /* where it is in the record; written once */

	uint64_t state;
	uint64_t counts[SEGFS_TABLE_COPIES]; /* which value a copy holds: 0, the first; or the n-th written */
	uint32_t owner;			     /* owner word and futex word: a writer is at it */
	uint8_t unused[SEGFS_LINE - 44];
};
static_assert(offsetof(struct segfs_layout_field, state) == SEGFS_LINE, "apart from what never changes");
static_assert(offsetof(struct segfs_layout_field, owner) == SEGFS_LINE + 40, "with what its holder writes");
static_assert(sizeof(struct segfs_layout_field) == 2 * SEGFS_LINE, "two lines");

struct segfs_layout_table {
	/* Written once, the magic last (release); never again. */
	char magic[8];
	uint32_t version;
	uint32_t n_fields;
	uint64_t record_size; /* itemsize of the dtype, bytes */
	uint8_t unused[40];

	uint64_t age; /* read by all writers, changed by snapshots only */
	uint8_t unused2[SEGFS_LINE - 8];

	uint32_t taker; /* owner word and futex word: a snapshot is being taken */
	uint8_t unused3[SEGFS_LINE - 4];

	char dtype[3904]; /* of the record, a descr list as numpy writes it, ends in NUL; written once */

	struct segfs_layout_member members[SEGFS_MEMBERS];
	uint8_t unused4[4096 - 8 * SEGFS_MEMBERS];

#ifndef __cplusplus /* which has no such arrays: they begin where this ends */
	struct segfs_layout_field fields[];
#endif
};
static_assert(offsetof(struct segfs_layout_table, age) == SEGFS_LINE, "apart from what never changes");
static_assert(offsetof(struct segfs_layout_table, taker) == 2 * SEGFS_LINE, "waited for, age is not");
static_assert(offsetof(struct segfs_layout_table, members) == 4096, "a page");
static_assert(sizeof(struct segfs_layout_table) == 8192, "and another; the fields come behind it");

SEGFS_END
