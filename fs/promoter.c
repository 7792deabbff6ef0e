/* SPDX-License-Identifier: MIT */
#include "promoter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* A failed allocation inside uthash is reported, not fatal: the entry is then simply not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "fs.h"
#include "huge.h"
#include "ops.h"
#include "procfs.h"
#include "reply.h"
#include "util.h"

/* From one look at a segment to the next; each time nothing has changed, twice as long. */
#define FIRST_WAIT_MS 100
#define LAST_WAIT_MS  (FIRST_WAIT_MS << 12)

/* Processor time at a time, and how many times as long the thread rests then. */
#define SLICE_NS UINT64_C(5000000)
#define REST	 19

/* Somebody waits: only as long as it may take to see that the daemon shall end. */
#define ASKED_SLICE_NS UINT64_C(100000000)

#define MIN_PAGES (SEGFS_HUGE_PAGES / 2)

/* Of the machine's memory and of the store, what is left to others. */
#define SHORT 16

/* More are not kept in mind. */
#define MAX_ENTRIES 1024

/* Below a processor's load of work, yet not so low that who waits for a page under copy waits for long. */
#define NICE 10

#define NEVER INT64_MAX

struct promoter_ask {
	struct promoter_ask *next;
	fuse_req_t req;
	struct segfs_handle handle;
};

/* A segment that is to be looked at. */
struct promoter_entry {
	uint64_t ino;
	struct segfs_handle handle;
	int64_t due_ms;
	int64_t wait_ms;   /* how long has been waited for this look */
	uint64_t at;	   /* where the look goes on */
	bool refused;	   /* a huge page was not to be had in this look */
	bool in_hand;	   /* being looked at: the thread's, nobody else frees it */
	bool renewed;	   /* opened or grown since the look began */
	uint64_t resident; /* bytes in memory at the end of the last look */
	UT_hash_handle hh;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t thread_time_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void entry_free(struct promoter *promoter, struct promoter_entry *entry)
{
	HASH_DEL(promoter->entries, entry);
	promoter->n_segments = HASH_COUNT(promoter->entries);
	free(entry);
}

/* The one that has changed least of late gives way. */
static void make_room(struct promoter *promoter)
{
	struct promoter_entry *idlest = NULL;

	for (struct promoter_entry *entry = promoter->entries; entry; entry = entry->hh.next)
		if (!entry->in_hand && (!idlest || entry->wait_ms > idlest->wait_ms))
			idlest = entry;
	if (idlest)
		entry_free(promoter, idlest);
}

static struct promoter_entry *entry_new(struct promoter *promoter, const struct node *node)
{
	struct promoter_entry *entry;

	if (HASH_COUNT(promoter->entries) >= MAX_ENTRIES)
		make_room(promoter);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->ino = node->ino;
	entry->due_ms = NEVER;
	HASH_ADD(hh, promoter->entries, ino, sizeof(entry->ino), entry);
	if (!entry->hh.tbl) {
		free(entry);
		return NULL;
	}
	promoter->n_segments = HASH_COUNT(promoter->entries);
	return entry;
}

/* The thread is woken if it may be waiting for something later. */
static void look_soon(struct promoter *promoter, const struct node *node)
{
	int64_t due_ms = now_ms() + FIRST_WAIT_MS;
	struct promoter_entry *entry;

	HASH_FIND(hh, promoter->entries, &node->ino, sizeof(node->ino), entry);
	if (!entry)
		entry = entry_new(promoter, node);
	if (!entry)
		return;
	entry->handle = node->handle;
	entry->renewed = true;
	entry->wait_ms = FIRST_WAIT_MS;
	entry->due_ms = MIN(entry->due_ms, due_ms);
	if (due_ms < promoter->waits_until_ms)
		pthread_cond_signal(&promoter->wake);
}

void promoter_look(struct fs *fs, uint64_t ino)
{
	struct promoter *promoter = &fs->promoter;
	struct node node;

	if (!promoter->running || fs->options.huge == HUGE_NEVER || node_get(&fs->nodes, ino, &node) < 0)
		return;
	pthread_mutex_lock(&promoter->lock);
	look_soon(promoter, &node);
	pthread_mutex_unlock(&promoter->lock);
}

void promoter_look_at_written(struct fs *fs, uint64_t ino)
{
	SEGFS_CLOSE int fd = fs->options.huge == HUGE_NEVER ? -1 : op_open_node(fs, ino, O_PATH);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size >= SEGFS_HUGE_PAGE)
		promoter_look(fs, ino);
}

