/* SPDX-License-Identifier: MIT */
#pragma once

/* When a segment shall be removed: the value of user.shm.lifetime. */
#include <stddef.h>
#include <stdint.h>

enum segfs_lifetime_kind {
	SEGFS_KEEP,	 /* never */
	SEGFS_CREATOR,	 /* its creator has ended, and nobody has it attached */
	SEGFS_LAST_USER, /* it was attached once, and no longer is */
	SEGFS_TTL,	 /* nobody has had it attached for a while */
};

struct segfs_lifetime {
	enum segfs_lifetime_kind kind;
	uint32_t ttl_s; /* of SEGFS_TTL; at least 1 */
};

/* Parse "keep", "creator", "last-user" or "ttl N", N in seconds up to 1,000,000,000. 0 or -EINVAL. */
int segfs_lifetime_parse(const char *text, size_t len, struct segfs_lifetime *ret_lifetime);

/* Write it in the same form. */
#define SEGFS_LIFETIME_MAX 24
void segfs_lifetime_format(const struct segfs_lifetime *lifetime, char ret_text[SEGFS_LIFETIME_MAX]);
