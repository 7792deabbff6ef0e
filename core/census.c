/* SPDX-License-Identifier: MIT */
#include "census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A failed allocation inside uthash is reported, not fatal: the entry is then simply not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "procfs.h"
#include "util.h"

struct census_file {
	ino_t ino;
	struct segfs_user *users; /* owned, ascending */
	size_t n;
	UT_hash_handle hh;
};

struct segfs_census {
	struct census_file *by_ino; /* owned */
};

struct walk {
	struct segfs_census *census; /* to be filled */
	const dev_t *dev;
	char dev_text[SEGFS_DEVICES_MAX][24]; /* as a line of maps has it, with the space behind; "": none */
	ino_t ino;			      /* 0: every file */
	pid_t pid;			      /* being looked at */
	int process_fd;			      /* its directory */
	int error;
};

static struct census_file *find(const struct segfs_census *census, ino_t ino)
{
	struct census_file *file;

	HASH_FIND(hh, census->by_ino, &ino, sizeof(ino), file);
	return file;
}

static struct census_file *insert(struct segfs_census *census, ino_t ino)
{
	struct census_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->ino = ino;
	HASH_ADD(hh, census->by_ino, ino, sizeof(file->ino), file);
	if (!file->hh.tbl) {
		free(file);
		return NULL;
	}
	return file;
}

/* The walk meets the pids in ascending order, so that a process which is there already is the last. */
static struct segfs_user *user_of(struct census_file *file, pid_t pid)
{
	bool is_full = (file->n & (file->n - 1)) == 0; /* room doubles: 1, 2, 4, ... */
	struct segfs_user *users;

	if (file->n > 0 && file->users[file->n - 1].pid == pid)
		return &file->users[file->n - 1];
	if (is_full) {
		users = reallocarray(file->users, file->n ? 2 * file->n : 1, sizeof(*users));
		if (!users)
			return NULL;
		file->users = users;
	}
	file->users[file->n] = (struct segfs_user){.pid = pid};
	return &file->users[file->n++];
}

static void note(struct walk *walk, ino_t ino, unsigned how)
{
	struct census_file *file = find(walk->census, ino) ?: insert(walk->census, ino);
	struct segfs_user *user = file ? user_of(file, walk->pid) : NULL;

	if (user)
		user->how |= how;
	else
		walk->error = -ENOMEM;
}

/* Inode 0 is that of anonymous memory. */
static bool is_wanted(const struct walk *walk, ino_t ino)
{
	return ino != 0 && (walk->ino == 0 || walk->ino == ino);
}

static const char *next_field(const char *p)
{
	p = strchrnul(p, ' ');
	return *p ? p + 1 : p;
}

static unsigned use_of_mapping(const char *permissions)
{
	unsigned how = SEGFS_USE_MAPPED;

	if (permissions[0] == 'r')
		how |= SEGFS_USE_READ;
	if (permissions[1] == 'w' && permissions[3] == 's')
		how |= SEGFS_USE_WRITE;
	return how;
}

/* By which path a process came to a file of this device. */
static unsigned path_bit(int i)
{
	return i == 1 ? SEGFS_USE_STORE : SEGFS_USE_MOUNT;
}

/*
 * "7f1c2a000000-7f1c2a200000 rw-s 00000000 00:2f 1234   /path". Of nearly every line the device tells that it
 * is of no interest, so that comes first, as text. A path cannot be taken for it, being behind.
 */
static void note_mapping(struct walk *walk, const char *line)
{
	const char *permissions = next_field(line), *dev = next_field(next_field(permissions));
	ino_t ino;

	for (int i = 0; i < SEGFS_DEVICES_MAX; i++) {
		size_t len = strlen(walk->dev_text[i]);

		if (len == 0 || strncmp(dev, walk->dev_text[i], len))
			continue;
		ino = strtoull(next_field(dev), NULL, 10);
		if (is_wanted(walk, ino))
			note(walk, ino, use_of_mapping(permissions) | path_bit(i));
		return;
	}
}

/* False if there are none: a kernel thread's, a zombie's, or those of a first thread that has ended. */
static bool note_mappings(struct walk *walk)
{
	SEGFS_CLEANUP(segfs_lines_close) struct segfs_lines maps;
	bool any = false;
	char *line;
	int r;

	r = segfs_lines_open(&maps, walk->process_fd, "maps");
	if (r == -ENOMEM)
		walk->error = r;
	while (r == 0 && (line = segfs_lines_next(&maps))) {
		any = true;
		note_mapping(walk, line);
	}
	return any;
}

static unsigned use_of_flags(unsigned long flags)
{
	static const unsigned by_mode[] = {
		[O_RDONLY] = SEGFS_USE_READ,
		[O_WRONLY] = SEGFS_USE_WRITE,
		[O_RDWR] = SEGFS_USE_READ | SEGFS_USE_WRITE,
		[O_ACCMODE] = 0, /* for ioctl(2) alone */
	};

	return flags & O_PATH ? 0 : SEGFS_USE_OPEN | by_mode[flags & O_ACCMODE];
}

