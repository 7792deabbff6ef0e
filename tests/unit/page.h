/* SPDX-License-Identifier: MIT */
#pragma once

/* A control page without the file names around it. */
#include <check.h>
#include <segfs/layout.h>

#include "file_on_tmpfs.h"
#include "lock.h"
#include "robust.h"

static inline int new_page(void)
{
	int fd = file_on_tmpfs("", 0);

	ck_assert_int_eq(ftruncate(fd, sizeof(struct segfs_layout_control)), 0);
	return fd;
}

static inline struct segfs_robust *map_page(int fd)
{
	struct segfs_robust *area = NULL;

	ck_assert_int_eq(segfs_robust_map(fd, sizeof(struct segfs_layout_control), true, segfs_lock_words,
					  SEGFS_LOCK_WORDS, &area),
			 0);
	return area;
}

static inline struct segfs_layout_control *page_of(const struct segfs_robust *area)
{
	return segfs_robust_data(area);
}

static inline uint32_t self_of(struct segfs_robust *area)
{
	int owner = segfs_robust_owner(area);

	ck_assert_int_gt(owner, 0);
	return (uint32_t)owner;
}
