/* SPDX-License-Identifier: MIT */

/*
 * lock: what taking and letting go of a segment's lock costs, beside a robust process-shared mutex of the C
 * library. With others at it, the time is that of all processes together, divided by how often the lock was
 * taken.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atomics.h"
#include "lock.h"
#include "robust.h"
#include "rounds.h"

static struct segfs_robust *area;
static struct segfs_layout_control *page;

static struct shared {
	pthread_mutex_t mutex;
	uint64_t apart[16], counter;
	uint32_t ready, go;
} * shared;

static void make_page(void)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*page)) < 0 ||
	    segfs_robust_map(fd, sizeof(*page), true, segfs_lock_words, SEGFS_LOCK_WORDS, &area) < 0)
		err(1, "control page");
	page = segfs_robust_data(area);
}

static void make_mutex(void)
{
	pthread_mutexattr_t attr;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		err(1, "mmap");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&shared->mutex, &attr);
}

/* As the public functions do, which ask for the owner each time. */
static void use_lock(int times)
{
	for (int i = 0; i < times; i++) {
		segfs_lock_take(page, (uint32_t)segfs_robust_owner(area), -1);
		shared->counter++;
		segfs_lock_drop(page, (uint32_t)segfs_robust_owner(area));
	}
}

static void use_shared_lock(int times)
{
	unsigned slot;

	for (int i = 0; i < times; i++) {
		segfs_lock_join(page, (uint32_t)segfs_robust_owner(area), -1, &slot);
		segfs_lock_part(page, (uint32_t)segfs_robust_owner(area), slot);
	}
}

static void use_mutex(int times)
{
	for (int i = 0; i < times; i++) {
		pthread_mutex_lock(&shared->mutex);
		shared->counter++;
		pthread_mutex_unlock(&shared->mutex);
	}
}

static double alone(void (*use)(int), int times)
{
	double begin = now_ns();

	use(times);
	return now_ns() - begin;
}

static double lock_alone(int times)
{
	return alone(use_lock, times);
}

static double shared_lock_alone(int times)
{
	return alone(use_shared_lock, times);
}

static double mutex_alone(int times)
{
	return alone(use_mutex, times);
}

static int n_processes;

static void contend(void (*use)(int), int times)
{
	if (fork() != 0)
		return;
	if (segfs_robust_owner(area) < 0)
		errx(1, "owner");
	word_add_seq_cst(&shared->ready, 1);
	while (word_load_acquire(&shared->go) == 0)
		cpu_pause();
	use(times);
	_exit(0);
}

/* The time in which all processes together have done it `times` times. */
static double crowd(void (*use)(int), int times)
{
	double begin;

	shared->ready = shared->go = 0;
	for (int i = 0; i < n_processes; i++)
		contend(use, times / n_processes);
	while (word_load_acquire(&shared->ready) < (uint32_t)n_processes)
		usleep(100);
	begin = now_ns();
	word_store_release(&shared->go, 1);
	while (wait(NULL) > 0)
		;
	return now_ns() - begin;
}

static double lock_crowd(int times)
{
	return crowd(use_lock, times);
}

static double mutex_crowd(int times)
{
	return crowd(use_mutex, times);
}

int main(void)
{
	make_mutex();
	make_page();
	describe("Lock",
		 "Take and let go, C: segfs/lock.h beside a robust process-shared mutex. With several "
		 "processes, the time of all together by how often it was taken.");
	alternate("exclusive, alone", "",
		  (struct side[]){{"segfs", lock_alone}, {"robust mutex", mutex_alone}}, 2, 101, 200000);
	alternate("shared, alone (the mutex: exclusive)", "",
		  (struct side[]){{"segfs", shared_lock_alone}, {"robust mutex", mutex_alone}}, 2, 101,
		  200000);
	for (n_processes = 2; n_processes <= 4; n_processes++) {
		char name[40];

		snprintf(name, sizeof(name), "exclusive, %d processes", n_processes);
		alternate(name, "", (struct side[]){{"segfs", lock_crowd}, {"robust mutex", mutex_crowd}}, 2,
			  21, 200000);
	}
	return 0;
}
