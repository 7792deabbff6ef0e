/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * On which NUMA nodes the pages of a file on tmpfs are put, as text:
 *
 *	interleave	on all nodes in turn
 *	interleave 0,2	on these
 *	bind 1		on this one, or these, alone
 *	local		on that of whoever touches a page first
 *	default		as the policy of whoever touches it says: so it is unless set
 *
 * The kernel keeps it with the file as long as that exists, and whoever first touches a page, by whatever
 * path, obeys it. Pages that are there stay where they are. Source: mbind(2), numa(7). Built without libnuma
 * there is nothing of it.
 */
#include <stddef.h>
#include <sys/types.h>

/*
 * Set it for the file `fd`, open for reading: for the first tebibyte, or for all of a larger one (less
 * where the process has not so much address space). `text` is `len` bytes of anything. 0, or -EINVAL (none of
 * the above, or a node that does not exist), -EOPNOTSUPP (built without libnuma, or a kernel without NUMA),
 * or -errno of fstat(2), mmap(2) or mbind(2). Any thread.
 */
int segfs_placement_set(int fd, const char *text, size_t len);

/*
 * What is set, in the form above; "other" if somebody has set by mbind(2) what cannot be said in it.
 * *ret_text is to be freed. Its length, or -EOPNOTSUPP as above, -ENOMEM, or -errno of mmap(2) or
 * get_mempolicy(2).
 */
ssize_t segfs_placement_get(int fd, char **ret_text);
