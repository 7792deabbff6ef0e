/* SPDX-License-Identifier: MIT */
#include "barrier.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

uint32_t segfs_barrier_registered;

void segfs_barrier_register(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0)
		word_store_relaxed(&segfs_barrier_registered, 1);
}

bool segfs_barrier_heavy(void)
{
	fence_seq_cst(); /* for ourselves, whatever the kernel says */
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}
