/* SPDX-License-Identifier: MIT */
#include "endure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ATTRIBUTE "user.endure"

/* Evaluate a call that returns -1 on failure; 0 or a value, or -errno. */
#define TIMED(client, call)                                                                                  \
	({                                                                                                   \
		uint64_t began_ns = now_ns();                                                                \
		long result = (call);                                                                        \
                                                                                                             \
		if (result < 0)                                                                              \
			result = -errno;                                                                     \
		note_call((client)->shared, began_ns);                                                       \
		result;                                                                                      \
	})

/* The result of a call, or -errno, is what it must be. */
static void expect(struct client *client, const char *what, unsigned i, long result, long expected)
{
	if (result == expected || (expected >= 0 && result >= 0))
		return;
	fail(client->shared, "client %u: %s of file %u: %s, not %s", client->number, what, i,
	     result < 0 ? strerror((int)-result) : "success",
	     expected < 0 ? strerror((int)-expected) : "success");
}

static uint32_t draw(struct client *client, uint32_t n)
{
	client->random ^= client->random << 13;
	client->random ^= client->random >> 7;
	client->random ^= client->random << 17;
	return (uint32_t)(client->random >> 33) % n;
}

static const char *name_of(const struct client *client, unsigned i, char name[32])
{
	snprintf(name, 32, "c%u.%u", client->number, i);
	return name;
}

static uint32_t word_at(uint32_t pattern, size_t i)
{
	return pattern * UINT32_C(2654435761) + (uint32_t)i;
}

static void fill(char *bytes, uint32_t pattern)
{
	for (size_t i = 0; i < FILE_SIZE / 4; i++) {
		uint32_t word = word_at(pattern, i);

		memcpy(bytes + 4 * i, &word, 4);
	}
}

static void check_bytes(struct client *client, unsigned i, const char *bytes, uint32_t pattern,
			const char *how)
{
	for (size_t at = 0; at < FILE_SIZE / 4; at++) {
		uint32_t word;

		memcpy(&word, bytes + 4 * at, 4);
		if (word != word_at(pattern, at))
			fail(client->shared, "client %u: file %u, %s: wrong at %zu", client->number, i, how,
			     4 * at);
	}
}

static char *map(struct client *client, unsigned i, int fd)
{
	char *bytes = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (bytes == MAP_FAILED)
		fail(client->shared, "client %u: mmap of file %u: %s", client->number, i, strerror(errno));
	return bytes;
}

/* Give the open file a new content, by a mapping or by write(2). */
static void rewrite(struct client *client, unsigned i, int fd)
{
	struct file *file = &client->files[i];
	char bytes[FILE_SIZE], *mapped;

	file->pattern = 1 + draw(client, 1000000);
	expect(client, "ftruncate", i, TIMED(client, ftruncate(fd, FILE_SIZE)), 0);
	if (draw(client, 2)) {
		mapped = map(client, i, fd);
		fill(mapped, file->pattern);
		munmap(mapped, FILE_SIZE);
	} else {
		fill(bytes, file->pattern);
		expect(client, "pwrite", i, TIMED(client, pwrite(fd, bytes, FILE_SIZE, 0)), FILE_SIZE);
	}
}

