/* SPDX-License-Identifier: MIT */
#include "locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util.h"

/* The three kinds of lock a file can carry, as /proc/locks calls them and as users do. */
enum lock_kind { LOCK_FLOCK, LOCK_FCNTL, LOCK_OFD, N_LOCK_KINDS };
static const char *const kernel_names[N_LOCK_KINDS] = {"FLOCK", "POSIX", "OFDLCK"};
static const char *const user_names[N_LOCK_KINDS] = {"flock", "fcntl", "ofd"};
static const unsigned use_bits[N_LOCK_KINDS] = {SEGFS_USE_FLOCK, SEGFS_USE_FCNTL, SEGFS_USE_OFD};

/* "18446744073709551615 EOF" */
#define RANGE_MAX 48

struct lock {
	dev_t dev;
	ino_t ino;
	enum lock_kind kind;
	bool exclusive, waits;
	pid_t pid;	       /* -1: the lock belongs to an open file, not to a process */
	char range[RANGE_MAX]; /* as text; "" if it has not so much room */
};

struct segfs_locks {
	struct lock *list; /* owned, ascending by inode */
	size_t n, room;
};

/* One read(2) of /proc/locks: what it gives is of one moment. Holders are followed by those who wait. */
#define PIECE_ROOM (64u * 1024)

/* So much is one piece for certain: the kernel begins another when this one is full, a page. */
#define PIECE_SURE 2048

/* How often a list of more than one piece is read, at most. */
#define PASSES_MAX 8

/* All locks of one kind on a file. */
struct summary {
	struct segfs_pids holders;
	bool held, exclusive;
	bool incomplete; /* a holder is not named, or has ended while its open file lives on */
	unsigned n_waiting;
};

/* "1: FLOCK  ADVISORY  WRITE 812 00:2f:1234 0 EOF", "1: -> POSIX ..." for one who waits. */
static bool parse_lock(const char *line, struct lock *ret_lock)
{
	char kind[16], type[16];
	unsigned long long ino;
	unsigned major, minor;
	struct lock lock = {};
	const char *p = strchr(line, ':');
	int end = 0;

	if (!p)
		return false;
	p += 1 + strspn(p + 1, " \t");
	lock.waits = !strncmp(p, "->", 2);
	if (lock.waits)
		p += 2;
	if (sscanf(p, "%15s %*s %15s %d %x:%x:%llu %n", kind, type, &lock.pid, &major, &minor, &ino, &end) <
	    6)
		return false;
	if (strlen(p + end) < sizeof(lock.range))
		strcpy(lock.range, p + end);
	lock.dev = makedev(major, minor);
	lock.ino = ino;
	lock.exclusive = !strcmp(type, "WRITE");
	while (lock.kind < N_LOCK_KINDS && strcmp(kind, kernel_names[lock.kind]))
		lock.kind++;
	if (lock.kind == N_LOCK_KINDS)
		return false; /* leases and delegations are no locks */
	*ret_lock = lock;
	return true;
}

static bool is_on(const struct lock *lock, const struct segfs_identity *file)
{
	return lock->ino == file->ino && (lock->dev == file->dev[0] || lock->dev == file->dev[1]);
}

static int add_lock(struct segfs_locks *locks, const struct lock *lock)
{
	size_t room = MAX(2 * locks->room, 64u);
	struct lock *list;

	if (locks->n == locks->room) {
		list = reallocarray(locks->list, room, sizeof(*list));
		if (!list)
			return -ENOMEM;
		locks->list = list;
		locks->room = room;
	}
	locks->list[locks->n++] = *lock;
	return 0;
}

#define COMPARE(x, y) (((x) > (y)) - ((x) < (y)))

/* By inode, and in some order from there, so that what is the same has the same place. */
static int compare(const void *a, const void *b)
{
	const struct lock *x = a, *y = b;
	int r = COMPARE(x->ino, y->ino);

	r = r ?: COMPARE(x->dev, y->dev);
	r = r ?: COMPARE(x->kind, y->kind);
	r = r ?: COMPARE(x->exclusive, y->exclusive);
	r = r ?: COMPARE(x->waits, y->waits);
	r = r ?: COMPARE(x->pid, y->pid);
	return r ?: strcmp(x->range, y->range);
}

/*
 * The kernel goes on at the n-th lock. Where locks have been added meanwhile, that is one it has given
 * already: how many of those that begin at `from` are what was there at the end before?
 */
