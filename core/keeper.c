/* SPDX-License-Identifier: MIT */
#include "keeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomics.h"
#include "barrier.h"
#include "futex.h"
#include "robust.h"

enum {
	MAX_KEEPERS = 4096,
	STACK_SIZE = 64 << 10, /* of address space */
};

static struct pool {
	pthread_mutex_t mutex; /* all zeros is unlocked */
	size_t n;
	struct segfs_keeper keepers[MAX_KEEPERS];
} * pool;
static int pool_error;

static void make_pool(void)
{
	void *memory = mmap(NULL, sizeof(*pool), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, sizeof(*pool), MADV_WIPEONFORK) < 0)
		pool_error = -errno;
	else
		pool = memory;
}

int segfs_keepers_lock(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_pool);
	return pool ? -pthread_mutex_lock(&pool->mutex) : pool_error;
}

void segfs_keepers_unlock(void)
{
	pthread_mutex_unlock(&pool->mutex);
}

struct segfs_keeper *segfs_keeper_next(struct segfs_keeper *keeper)
{
	struct segfs_keeper *next = keeper ? keeper + 1 : pool->keepers;

	return next < pool->keepers + pool->n ? next : NULL;
}

size_t segfs_keepers_count(void)
{
	return pool->n;
}

/* glibc has registered a list of its own for the robust mutexes of this thread, which never has any. */
static void *keep(void *arg)
{
	struct segfs_keeper *keeper = arg;

	prctl(PR_SET_NAME, "segfs-keeper");
	keeper->tid = (uint32_t)gettid();
	if (syscall(SYS_set_robust_list, &keeper->head, sizeof(keeper->head)) < 0)
		keeper->error = -errno;
	word_store_release(&keeper->started, 1);
	segfs_futex_wake(&keeper->started, 1);
	while (keeper->error == 0)
		pause();
	return NULL;
}

static int start_thread_of(struct segfs_keeper *keeper, size_t stack_size)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	r = pthread_attr_init(&attr);
	if (r != 0)
		return -r;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (stack_size > 0)
		pthread_attr_setstacksize(&attr, stack_size);
	r = pthread_create(&thread, &attr, keep, keeper);
	pthread_attr_destroy(&attr);
	return -r;
}

/* With all signals blocked, which the thread inherits: a program's handlers never run on a keeper. */
static int start_thread(struct segfs_keeper *keeper)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = start_thread_of(keeper, STACK_SIZE);
	if (r == -EINVAL) /* too small for this program's thread-local variables */
		r = start_thread_of(keeper, 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int segfs_keeper_start(struct segfs_keeper **ret_keeper)
{
	struct segfs_keeper *keeper = &pool->keepers[pool->n];
	int r;

	if (pool->n == MAX_KEEPERS)
		return -EAGAIN;
	segfs_barrier_register(); /* for segfs_robust_settle() of others, too */
	*keeper = (struct segfs_keeper){.head.futex_offset = -(long)SEGFS_ROBUST_MAX};
	keeper->head.list.next = &keeper->head.list;
	r = start_thread(keeper);
	if (r < 0)
		return r;
	while (word_load_acquire(&keeper->started) == 0)
		segfs_futex_wait(&keeper->started, 0, SEGFS_FUTEX_NEVER, INT64_MAX);
	if (keeper->error < 0)
		return keeper->error;
	pool->n++;
	*ret_keeper = keeper;
	return 0;
}

/* A single store that the kernel sees or not. Partner: the kernel's walk, when the keeper ends. */
static void point(struct robust_list *node, struct robust_list *to)
{
	__atomic_store_n(&node->next, to, __ATOMIC_RELEASE);
}

void segfs_keeper_link(struct segfs_keeper *keeper, struct segfs_chain *chain)
{
	point(chain->last, keeper->head.list.next);
	point(&keeper->head.list, chain->first);
	chain->behind = keeper->chains;
	keeper->chains = chain;
	keeper->n_words += chain->n_words;
}

void segfs_keeper_unlink(struct segfs_keeper *keeper, struct segfs_chain *chain)
{
	struct robust_list *before = &keeper->head.list;
	struct segfs_chain **at = &keeper->chains;

	for (; *at != chain; at = &(*at)->behind)
		before = (*at)->last;
	point(before, chain->last->next);
	*at = chain->behind;
	keeper->n_words -= chain->n_words;
}
