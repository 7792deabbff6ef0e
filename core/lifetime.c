/* SPDX-License-Identifier: MIT */
#include "lifetime.h"

#include <inttypes.h>
#include <stdio.h>

#include "util.h"

#define TTL_MAX UINT32_C(1000000000)

static const char *const names[] = {
	[SEGFS_KEEP] = "keep",
	[SEGFS_CREATOR] = "creator",
	[SEGFS_LAST_USER] = "last-user",
	[SEGFS_TTL] = "ttl",
};

static int parse_ttl(const char *text, size_t len, struct segfs_lifetime *ret_lifetime)
{
	uint64_t ttl = 0;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		ttl = ttl * 10 + (uint64_t)(text[i] - '0');
		if (ttl > TTL_MAX)
			return -EINVAL;
	}
	if (ttl == 0)
		return -EINVAL;
	*ret_lifetime = (struct segfs_lifetime){.kind = SEGFS_TTL, .ttl_s = (uint32_t)ttl};
	return 0;
}

int segfs_lifetime_parse(const char *text, size_t len, struct segfs_lifetime *ret_lifetime)
{
	static const char ttl[] = "ttl ";

	if (len >= sizeof(ttl) - 1 && !memcmp(text, ttl, sizeof(ttl) - 1))
		return parse_ttl(text + sizeof(ttl) - 1, len - (sizeof(ttl) - 1), ret_lifetime);
	for (enum segfs_lifetime_kind kind = SEGFS_KEEP; kind < SEGFS_TTL; kind++) {
		if (len != strlen(names[kind]) || memcmp(text, names[kind], len))
			continue;
		*ret_lifetime = (struct segfs_lifetime){.kind = kind};
		return 0;
	}
	return -EINVAL;
}

void segfs_lifetime_format(const struct segfs_lifetime *lifetime, char ret_text[SEGFS_LIFETIME_MAX])
{
	if (lifetime->kind == SEGFS_TTL)
		snprintf(ret_text, SEGFS_LIFETIME_MAX, "ttl %" PRIu32, lifetime->ttl_s);
	else
		snprintf(ret_text, SEGFS_LIFETIME_MAX, "%s", names[lifetime->kind]);
}