bool promoter_is_looking(struct fs *fs)
{
	return fs->promoter.is_looking;
}

void promoter_ask(fuse_req_t req, const struct segfs_handle *handle)
{
	struct promoter *promoter = &fs_of(req)->promoter;
	struct promoter_ask *ask = malloc(sizeof(*ask));

	if (!ask) {
		reply(req, -ENOMEM);
		return;
	}
	*ask = (struct promoter_ask){.req = req, .handle = *handle};
	pthread_mutex_lock(&promoter->lock);
	*promoter->last = ask;
	promoter->last = &ask->next;
	pthread_cond_signal(&promoter->wake);
	pthread_mutex_unlock(&promoter->lock);
}

/* The first of those who wait; NULL if nobody does. */
static struct promoter_ask *take_ask(struct promoter *promoter)
{
	struct promoter_ask *ask = promoter->first;

	if (!ask)
		return NULL;
	promoter->first = ask->next;
	if (!promoter->first)
		promoter->last = &promoter->first;
	return ask;
}

/* As no use of the file that anybody would see: for reading alone, and without a trace in its times. */
#define OPEN_FLAGS (O_RDONLY | O_NOATIME)

static int promote_all(struct fs *fs, const struct segfs_handle *handle)
{
	SEGFS_CLOSE int path_fd = segfs_store_open_handle(&fs->store, handle, O_PATH);
	SEGFS_CLOSE int fd = path_fd < 0 ? path_fd : op_reopen(fs, path_fd, OPEN_FLAGS);
	struct segfs_huge_count count = {};
	uint64_t at = 0;
	int r;

	if (fd < 0)
		return fd == -EAGAIN ? -EBUSY : fd; /* as op_setxattr() */
	do
		r = segfs_huge_promote(fd, 1, ASKED_SLICE_NS, &at, &count);
	while (r > 0 && !fs->promoter.stop);
	return r > 0 ? -EINTR : r;
}

static void serve(struct fs *fs, struct promoter_ask *ask)
{
	reply(ask->req, promote_all(fs, &ask->handle));
	free(ask);
}

static bool is_memory_short(void)
{
	static const char total[] = "MemTotal:", available[] = "MemAvailable:";
	const char *has, *may;
	char text[512];

	if (segfs_procfs_read(AT_FDCWD, "/proc/meminfo", text, sizeof(text)) < 0)
		return false;
	has = strstr(text, total);
	may = strstr(text, available);
	return has && may &&
	       strtoull(may + strlen(available), NULL, 10) < strtoull(has + strlen(total), NULL, 10) / SHORT;
}

static bool is_store_short(const struct fs *fs)
{
	struct statvfs st;

	return fstatvfs(fs->store.root_fd, &st) == 0 && st.f_bfree < st.f_blocks / SHORT;
}

/* This look has ended. False if there shall be no other. */
static bool wait_for_next(struct promoter_entry *entry, bool has_grown)
{
	entry->wait_ms = has_grown && !entry->refused ? FIRST_WAIT_MS : entry->wait_ms * 2;
	entry->due_ms = now_ms() + entry->wait_ms;
	entry->at = 0;
	entry->refused = false;
	return entry->wait_ms <= LAST_WAIT_MS;
}

static bool end_look(struct promoter_entry *entry, const struct stat *st)
{
	uint64_t resident = (uint64_t)st->st_blocks * 512;
	bool has_grown = resident > entry->resident;

	if (!entry->refused && resident >= (uint64_t)st->st_size / SEGFS_HUGE_PAGE * SEGFS_HUGE_PAGE)
		return false;
	entry->resident = resident;
	return wait_for_next(entry, has_grown);
}

/* One slice of a look, or all of it. False if the segment is of no more interest. */
static bool look(struct fs *fs, struct promoter_entry *entry)
{
	SEGFS_CLOSE int path_fd = segfs_store_open_handle(&fs->store, &entry->handle, O_PATH), fd = -1;
	struct segfs_huge_count count = {};
	struct stat st;
	int r;

	if (path_fd < 0 || fstat(path_fd, &st) < 0 || st.st_size < SEGFS_HUGE_PAGE)
		return false;
	fd = lease_reopen(fs, path_fd, st.st_ino, OPEN_FLAGS);
	if (fd == -EAGAIN)
		return wait_for_next(entry, false);
	if (fd < 0)
		return false;
	if (is_memory_short() || is_store_short(fs))
		return wait_for_next(entry, false);
	r = segfs_huge_promote(fd, MIN_PAGES, SLICE_NS, &entry->at, &count);
	entry->refused |= count.n_refused > 0;
	if (r < 0)
		return false;
	if (r > 0 && count.error != -ENOMEM && count.error != -EBUSY)
		return true;
	return end_look(entry, &st);
}

