/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util.h"

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

void segfs_pids_clear(struct segfs_pids *pids)
{
	free(pids->list);
	*pids = (struct segfs_pids){};
}

void segfs_pids_print(const struct segfs_pids *pids, FILE *out)
{
	for (size_t i = 0; i < pids->n; i++)
		fprintf(out, "%s%d", i ? "," : "", pids->list[i]);
}

/* A pid that is there already is not added again. */
static int pids_add(struct segfs_pids *pids, pid_t pid)
{
	pid_t *list;

	for (size_t i = 0; i < pids->n; i++)
		if (pids->list[i] == pid)
			return 0;
	list = realloc(pids->list, (pids->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	pids->list = list;
	pids->list[pids->n++] = pid;
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* How /proc/PID/maps and /proc/locks name a file; returns false for an identity that does not exist. */
static bool same_file(const struct segfs_identity *file, unsigned major, unsigned minor,
		      unsigned long long ino)
{
	dev_t dev = makedev(major, minor);

	return ino == file->ino && (dev == file->dev[0] || dev == file->dev[1]);
}

static bool maps_file(const char *pid, const struct segfs_identity *file)
{
	SEGFS_CLEANUP(close_file) FILE *maps = NULL;
	unsigned long long ino;
	unsigned major, minor;
	char path[300], line[512];
	bool at_start = true;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (fgets(line, sizeof(line), maps)) {
		/* A long path comes in several pieces; only the first holds the numbers. */
		if (at_start && sscanf(line, "%*x-%*x %*s %*x %x:%x %llu", &major, &minor, &ino) == 3 &&
		    same_file(file, major, minor, ino))
			return true;
		at_start = strchr(line, '\n');
	}
	return false;
}

static bool is_file(int fd_dir, const char *number, const struct segfs_identity *file)
{
	struct statx stx;

	/* From cache: asking another file system, or our own mount, could block. */
	if (statx(fd_dir, number, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &stx) < 0)
		return false;
	return same_file(file, stx.stx_dev_major, stx.stx_dev_minor, stx.stx_ino);
}

/* Calls `visit` for each descriptor of a process that is the file, until it returns true. True if one did. */
static bool any_descriptor(const char *pid, const struct segfs_identity *file,
			   bool (*visit)(const char *pid, const char *number, void *data), void *data)
{
	SEGFS_CLEANUP(close_dir) DIR *dir = NULL;
	struct dirent *entry;
	char path[300];

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_file(dirfd(dir), entry->d_name, file) &&
		    visit(pid, entry->d_name, data))
			return true;
	return false;
}

/* Walks the processes, this one left out, and collects those for which `test` holds. */
static int collect(const struct segfs_identity *file,
		   bool (*test)(const char *pid, const struct segfs_identity *file, void *data), void *data,
		   struct segfs_pids *pids)
{
	SEGFS_CLEANUP(close_dir) DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;

		if (pid > 0 && pid != getpid() && test(entry->d_name, file, data) && pids_add(pids, pid) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool found(const char *pid, const char *number, void *data)
{
	return true;
}

static bool is_attached(const char *pid, const struct segfs_identity *file, void *data)
{
	return maps_file(pid, file) || any_descriptor(pid, file, found, NULL);
}

int segfs_process_attached(const struct segfs_identity *file, struct segfs_pids *ret_pids)
{
	SEGFS_CLEANUP(segfs_pids_clear) struct segfs_pids pids = {};
	int r;

	r = collect(file, is_attached, NULL, &pids);
	if (r < 0)
		return r;
	if (pids.n > 0)
		qsort(pids.list, pids.n, sizeof(*pids.list), compare_pids);
	*ret_pids = pids;
	pids = (struct segfs_pids){};
	return 0;
}

/* The three kinds of lock a file can carry, as /proc/locks calls them and as users do. */
enum lock_kind { LOCK_FLOCK, LOCK_FCNTL, LOCK_OFD, N_LOCK_KINDS };
static const char *const kernel_names[N_LOCK_KINDS] = {"FLOCK", "POSIX", "OFDLCK"};
static const char *const user_names[N_LOCK_KINDS] = {"flock", "fcntl", "ofd"};

struct lock_line {
	enum lock_kind kind;
	bool exclusive, waits;
	pid_t pid; /* -1: the lock belongs to an open file, not to a process */
};

/* All locks of one kind on the file. */
struct lock_summary {
	struct segfs_pids holders;
	bool held, exclusive;
	bool incomplete; /* a holder is not named, or has ended while its open file lives on */
	unsigned n_waiting;
};

/* "1: FLOCK  ADVISORY  WRITE 812 00:2f:1234 0 EOF", "1: -> POSIX ..." for one who waits. */
static bool parse_lock_line(const char *line, const struct segfs_identity *file, struct lock_line *ret_lock)
{
	char kind[16], type[16];
	unsigned long long ino;
	unsigned major, minor;
	struct lock_line lock = {};
	const char *p = strchr(line, ':');

	if (!p)
		return false;
	p += 1 + strspn(p + 1, " \t");
	lock.waits = !strncmp(p, "->", 2);
	if (lock.waits)
		p += 2;
	if (sscanf(p, "%15s %*s %15s %d %x:%x:%llu", kind, type, &lock.pid, &major, &minor, &ino) != 6 ||
	    !same_file(file, major, minor, ino))
		return false;
	lock.exclusive = !strcmp(type, "WRITE");
	while (lock.kind < N_LOCK_KINDS && strcmp(kind, kernel_names[lock.kind]))
		lock.kind++;
	*ret_lock = lock;
	return lock.kind < N_LOCK_KINDS; /* leases and delegations are no locks */
}

static int read_file(const char *path, char *buf, size_t size)
{
	SEGFS_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -ESRCH;
	n = read(fd, buf, size - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	return 0;
}

/* A zombie holds nothing any more. */
static bool process_lives(pid_t pid)
{
	char path[32], text[1024], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, text, sizeof(text)) < 0)
		return false;
	state = strrchr(text, ')');
	return state && state[1] == ' ' && state[2] != 'Z' && state[2] != 'X';
}

static int summary_add(struct lock_summary *summary, const struct lock_line *lock)
{
	if (lock->waits) {
		summary->n_waiting++;
		return 0;
	}
	summary->held = true;
	summary->exclusive |= lock->exclusive;
	if (lock->pid > 0 && process_lives(lock->pid))
		return pids_add(&summary->holders, lock->pid);
	summary->incomplete = true;
	return 0;
}

static int read_locks(const struct segfs_identity *file, struct lock_summary summaries[N_LOCK_KINDS])
{
	SEGFS_CLEANUP(close_file) FILE *locks = fopen("/proc/locks", "re");
	struct lock_line lock;
	char line[256];

	if (!locks)
		return -errno;
	while (fgets(line, sizeof(line), locks))
		if (parse_lock_line(line, file, &lock) && summary_add(&summaries[lock.kind], &lock) < 0)
			return -ENOMEM;
	return 0;
}

struct lock_search {
	const struct segfs_identity *file;
	enum lock_kind kind;
};

/* A descriptor's fdinfo lists the locks that belong to its open file. */
static bool holds_lock(const char *pid, const char *number, void *data)
{
	const struct lock_search *search = data;
	SEGFS_CLEANUP(close_file) FILE *info = NULL;
	char path[600], line[256];
	struct lock_line lock;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, number);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info))
		if (!strncmp(line, "lock:", 5) && parse_lock_line(line + 5, search->file, &lock) &&
		    lock.kind == search->kind)
			return true;
	return false;
}

