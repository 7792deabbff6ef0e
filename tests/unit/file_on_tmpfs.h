/* SPDX-License-Identifier: MIT */
#pragma once

/* A nameless file on tmpfs, which has room for attributes; /dev/shm is one on every Linux. */
#include <check.h>
#include <fcntl.h>
#include <unistd.h>

static inline int file_on_tmpfs(const void *bytes, size_t len)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, 0), (ssize_t)len);
	return fd;
}
