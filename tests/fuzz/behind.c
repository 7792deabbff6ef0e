/* SPDX-License-Identifier: MIT */
#include "behind.h"

#include <dirent.h>
#include <segfs/layout.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "daemon.h"
#include "words.h"

/* Of a file: the header of a ring or table, and a little more. */
#define SPOILED 9216

static void set_attribute(struct input *in, int fd)
{
	const char *name = attributes.texts[draw_byte(in) % attributes.n];
	const char *value = values.texts[draw_byte(in) % values.n];

	fsetxattr(fd, name, value, strlen(value), 0);
}

static void act_on_name(struct input *in, int dir, const char *name, const char *other, uint8_t what)
{
	SEGFS_CLOSE int fd = openat(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (what % 8 == 0)
		unlinkat(dir, name, 0);
	else if (what % 8 == 1)
		renameat(dir, name, dir, other);
	else if (what % 8 == 2)
		symlinkat(other, dir, name);
	else if (what % 8 == 3)
		linkat(dir, name, dir, other, 0);
	else if (what % 8 == 4 && fd >= 0)
		MUST(ftruncate(fd, draw_byte(in)) == 0);
	else if (what % 8 == 5 && fd >= 0)
		fchmod(fd, (mode_t)draw_number(in, 2) & 07777);
	else if (what % 8 == 6 && fd >= 0)
		scribble(in, fd, SPOILED);
	else if (fd >= 0)
		set_attribute(in, fd);
}

/* To a control page, whichever is found first. */
static void act_on_page(struct input *in, int store, uint8_t what)
{
	int pages = openat(store, ".segfs-control", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = pages < 0 ? NULL : fdopendir(pages);
	struct dirent *entry = NULL;
	SEGFS_CLOSE int fd = -1;

	while (dir && (entry = readdir(dir)) && *entry->d_name == '.')
		;
	if (entry)
		fd = openat(pages, entry->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && what % 4 == 0)
		unlinkat(pages, entry->d_name, 0);
	else if (fd >= 0 && what % 4 == 1)
		MUST(ftruncate(fd, draw_byte(in)) == 0);
	else if (fd >= 0)
		scribble(in, fd, sizeof(struct segfs_layout_control));
	if (dir)
		closedir(dir);
}

void act_behind(struct input *in)
{
	char own[OWN_WORD], other_own[OWN_WORD];
	const char *name = draw_word(in, &names, own);
	const char *other = draw_word(in, &names, other_own);
	SEGFS_CLOSE int dir = open(STORE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	uint8_t what = draw_byte(in);

	MUST(dir >= 0);
	if (what >= 192)
		act_on_page(in, dir, what);
	else if (!strchr(name, '/') && !strchr(other, '/'))
		act_on_name(in, dir, name, other, what);
}