static bool is_holder(const char *pid, const struct segfs_identity *file, void *data)
{
	return any_descriptor(pid, file, holds_lock, data);
}

/* Locks of an open file name no process, or one that has ended and left the file to its children: look who
 * has it. */
static int complete(const struct segfs_identity *file, enum lock_kind kind, struct lock_summary *summary)
{
	struct lock_search search = {file, kind};

	if (!summary->incomplete)
		return 0;
	return collect(file, is_holder, &search, &summary->holders);
}

static void print_summary(FILE *out, enum lock_kind kind, struct lock_summary *summary, bool first)
{
	struct segfs_pids *pids = &summary->holders;

	if (pids->n > 0)
		qsort(pids->list, pids->n, sizeof(*pids->list), compare_pids);
	fprintf(out, "%s%s pid ", first ? "" : "; ", summary->exclusive ? "exclusive" : "shared");
	segfs_pids_print(pids, out);
	fprintf(out, "%s (%s)", pids->n ? "" : "unknown", user_names[kind]);
	if (summary->n_waiting)
		fprintf(out, ", %u waiting", summary->n_waiting);
}

static int print_locks(struct lock_summary summaries[N_LOCK_KINDS], char **ret_text)
{
	SEGFS_FREE char *text = NULL;
	size_t size;
	bool first = true;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -ENOMEM;
	for (enum lock_kind kind = 0; kind < N_LOCK_KINDS; kind++) {
		if (!summaries[kind].held)
			continue;
		print_summary(out, kind, &summaries[kind], first);
		first = false;
	}
	if (first)
		fputs("unlocked", out);
	if (fclose(out) != 0)
		return -ENOMEM;
	*ret_text = steal_pointer(&text);
	return 0;
}

