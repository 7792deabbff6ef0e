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

#define LIFETIME_NOTE NOTE_PREFIX "lifetime"
#define USED_NOTE     NOTE_PREFIX "used"

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

int lifetimes_set(int fd, ino_t ino, bool is_dir, const struct segfs_lifetime *lifetime)
{
	char text[SEGFS_LIFETIME_MAX];
	struct segfs_process creator;

	if (lifetime->kind == SEGFS_KEEP)
		return note_remove(fd, LIFETIME_NOTE);
	if (lifetime->kind == SEGFS_CREATOR && !is_dir && creator_get(fd, ino, &creator) < 0)
		return -EINVAL;
	segfs_lifetime_format(lifetime, text);
	return note_write(fd, LIFETIME_NOTE, ino, text);
}

bool lifetimes_inherit(int dir_fd, int fd, bool is_dir)
{
	struct segfs_lifetime lifetime;
	struct stat dir, st;

	if (fstat(dir_fd, &dir) < 0 || fstat(fd, &st) < 0)
		return false;
	if (lifetimes_get(dir_fd, dir.st_ino, &lifetime) < 0 || lifetime.kind == SEGFS_KEEP)
		return false;
	return lifetimes_set(fd, st.st_ino, is_dir, &lifetime) == 0;
}

int lifetimes_used(int fd, ino_t ino, int64_t *ret_time_s)
{
	char text[NOTE_MAX];
	ssize_t n = note_read(fd, USED_NOTE, ino, text);

	if (n < 0)
		return (int)n;
	return sscanf(text, "%" SCNd64, ret_time_s) == 1 ? 0 : -ENODATA;
}

int lifetimes_note_use(int fd, ino_t ino)
{
	struct timespec now;
	char text[NOTE_MAX];

	clock_gettime(CLOCK_BOOTTIME, &now);
	snprintf(text, sizeof(text), "%jd", (intmax_t)now.tv_sec);
	return note_write(fd, USED_NOTE, ino, text);
}
