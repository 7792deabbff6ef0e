/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Every access to shared words goes through here, each with the memory order that segfs/layout.h gives for it
 * and beside its partner. The words are plain integers in structures that C++ can read as well; GCC's
 * __atomic builtins act on those. A `word` has 32 bits, a `count` 64.
 *
 * What is read is a stranger's: each load makes a copy, to be checked and then used.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "segfs/layout.h is little-endian");
static_assert(__atomic_always_lock_free(sizeof(uint64_t), 0), "processes share no hidden lock");

/* ------------------------------------------------------------------------------------------------------------
 * Relaxed: no partner. For people to look at, or looked at again by what follows.
 */
static inline uint32_t word_load_relaxed(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void word_store_relaxed(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline uint64_t count_load_relaxed(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static inline void count_store_relaxed(uint64_t *count, uint64_t value)
{
	__atomic_store_n(count, value, __ATOMIC_RELAXED);
}

/* ------------------------------------------------------------------------------------------------------------
 * Release and acquire: what was written before the one is seen after the other, if that sees its value.
 */

/* Partner: any *_release or *_seq_cst of the same word. */
static inline uint32_t word_load_acquire(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Partner: word_load_acquire(). */
static inline void word_store_release(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Partner: count_store_release(), count_add_release(), count_add_seq_cst(). */
static inline uint64_t count_load_acquire(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

/* Partner: count_load_acquire(). */
static inline void count_store_release(uint64_t *count, uint64_t value)
{
	__atomic_store_n(count, value, __ATOMIC_RELEASE);
}

/* Partner: count_load_acquire(). The count before. */
static inline uint64_t count_add_release(uint64_t *count, uint64_t n)
{
	return __atomic_fetch_add(count, n, __ATOMIC_RELEASE);
}

/* Letting go of an owner word. Partner: word_cas_seq_cst(), by which the next one takes it. The word before.
 */
static inline uint32_t word_exchange_release(uint32_t *word, uint32_t value)
{
	return __atomic_exchange_n(word, value, __ATOMIC_RELEASE);
}

/* ------------------------------------------------------------------------------------------------------------
 * Pointers, which no other process can use: set once, by whichever thread comes first.
 */

/* Partner: pointer_set_once(). */
static inline void *pointer_load_acquire(void *const *pointer)
{
	return __atomic_load_n(pointer, __ATOMIC_ACQUIRE);
}

/* What it is now: `value`, or what another thread has set it to before. Partner: pointer_load_acquire(). */
static inline void *pointer_set_once(void **pointer, void *value)
{
	void *other = NULL;

	if (__atomic_compare_exchange_n(pointer, &other, value, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return value;
	return other;
}

/* ------------------------------------------------------------------------------------------------------------
 * Sequentially consistent: of two who each write their own word and then read the other's, one sees the
 * other. Each is the other's partner.
 */
static inline uint32_t word_load_seq_cst(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline void word_store_seq_cst(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* The word before. */
static inline uint32_t word_exchange_seq_cst(uint32_t *word, uint32_t value)
{
	return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

/* The word before. */
static inline uint32_t word_or_seq_cst(uint32_t *word, uint32_t bits)
{
	return __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

/* The word before. */
static inline uint32_t word_and_seq_cst(uint32_t *word, uint32_t bits)
{
	return __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST);
}

/* The word before. */
static inline uint32_t word_add_seq_cst(uint32_t *word, uint32_t n)
{
	return __atomic_fetch_add(word, n, __ATOMIC_SEQ_CST);
}

/* False, and what was there instead in *expected, if it was not *expected. Never fails for nothing. */
static inline bool word_cas_seq_cst(uint32_t *word, uint32_t *expected, uint32_t value)
{
	return __atomic_compare_exchange_n(word, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline uint64_t count_load_seq_cst(const uint64_t *count)
{
	return __atomic_load_n(count, __ATOMIC_SEQ_CST);
}

static inline void count_store_seq_cst(uint64_t *count, uint64_t value)
{
	__atomic_store_n(count, value, __ATOMIC_SEQ_CST);
}

/* The count before. */
static inline uint64_t count_add_seq_cst(uint64_t *count, uint64_t n)
{
	return __atomic_fetch_add(count, n, __ATOMIC_SEQ_CST);
}

/* The count before. */
static inline uint64_t count_or_seq_cst(uint64_t *count, uint64_t bits)
{
	return __atomic_fetch_or(count, bits, __ATOMIC_SEQ_CST);
}

/* The count before. */
static inline uint64_t count_and_seq_cst(uint64_t *count, uint64_t bits)
{
	return __atomic_fetch_and(count, bits, __ATOMIC_SEQ_CST);
}

/* As word_cas_seq_cst(). */
static inline bool count_cas_seq_cst(uint64_t *count, uint64_t *expected, uint64_t value)
{
	return __atomic_compare_exchange_n(count, expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ------------------------------------------------------------------------------------------------------------
 * Fences, for seqlocks: data that is read while it may be written.
 */

/* Between the reading of data and the second look at the counter. Partner: fence_release(). */
static inline void fence_acquire(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* Between the counter that says "being written" and the writing. Partner: fence_acquire(). */
static inline void fence_release(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

/* Between a write of one's own and a read of another's, where neither is seq_cst itself. Partner: itself. */
static inline void fence_seq_cst(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Only the compiler is kept from changing the order. See barrier.h. */
static inline void fence_compiler(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* In a loop that waits for another processor. */
static inline void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory"); /* "yield" is a nop on most; isb waits about as long as pause */
#endif
}