/* "lock:\t1: OFDLCK ADVISORY  WRITE -1 00:2f:1234 0 EOF" */
static unsigned use_of_lock(const char *line)
{
	static const struct {
		const char *name;
		unsigned how;
	} kinds[] = {{"FLOCK", SEGFS_USE_FLOCK}, {"POSIX", SEGFS_USE_FCNTL}, {"OFDLCK", SEGFS_USE_OFD}};
	char name[16];

	if (sscanf(line, "lock: %*d: %15s", name) != 1)
		return 0;
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (!strcmp(name, kinds[i].name))
			return kinds[i].how;
	return 0;
}

/* 0 for a descriptor with O_PATH, or if it has been closed meanwhile. */
static unsigned use_of_descriptor(struct walk *walk, const char *number)
{
	SEGFS_CLEANUP(segfs_lines_close) struct segfs_lines info;
	unsigned how = 0;
	char path[32], *line;
	int r;

	snprintf(path, sizeof(path), "fdinfo/%.20s", number);
	r = segfs_lines_open(&info, walk->process_fd, path);
	if (r == -ENOMEM)
		walk->error = r;
	while (r == 0 && (line = segfs_lines_next(&info))) {
		if (!strncmp(line, "flags:", 6))
			how |= use_of_flags(strtoul(line + 6, NULL, 8));
		else
			how |= use_of_lock(line);
	}
	return how;
}

static bool note_descriptor(const char *number, void *data)
{
	struct walk *walk = data;
	struct statx stx;
	char path[32];
	unsigned how;
	dev_t dev;

	snprintf(path, sizeof(path), "fd/%.20s", number);
	/* From cache: asking another file system, or our own mount, could block. */
	if (statx(walk->process_fd, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &stx) < 0)
		return false;
	dev = makedev(stx.stx_dev_major, stx.stx_dev_minor);
	for (int i = 0; i < SEGFS_DEVICES_MAX; i++) {
		if (walk->dev[i] == 0 || dev != walk->dev[i])
			continue;
		how = is_wanted(walk, stx.stx_ino) ? use_of_descriptor(walk, number) : 0;
		if (how)
			note(walk, stx.stx_ino, how | path_bit(i));
		break;
	}
	return walk->error;
}

/* Of a thread, for the whole process: who has memory has the descriptors too. */
static bool note_thread(int dir_fd, void *data)
{
	struct walk *walk = data;

	walk->process_fd = dir_fd;
	if (!note_mappings(walk))
		return false;
	segfs_procfs_each(dir_fd, "fd", note_descriptor, walk);
	return true;
}

static bool note_process(const char *number, void *data)
{
	struct walk *walk = data;

	walk->pid = atoi(number);
	if (walk->pid != getpid())
		segfs_process_look(walk->pid, note_thread, walk);
	return walk->error;
}

static int take(const dev_t dev[SEGFS_DEVICES_MAX], ino_t ino, struct segfs_census **ret_census)
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = calloc(1, sizeof(*census));
	struct walk walk = {.census = census, .dev = dev, .ino = ino};
	int r;

	if (!census)
		return -ENOMEM;
	for (int i = 0; i < SEGFS_DEVICES_MAX; i++)
		if (dev[i] != 0)
			snprintf(walk.dev_text[i], sizeof(walk.dev_text[i]), "%02x:%02x ", major(dev[i]),
				 minor(dev[i]));
	/* The kernel lists the processes in ascending order (Linux fs/proc/base.c, proc_pid_readdir). */
	r = segfs_procfs_each(AT_FDCWD, "/proc", note_process, &walk);
	if (r < 0)
		return r;
	if (walk.error)
		return walk.error;
	*ret_census = steal_pointer(&census);
	return 0;
}

int segfs_census_take(const dev_t dev[SEGFS_DEVICES_MAX], struct segfs_census **ret_census)
{
	return take(dev, 0, ret_census);
}

int segfs_census_take_of(const struct segfs_identity *file, struct segfs_census **ret_census)
{
	return take(file->dev, file->ino, ret_census);
}

bool segfs_census_is_empty(const struct segfs_census *census)
{
	return !census->by_ino;
}

size_t segfs_census_find(const struct segfs_census *census, ino_t ino, const struct segfs_user **ret_users)
{
	const struct census_file *file = find(census, ino);

	*ret_users = file ? file->users : NULL;
	return file ? file->n : 0;
}

struct segfs_census *segfs_census_free(struct segfs_census *census)
{
	struct census_file *file, *next;

	if (!census)
		return NULL;
	HASH_ITER (hh, census->by_ino, file, next) {
		HASH_DELETE(hh, census->by_ino, file);
		free(file->users);
		free(file);
	}
	free(census);
	return NULL;
}

int segfs_census_attached(const struct segfs_identity *file, struct segfs_pids *ret_pids)
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
	SEGFS_CLEANUP(segfs_pids_clear) struct segfs_pids pids = {};
	const struct segfs_user *users;
	size_t n;
	int r;

	r = segfs_census_take_of(file, &census);
	if (r < 0)
		return r;
	n = segfs_census_find(census, file->ino, &users);
	for (size_t i = 0; i < n; i++)
		if (segfs_pids_add(&pids, users[i].pid) < 0)
			return -ENOMEM;
	*ret_pids = pids;
	pids = (struct segfs_pids){};
	return 0;
}