/* Called and left with the lock, which is not held meanwhile. */
static void visit(struct fs *fs, struct promoter_entry *entry)
{
	struct promoter *promoter = &fs->promoter;
	struct promoter_entry copy = *entry;
	bool again;

	entry->in_hand = true;
	entry->renewed = false;
	entry->due_ms = NEVER;
	pthread_mutex_unlock(&promoter->lock);
	promoter->is_looking = true;
	again = look(fs, &copy);
	promoter->is_looking = false;
	pthread_mutex_lock(&promoter->lock);
	entry->in_hand = false;
	if (!again && !entry->renewed) {
		entry_free(promoter, entry);
		return;
	}
	entry->at = copy.at;
	entry->refused = copy.refused;
	entry->resident = copy.resident;
	if (again)
		entry->due_ms = MIN(entry->due_ms, copy.due_ms);
	if (!entry->renewed)
		entry->wait_ms = copy.wait_ms;
}

/* For what it has worked the thread rests, and a little more. */
static void rest(struct promoter *promoter)
{
	uint64_t spent_ns = thread_time_ns() - promoter->paid_ns;

	promoter->paid_ns += spent_ns;
	promoter->rest_until_ms = now_ms() + (int64_t)(spent_ns * REST / 1000000) + 1;
}

static struct promoter_entry *next_entry(struct promoter *promoter)
{
	struct promoter_entry *first = promoter->entries;

	for (struct promoter_entry *entry = first; entry; entry = entry->hh.next)
		if (entry->due_ms < first->due_ms)
			first = entry;
	return first;
}

/* Until that time, or until somebody asks, or something is due before it. */
static void wait_until(struct promoter *promoter, int64_t until_ms)
{
	struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};

	promoter->waits_until_ms = until_ms;
	if (until_ms == NEVER)
		pthread_cond_wait(&promoter->wake, &promoter->lock);
	else
		pthread_cond_clockwait(&promoter->wake, &promoter->lock, CLOCK_MONOTONIC, &until);
	promoter->waits_until_ms = 0;
}

static void work(struct fs *fs)
{
	struct promoter *promoter = &fs->promoter;
	struct promoter_entry *entry = next_entry(promoter);
	int64_t due_ms = entry ? MAX(entry->due_ms, promoter->rest_until_ms) : NEVER;

	if (due_ms > now_ms()) {
		wait_until(promoter, due_ms);
		return;
	}
	visit(fs, entry);
	rest(promoter);
}

static void *run(void *data)
{
	struct fs *fs = data;
	struct promoter *promoter = &fs->promoter;
	struct promoter_ask *ask;

	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	pthread_mutex_lock(&promoter->lock);
	while (!promoter->stop) {
		ask = take_ask(promoter);
		if (!ask) {
			work(fs);
			continue;
		}
		pthread_mutex_unlock(&promoter->lock);
		serve(fs, ask);
		promoter->paid_ns = thread_time_ns();
		pthread_mutex_lock(&promoter->lock);
	}
	pthread_mutex_unlock(&promoter->lock);
	return NULL;
}

int promoter_start(struct fs *fs)
{
	struct promoter *promoter = &fs->promoter;
	int r;

	promoter->last = &promoter->first;
	pthread_mutex_init(&promoter->lock, NULL);
	pthread_cond_init(&promoter->wake, NULL);
	r = -pthread_create(&promoter->thread, NULL, run, fs);
	promoter->running = r == 0;
	return r;
}

void promoter_stop(struct fs *fs)
{
	struct promoter *promoter = &fs->promoter;
	struct promoter_entry *entry, *next;
	struct promoter_ask *ask;

	if (!promoter->running)
		return;
	pthread_mutex_lock(&promoter->lock);
	promoter->stop = true;
	pthread_cond_signal(&promoter->wake);
	pthread_mutex_unlock(&promoter->lock);
	pthread_join(promoter->thread, NULL);
	promoter->running = false;

	while ((ask = take_ask(promoter))) {
		reply(ask->req, -EINTR);
		free(ask);
	}
	HASH_ITER (hh, promoter->entries, entry, next)
		entry_free(promoter, entry);
}