int segfs_process_locks(const struct segfs_identity *file, char **ret_text)
{
	struct lock_summary summaries[N_LOCK_KINDS] = {};
	int r;

	r = read_locks(file, summaries);
	for (enum lock_kind kind = 0; r == 0 && kind < N_LOCK_KINDS; kind++)
		r = complete(file, kind, &summaries[kind]);
	if (r == 0)
		r = print_locks(summaries, ret_text);
	for (enum lock_kind kind = 0; kind < N_LOCK_KINDS; kind++)
		segfs_pids_clear(&summaries[kind].holders);
	return r;
}

/* "812 (python3) S 1 ...": the command may hold spaces and parentheses, so the last one ends it. Field 22 is
 * the start. */
static int parse_stat(char *text, struct segfs_process *process)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')'), *p;

	if (!open || !close || close < open)
		return -ESRCH;
	*close = '\0';
	snprintf(process->command, sizeof(process->command), "%s", open + 1);
	p = close + 1; /* the space before field 3 */
	for (int field = 3; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -ESRCH;
	process->start_ticks = strtoull(p + 1, NULL, 10);
	return 0;
}

/* The process that a thread belongs to. */
static int read_tgid(pid_t tid, pid_t *ret_pid)
{
	char path[64], text[4096], *p;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	r = read_file(path, text, sizeof(text));
	if (r < 0)
		return r;
	p = strstr(text, "\nTgid:");
	if (!p)
		return -ESRCH;
	*ret_pid = atoi(p + strlen("\nTgid:"));
	return 0;
}

int segfs_process_read(pid_t pid, struct segfs_process *ret_process)
{
	struct segfs_process process = {};
	char path[64], text[1024];
	int r;

	r = read_tgid(pid, &process.pid);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/stat", process.pid);
	r = read_file(path, text, sizeof(text));
	if (r == 0)
		r = parse_stat(text, &process);
	if (r == 0)
		*ret_process = process;
	return r;
}

uint64_t segfs_process_size_limit(pid_t pid)
{
	char path[64], text[4096], *line;
	unsigned long long limit;

	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	if (read_file(path, text, sizeof(text)) < 0)
		return UINT64_MAX;
	line = strstr(text, "\nMax file size ");
	return line && sscanf(line, " Max file size %llu", &limit) == 1 ? limit : UINT64_MAX;
}
