/* SPDX-License-Identifier: MIT */
#include "lifetimes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "creator.h"
#include "note.h"
#include "util.h"

#define LIFETIME_NOTE NOTE_PREFIX "lifetime"
#define USE_NOTE      NOTE_PREFIX "use"

static const char *const states[] = {
	[LIFETIMES_UNUSED] = "unused",
	[LIFETIMES_IDLE] = "idle",
	[LIFETIMES_ATTACHED] = "attached",
};

int64_t lifetimes_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int lifetimes_get(int fd, ino_t ino, struct segfs_lifetime *ret_lifetime)
{
	char text[NOTE_MAX];
	ssize_t n = note_read(fd, LIFETIME_NOTE, ino, text);

	if (n < 0 && n != -ENODATA)
		return (int)n;
	if (n < 0 || segfs_lifetime_parse(text, (size_t)n, ret_lifetime) < 0)
		*ret_lifetime = (struct segfs_lifetime){.kind = SEGFS_KEEP};
	return 0;
}

/* The use comes first: a lifetime must never meet the use that an earlier one has left. */
static int set(int fd, ino_t ino, bool is_dir, const struct segfs_lifetime *lifetime, bool attached)
{
	const struct lifetimes_use use = {.state = attached ? LIFETIMES_ATTACHED : LIFETIMES_UNUSED,
					  .since_ms = lifetimes_now_ms()};
	char text[SEGFS_LIFETIME_MAX];
	struct segfs_process creator;
	int r = 0;

	if (!is_dir && lifetime->kind == SEGFS_CREATOR && creator_get(fd, ino, &creator) < 0)
		return -EINVAL;
	if (!is_dir && lifetime->kind != SEGFS_CREATOR)
		r = lifetimes_set_use(fd, ino, &use);
	segfs_lifetime_format(lifetime, text);
	return r < 0 ? r : note_write(fd, LIFETIME_NOTE, ino, text);
}

int lifetimes_set(int fd, ino_t ino, bool is_dir, const struct segfs_lifetime *lifetime, bool attached)
{
	return lifetime->kind == SEGFS_KEEP ? note_remove(fd, LIFETIME_NOTE)
					    : set(fd, ino, is_dir, lifetime, attached);
}

bool lifetimes_inherit(int dir_fd, int fd, bool is_dir, bool attached)
{
	struct segfs_lifetime lifetime;
	struct stat dir, st;

	if (fstat(dir_fd, &dir) < 0 || lifetimes_get(dir_fd, dir.st_ino, &lifetime) < 0 ||
	    lifetime.kind == SEGFS_KEEP || fstat(fd, &st) < 0)
		return false;
	return set(fd, st.st_ino, is_dir, &lifetime, attached) == 0;
}

int lifetimes_get_use(int fd, ino_t ino, struct lifetimes_use *ret_use)
{
	char text[NOTE_MAX], word[16];
	int64_t since_ms;
	ssize_t n = note_read(fd, USE_NOTE, ino, text);

	if (n < 0)
		return (int)n;
	if (sscanf(text, "%15s %" SCNd64, word, &since_ms) != 2)
		return -ENODATA;
	for (unsigned i = 0; i < COUNT_OF(states); i++) {
		if (strcmp(word, states[i]))
			continue;
		*ret_use = (struct lifetimes_use){.state = i, .since_ms = since_ms};
		return 0;
	}
	return -ENODATA;
}

int lifetimes_set_use(int fd, ino_t ino, const struct lifetimes_use *use)
{
	char text[NOTE_MAX];

	snprintf(text, sizeof(text), "%s %" PRId64, states[use->state], use->since_ms);
	return note_write(fd, USE_NOTE, ino, text);
}