static size_t count_repeated(const struct segfs_locks *locks, size_t from)
{
	for (size_t n = MIN(from, locks->n - from); n > 0; n--) {
		size_t i = 0;

		while (i < n && compare(&locks->list[from - n + i], &locks->list[from + i]) == 0)
			i++;
		if (i == n)
			return n;
	}
	return 0;
}

static void remove_range(struct segfs_locks *locks, size_t from, size_t n)
{
	if (n == 0) /* the list may be NULL */
		return;
	memmove(locks->list + from, locks->list + from + n, (locks->n - from - n) * sizeof(*locks->list));
	locks->n -= n;
}

static int add_piece(struct segfs_locks *locks, char *text)
{
	size_t from = locks->n;
	struct lock lock;
	int r = 0;

	for (char *line = strsep(&text, "\n"); r == 0 && line; line = strsep(&text, "\n"))
		if (parse_lock(line, &lock))
			r = add_lock(locks, &lock);
	remove_range(locks, from, count_repeated(locks, from));
	return r;
}

/* 0; 1: it may lack some, as it was not in one piece; or -errno. */
static int read_pass(struct segfs_locks *locks)
{
	SEGFS_CLOSE int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
	SEGFS_FREE char *text = malloc(PIECE_ROOM);
	size_t length = 0;
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
	while (r == 0 && (n = read(fd, text, PIECE_ROOM - 1)) > 0) {
		text[n] = '\0';
		r = add_piece(locks, text);
		length += (size_t)n;
	}
	return r < 0 ? r : n < 0 ? -errno : length > PIECE_SURE;
}

static void sort(struct segfs_locks *locks)
{
	if (locks->n > 0)
		qsort(locks->list, locks->n, sizeof(*locks->list), compare);
}

/* Where the locks of the inode end that begin at `i`. */
static size_t end_of(const struct segfs_locks *locks, size_t i)
{
	ino_t ino = locks->list[i].ino;

	while (i < locks->n && locks->list[i].ino == ino)
		i++;
	return i;
}

static int add_range(struct segfs_locks *locks, const struct segfs_locks *from, size_t begin, size_t end)
{
	int r = 0;

	for (size_t i = begin; r == 0 && i < end; i++)
		r = add_lock(locks, &from->list[i]);
	return r;
}

/* Of each inode's locks those of the pass that has more of them: the other may lack some. */
static int unite(struct segfs_locks *locks, const struct segfs_locks *a, const struct segfs_locks *b)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < a->n || j < b->n)) {
		bool has_a = i < a->n && (j == b->n || a->list[i].ino <= b->list[j].ino);
		bool has_b = j < b->n && (i == a->n || b->list[j].ino <= a->list[i].ino);
		size_t i_end = has_a ? end_of(a, i) : i, j_end = has_b ? end_of(b, j) : j;

		r = i_end - i > j_end - j ? add_range(locks, a, i, i_end) : add_range(locks, b, j, j_end);
		i = i_end;
		j = j_end;
	}
	return r;
}

static bool is_same(const struct segfs_locks *a, const struct segfs_locks *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++)
		if (compare(&a->list[i], &b->list[i]) != 0)
			return false;
	return a->n == b->n;
}

/* One more pass. 0; 1: another is needed, as this one was not in one piece and differs; or -errno. */
static int read_again(struct segfs_locks **locks)
{
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *pass = calloc(1, sizeof(*pass));
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *united = calloc(1, sizeof(*united));
	int r, in_pieces;
	bool differs;

	if (!pass || !united)
		return -ENOMEM;
	r = in_pieces = read_pass(pass);
	sort(pass);
	if (r >= 0)
		r = unite(united, *locks, pass);
	if (r < 0)
		return r;
	differs = !is_same(*locks, pass);
	segfs_locks_free(*locks);
	*locks = steal_pointer(&united);
	return in_pieces && differs;
}

/* Where locks have been removed between two pieces, one is passed over. Which it is depends on the moment: so
 * there are several passes. */
int segfs_locks_read(struct segfs_locks **ret_locks)
{
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *locks = calloc(1, sizeof(*locks));
	int r;

	if (!locks)
		return -ENOMEM;
	r = read_pass(locks);
	sort(locks);
	for (int n = 1; r > 0 && n < PASSES_MAX; n++)
		r = read_again(&locks);
	if (r < 0)
		return r;
	*ret_locks = steal_pointer(&locks);
	return 0;
}

struct segfs_locks *segfs_locks_free(struct segfs_locks *locks)
{
	if (locks)
		free(locks->list);
	free(locks);
	return NULL;
}