static void do_create(struct client *client, unsigned i)
{
	struct file *file = &client->files[i];
	char name[32];
	long fd;

	fd = TIMED(client, openat(client->dir, name_of(client, i, name),
				  O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
	expect(client, "exclusive create", i, fd, file->exists ? -EEXIST : 0);
	if (fd < 0)
		return;
	*file = (struct file){.exists = true, .mode = 0640};
	if (draw(client, 8))
		rewrite(client, i, (int)fd);
	close((int)fd);
}

static void do_open(struct client *client, unsigned i)
{
	static const int flags[] = {O_RDWR, O_RDWR | O_CREAT, O_RDWR | O_TRUNC};
	struct file *file = &client->files[i];
	int how = flags[draw(client, 3)];
	char name[32], *mapped;
	long fd;

	fd = TIMED(client, openat(client->dir, name_of(client, i, name), how | O_CLOEXEC, 0600));
	expect(client, "open", i, fd, file->exists || how & O_CREAT ? 0 : -ENOENT);
	if (fd < 0)
		return;
	if (!file->exists)
		*file = (struct file){.exists = true, .mode = 0600};
	if (how & O_TRUNC)
		file->pattern = 0;
	if (file->pattern) {
		mapped = map(client, i, (int)fd);
		check_bytes(client, i, mapped, file->pattern, "by a mapping");
		munmap(mapped, FILE_SIZE);
	}
	if (draw(client, 2))
		rewrite(client, i, (int)fd);
	close((int)fd);
}

static void do_unlink(struct client *client, unsigned i)
{
	struct file *file = &client->files[i];
	char name[32];

	expect(client, "unlink", i, TIMED(client, unlinkat(client->dir, name_of(client, i, name), 0)),
	       file->exists ? 0 : -ENOENT);
	file->exists = false;
}

static void do_rename(struct client *client, unsigned i)
{
	static const unsigned flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	unsigned j = (i + 1 + draw(client, N_FILES - 1)) % N_FILES, how = flags[draw(client, 4)];
	struct file *from = &client->files[i], *to = &client->files[j], before = *to;
	long expected = 0;
	char name[32], new_name[32];

	if (!from->exists || (how == RENAME_EXCHANGE && !to->exists))
		expected = -ENOENT;
	else if (how == RENAME_NOREPLACE && to->exists)
		expected = -EEXIST;
	expect(client, "rename", i,
	       TIMED(client, renameat2(client->dir, name_of(client, i, name), client->dir,
				       name_of(client, j, new_name), how)),
	       expected);
	if (expected < 0)
		return;
	*to = *from;
	*from = before;
	from->exists = how == RENAME_EXCHANGE;
}

/* A second name comes and goes. */
static void do_link(struct client *client, unsigned i)
{
	char name[32], new_name[40];
	struct stat st;

	snprintf(new_name, sizeof(new_name), "%s.link", name_of(client, i, name));
	expect(client, "link", i, TIMED(client, linkat(client->dir, name, client->dir, new_name, 0)),
	       client->files[i].exists ? 0 : -ENOENT);
	if (!client->files[i].exists)
		return;
	expect(client, "stat of a link", i, TIMED(client, fstatat(client->dir, new_name, &st, 0)), 0);
	if (st.st_nlink != 2)
		fail(client->shared, "client %u: file %u has %ju links, not 2", client->number, i,
		     (uintmax_t)st.st_nlink);
	expect(client, "unlink of a link", i, TIMED(client, unlinkat(client->dir, new_name, 0)), 0);
}

static void do_directory(struct client *client, unsigned i)
{
	char name[32], path[48], target[16];

	snprintf(path, sizeof(path), "%s.d", name_of(client, i, name));
	expect(client, "mkdir", i, TIMED(client, mkdirat(client->dir, path, 0700)), 0);
	expect(client, "mkdir again", i, TIMED(client, mkdirat(client->dir, path, 0700)), -EEXIST);
	snprintf(path, sizeof(path), "%s.d/s", name);
	expect(client, "symlink", i, TIMED(client, symlinkat("somewhere", client->dir, path)), 0);
	expect(client, "readlink", i, TIMED(client, readlinkat(client->dir, path, target, sizeof(target))),
	       9);
	expect(client, "unlink of a symlink", i, TIMED(client, unlinkat(client->dir, path, 0)), 0);
	expect(client, "mknod", i, TIMED(client, mknodat(client->dir, path, S_IFIFO | 0600, 0)), 0);
	expect(client, "unlink of a FIFO", i, TIMED(client, unlinkat(client->dir, path, 0)), 0);
	snprintf(path, sizeof(path), "%s.d", name);
	expect(client, "rmdir", i, TIMED(client, unlinkat(client->dir, path, AT_REMOVEDIR)), 0);
	expect(client, "rmdir again", i, TIMED(client, unlinkat(client->dir, path, AT_REMOVEDIR)), -ENOENT);
}

static void path_of(const struct client *client, unsigned i, char path[64])
{
	char name[32];

	snprintf(path, 64, "/proc/self/fd/%d/%s", client->dir, name_of(client, i, name));
}

static void do_attribute(struct client *client, unsigned i)
{
	struct file *file = &client->files[i];
	uint32_t value = 1 + draw(client, 1000000), read = 0;
	char path[64];

	path_of(client, i, path);
	if (!file->exists)
		return;
	expect(client, "getxattr", i, TIMED(client, getxattr(path, ATTRIBUTE, &read, sizeof(read))),
	       file->value ? 4 : -ENODATA);
	if (read != file->value)
		fail(client->shared, "client %u: attribute of file %u is %u, not %u", client->number, i, read,
		     file->value);
	if (file->value && draw(client, 2)) {
		expect(client, "removexattr", i, TIMED(client, removexattr(path, ATTRIBUTE)), 0);
		file->value = 0;
		return;
	}
	expect(client, "setxattr", i,
	       TIMED(client, setxattr(path, ATTRIBUTE, &value, sizeof(value),
				      file->value ? XATTR_REPLACE : XATTR_CREATE)),
	       0);
	file->value = value;
}

static void do_mode(struct client *client, unsigned i)
{
	struct file *file = &client->files[i];
	char path[64];
	struct stat st;

	path_of(client, i, path);
	if (!file->exists)
		return;
	file->mode = draw(client, 2) ? 0600 : 0644;
	expect(client, "chmod", i, TIMED(client, chmod(path, file->mode)), 0);
	expect(client, "stat", i, TIMED(client, stat(path, &st)), 0);
	if ((st.st_mode & 07777) != file->mode || st.st_size != (file->pattern ? FILE_SIZE : 0))
		fail(client->shared, "client %u: file %u has mode %o and size %jd, not %o", client->number, i,
		     st.st_mode, (intmax_t)st.st_size, file->mode);
}

/* The names of this client's files in a directory: a bit for each. */
static unsigned list(struct client *client, int dir)
{
	int fd = (int)TIMED(client, openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	unsigned found = 0, number, i;
	uint64_t began_ns = now_ns();
	int end;

	if (!stream)
		fail(client->shared, "client %u: opendir: %s", client->number,
		     strerror(fd < 0 ? -fd : errno));
	while (errno = 0, entry = readdir(stream)) {
		end = 0;
		if (sscanf(entry->d_name, "c%u.%u%n", &number, &i, &end) < 2 || number != client->number)
			continue;
		if (entry->d_name[end] || i >= N_FILES || found & 1u << i)
			fail(client->shared, "client %u: %s in the listing", client->number, entry->d_name);
		found |= 1u << i;
	}
	if (errno)
		fail(client->shared, "client %u: readdir: %s", client->number, strerror(errno));
	note_call(client->shared, began_ns);
	closedir(stream);
	return found;
}

static void check_list(struct client *client, int dir)
{
	unsigned expected = 0, found = list(client, dir);

	for (unsigned i = 0; i < N_FILES; i++)
		expected |= (unsigned)client->files[i].exists << i;
	if (found != expected)
		fail(client->shared, "client %u: the listing has files %x, not %x", client->number, found,
		     expected);
}

/* Under the lock nobody else moves the counter. */
static void count_up(struct client *client, unsigned which)
{
	volatile uint64_t *counter = &client->counters[which];
	uint64_t value = *counter;

	for (int i = 0; i < 100; i++)
		atomic_signal_fence(memory_order_seq_cst);
	*counter = value + 1;
	(*(which ? &client->shared->n_fcntl : &client->shared->n_flock))++;
}

static void do_lock(struct client *client, unsigned i)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	if (i % 2) {
		expect(client, "flock", i, flock(client->lock_fd, LOCK_EX), 0);
		count_up(client, 0);
		expect(client, "unlock", i, flock(client->lock_fd, LOCK_UN), 0);
	} else {
		expect(client, "fcntl", i, fcntl(client->lock_fd, F_SETLKW, &lock), 0);
		count_up(client, 1);
		lock.l_type = F_UNLCK;
		expect(client, "unlock", i, fcntl(client->lock_fd, F_SETLK, &lock), 0);
	}
}

/* What has no name any more is as it was, by its mapping and by its descriptor. */
static void do_held(struct client *client, unsigned i)
{
	char bytes[FILE_SIZE];
	struct stat st;

	check_bytes(client, i, client->held, client->held_pattern, "without a name, mapped");
	expect(client, "pread", i, TIMED(client, pread(client->held_fd, bytes, FILE_SIZE, 0)), FILE_SIZE);
	check_bytes(client, i, bytes, client->held_pattern, "without a name, read");
	expect(client, "fstat", i, TIMED(client, fstat(client->held_fd, &st)), 0);
	if (st.st_nlink != 0 || st.st_size != FILE_SIZE)
		fail(client->shared, "client %u: a file without a name has %ju links", client->number,
		     (uintmax_t)st.st_nlink);
	client->held_pattern = 1 + draw(client, 1000000);
	fill(client->held, client->held_pattern);
}

static void hold(struct client *client)
{
	char name[32];

	snprintf(name, sizeof(name), "held.%u", client->number);
	client->held_fd =
		(int)TIMED(client, openat(client->dir, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	expect(client, "create", 0, client->held_fd, 0);
	expect(client, "ftruncate", 0, TIMED(client, ftruncate(client->held_fd, FILE_SIZE)), 0);
	client->held = map(client, 0, client->held_fd);
	client->held_pattern = 1;
	fill(client->held, client->held_pattern);
	expect(client, "unlink", 0, TIMED(client, unlinkat(client->dir, name, 0)), 0);
}

/* The store has what the mount has. */
static void check_store(struct client *client)
{
	char name[32], bytes[FILE_SIZE];

	check_list(client, client->store);
	for (unsigned i = 0; i < N_FILES; i++) {
		int fd = openat(client->store, name_of(client, i, name), O_RDONLY | O_CLOEXEC);

		expect(client, "open in the store", i, fd < 0 ? -errno : 0,
		       client->files[i].exists ? 0 : -ENOENT);
		if (fd < 0)
			continue;
		if (read(fd, bytes, FILE_SIZE) != (client->files[i].pattern ? FILE_SIZE : 0))
			fail(client->shared, "client %u: file %u has a wrong size in the store",
			     client->number, i);
		if (client->files[i].pattern)
			check_bytes(client, i, bytes, client->files[i].pattern, "in the store");
		close(fd);
	}
}

int client_run(struct client *client)
{
	static void (*const deeds[])(struct client * client, unsigned i) = {
		do_create, do_create, do_open, do_open,	     do_unlink, do_rename,    do_rename,
		do_link,   do_mode,   do_lock, do_attribute, do_held,	do_directory,
	};

	hold(client);
	while (!client->shared->stop) {
		deeds[draw(client, sizeof(deeds) / sizeof(deeds[0]))](client, draw(client, N_FILES));
		if (draw(client, 16) == 0)
			check_list(client, client->dir);
	}
	if (client->shared->failed)
		return EXIT_FAILURE;
	check_list(client, client->dir);
	check_store(client);
	return EXIT_SUCCESS;
}
