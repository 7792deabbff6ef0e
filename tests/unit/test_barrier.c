/* SPDX-License-Identifier: MIT */
#include "barrier.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

enum { ROUNDS = 20000 };

/* Each writes its own word of a round and reads the other's. The words lie on lines of their own. */
static struct {
	uint32_t word __attribute__((aligned(64)));
	uint32_t arrived __attribute__((aligned(64)));
	uint32_t seen[ROUNDS + 1];
} sides[2];

static void meet(int side, uint32_t round)
{
	word_store_release(&sides[side].arrived, round);
	for (int i = 1; word_load_acquire(&sides[!side].arrived) < round; i++)
		if (i % 4096 == 0) /* the other has no processor */
			sched_yield();
}

static void *run_light(void *arg)
{
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		meet(0, i);
		word_store_relaxed(&sides[0].word, i);
		segfs_barrier_light();
		sides[0].seen[i] = word_load_relaxed(&sides[1].word);
	}
	return arg;
}

static void run_heavy(void)
{
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		meet(1, i);
		word_store_relaxed(&sides[1].word, i);
		segfs_barrier_heavy();
		sides[1].seen[i] = word_load_relaxed(&sides[0].word);
	}
}

/* What is wrong if fences are missing is seen in some of the rounds, on machines that have two processors. */
static int count_overlooked(void)
{
	pthread_t thread;
	int n = 0;

	sides[0].arrived = sides[1].arrived = sides[0].word = sides[1].word = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, run_light, NULL), 0);
	run_heavy();
	pthread_join(thread, NULL);
	for (uint32_t i = 1; i <= ROUNDS; i++)
		n += sides[0].seen[i] < i && sides[1].seen[i] < i;
	return n;
}

START_TEST(light_and_heavy_see_each_other)
{
	segfs_barrier_register();
	ck_assert_int_eq(count_overlooked(), 0);
}
END_TEST

/* From here on, this process has a kernel without membarrier(2). */
static void forbid_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
}

static void in_child(void (*run)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		forbid_membarrier();
		segfs_barrier_registered = 0;
		segfs_barrier_register();
		run();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static void expect_refusal(void)
{
	if (segfs_barrier_registered || segfs_barrier_heavy())
		_exit(1);
}

static void expect_none_overlooked(void)
{
	if (count_overlooked() > 0)
		_exit(1);
}

START_TEST(without_membarrier_heavy_says_so)
{
	in_child(expect_refusal);
}
END_TEST

START_TEST(without_membarrier_light_is_a_full_fence)
{
	in_child(expect_none_overlooked);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("barrier");
	TCase *tcase = tcase_create("barrier");

	tcase_add_test(tcase, light_and_heavy_see_each_other);
	tcase_add_test(tcase, without_membarrier_heavy_says_so);
	tcase_add_test(tcase, without_membarrier_light_is_a_full_fence);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return run_suite(suite);
}