/* Where the locks of an inode begin. */
static size_t find_inode(const struct segfs_locks *locks, ino_t ino)
{
	size_t low = 0, high = locks->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (locks->list[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int summary_add(struct summary *summary, const struct lock *lock)
{
	if (lock->waits) {
		summary->n_waiting++;
		return 0;
	}
	summary->held = true;
	summary->exclusive |= lock->exclusive;
	if (lock->pid > 0 && segfs_process_lives(lock->pid))
		return segfs_pids_add(&summary->holders, lock->pid);
	summary->incomplete = true;
	return 0;
}

static int summarize(const struct segfs_locks *locks, const struct segfs_identity *file,
		     struct summary summaries[N_LOCK_KINDS])
{
	int r = 0;

	for (size_t i = find_inode(locks, file->ino); i < locks->n && locks->list[i].ino == file->ino; i++) {
		const struct lock *lock = &locks->list[i];

		if (is_on(lock, file))
			r = summary_add(&summaries[lock->kind], lock);
		if (r < 0)
			break;
	}
	return r;
}

/* Adds who has the file open with locks of the kinds that do not tell. */
static int add_users(const struct segfs_identity *file, const struct segfs_census *census,
		     struct summary summaries[N_LOCK_KINDS])
{
	const struct segfs_user *users;
	size_t n = segfs_census_find(census, file->ino, &users);
	int r = 0;

	for (size_t i = 0; i < n; i++)
		for (enum lock_kind kind = 0; r == 0 && kind < N_LOCK_KINDS; kind++)
			if (summaries[kind].incomplete && users[i].how & use_bits[kind])
				r = segfs_pids_add(&summaries[kind].holders, users[i].pid);
	return r;
}

static int complete(const struct segfs_identity *file, const struct segfs_census *census,
		    struct summary summaries[N_LOCK_KINDS])
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *own = NULL;
	bool incomplete = false;
	int r = 0;

	for (enum lock_kind kind = 0; kind < N_LOCK_KINDS; kind++)
		incomplete |= summaries[kind].incomplete;
	if (!incomplete)
		return 0;
	if (!census)
		r = segfs_census_take_of(file, &own);
	return r < 0 ? r : add_users(file, census ?: own, summaries);
}

static const struct style {
	const char *unlocked, *between, *before_pids, *before_kind, *before_waiting, *after_waiting;
} styles[] = {
	[SEGFS_LOCKS_TEXT] = {"unlocked", "; ", " pid ", " ", ", ", " waiting"},
	[SEGFS_LOCKS_COLUMN] = {"-", ";", ":", "", "+", ""},
};

static void print_summary(const struct summary *summary, const char *kind, const struct style *style,
			  FILE *out)
{
	fprintf(out, "%s%s", summary->exclusive ? "exclusive" : "shared", style->before_pids);
	segfs_pids_print(&summary->holders, out);
	fprintf(out, "%s%s(%s)", summary->holders.n ? "" : "unknown", style->before_kind, kind);
	if (summary->n_waiting)
		fprintf(out, "%s%u%s", style->before_waiting, summary->n_waiting, style->after_waiting);
}

static void print(const struct summary summaries[N_LOCK_KINDS], const struct segfs_page_lock *page,
		  const struct style *style, FILE *out)
{
	bool any = false;

	for (enum lock_kind kind = 0; kind < N_LOCK_KINDS; kind++) {
		if (!summaries[kind].held)
			continue;
		fputs(any ? style->between : "", out);
		print_summary(&summaries[kind], user_names[kind], style, out);
		any = true;
	}
	if (page && page->held) {
		const struct summary summary = {.holders = page->holders, /* lent */
						.exclusive = page->exclusive,
						.n_waiting = page->n_waiting};

		fputs(any ? style->between : "", out);
		print_summary(&summary, "page", style, out);
		any = true;
	}
	if (!any)
		fputs(style->unlocked, out);
}

int segfs_locks_print(const struct segfs_locks *locks, const struct segfs_identity *file,
		      enum segfs_locks_style style, const struct segfs_census *census,
		      const struct segfs_page_lock *page, FILE *out)
{
	struct summary summaries[N_LOCK_KINDS] = {};
	int r;

	r = summarize(locks, file, summaries);
	if (r == 0)
		r = complete(file, census, summaries);
	if (r == 0)
		print(summaries, page, &styles[style], out);
	for (enum lock_kind kind = 0; kind < N_LOCK_KINDS; kind++)
		segfs_pids_clear(&summaries[kind].holders);
	return r;
}
