/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#define MAGIC UINT64_C(0x7265676465666773)

/* A handle holds the index of its record and the lower bits of its request's number, which never comes again:
 * so a RELEASE that is sent a second time ends nobody else's. */
#define INDEX_BITS 22
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
_Static_assert(LEDGER_OPENS <= INDEX_MASK, "an index + 1 fits");

#define ALIGN(n)   (((n) + 4095) & ~(size_t)4095)
#define NODES_AT   ALIGN(sizeof(struct ledger_page))
#define OPENS_AT   (NODES_AT + ALIGN(sizeof(struct ledger_node) * (size_t)LEDGER_NODES))
#define TOTAL_SIZE (OPENS_AT + ALIGN(sizeof(struct ledger_open) * (size_t)LEDGER_OPENS))

/* As large as it may ever become: memory is taken as it is touched. */
int ledger_create(int *ret_fd)
{
	SEGFS_CLOSE int fd = memfd_create("segfs-ledger", MFD_CLOEXEC);
	const struct {
		uint64_t magic;
		uint32_t layout, unused;
	} head = {MAGIC, LEDGER_LAYOUT};
	struct ledger ledger;
	int r;

	if (fd < 0 || ftruncate(fd, (off_t)TOTAL_SIZE) < 0 || pwrite(fd, &head, sizeof(head), 0) < 0)
		return -errno;
	r = ledger_map(&ledger, fd);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &ledger.page->started);
	ledger.page->supervisor = getpid();
	ledger_unmap(&ledger);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int ledger_map(struct ledger *ledger, int fd)
{
	struct stat st;
	char *base;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != (off_t)TOTAL_SIZE)
		return -EPROTO;
	base = mmap(NULL, TOTAL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	*ledger = (struct ledger){
		.page = (void *)base,
		.nodes = (void *)(base + NODES_AT),
		.opens = (void *)(base + OPENS_AT),
	};
	pthread_mutex_init(&ledger->lock, NULL);
	if (ledger->page->magic == MAGIC && ledger->page->layout == LEDGER_LAYOUT)
		return 0;
	ledger_unmap(ledger);
	return -EPROTO;
}

void ledger_unmap(struct ledger *ledger)
{
	if (!ledger->page)
		return;
	munmap(ledger->page, TOTAL_SIZE);
	pthread_mutex_destroy(&ledger->lock);
	*ledger = (struct ledger){};
}

static void push_node(struct ledger *ledger, struct ledger_node *node)
{
	node->parent = ledger->free_node;
	ledger->free_node = (uint32_t)(node - ledger->nodes) + 1;
	ledger->n_free_nodes++;
}

static void push_open(struct ledger *ledger, struct ledger_open *open)
{
	open->ino = ledger->free_open;
	ledger->free_open = (uint32_t)(open - ledger->opens) + 1;
}

static bool is_closing(const struct ledger_page *page, int32_t backing_id)
{
	for (size_t i = 0; i < LEDGER_THREADS; i++)
		if (page->closing[i] == backing_id)
			return true;
	return false;
}

/* Each record whose backing id was being closed has none any more. */
static void take_closing(struct ledger *ledger)
{
	struct ledger_node *node;
	int32_t any = 0;

	for (size_t i = 0; i < LEDGER_THREADS; i++)
		any |= ledger->page->closing[i];
	for (uint32_t at = 0; any && (node = ledger_node_next(ledger, &at));)
		if (is_closing(ledger->page, node->backing_id))
			node->backing_id = 0;
}

/* Were there no room, it would only be closed by nobody if this worker is killed at this very moment. */
void ledger_closing(struct ledger *ledger, int32_t backing_id)
{
	int32_t none = 0;

	for (size_t i = 0; backing_id > 0 && i < LEDGER_THREADS; i++, none = 0)
		if (atomic_compare_exchange_strong(&ledger->page->closing[i], &none, backing_id))
			return;
}

void ledger_closed(struct ledger *ledger, int32_t backing_id)
{
	for (size_t i = 0; i < LEDGER_THREADS; i++) {
		if (ledger->page->closing[i] != backing_id)
			continue;
		ledger->page->closing[i] = 0;
		return;
	}
}

/* What was being taken from or put on a free list may be on none now: they are made anew. */
void ledger_take_over(struct ledger *ledger)
{
	for (uint32_t i = ledger->page->n_nodes; i-- > 0;)
		if (ledger->nodes[i].id == 0)
			push_node(ledger, &ledger->nodes[i]);
	for (uint32_t i = ledger->page->n_opens; i-- > 0;)
		if (ledger->opens[i].unique == 0)
			push_open(ledger, &ledger->opens[i]);
	for (size_t i = 0; i < LEDGER_SLOTS; i++)
		ledger->page->slots[i].tid = 0;
	take_closing(ledger);
}

struct ledger_node *ledger_node_new(struct ledger *ledger)
{
	struct ledger_node *node = NULL;

	pthread_mutex_lock(&ledger->lock);
	if (ledger->free_node) {
		node = &ledger->nodes[ledger->free_node - 1];
		ledger->free_node = (uint32_t)node->parent;
		ledger->n_free_nodes--;
	} else if (ledger->page->n_nodes < LEDGER_NODES) {
		node = &ledger->nodes[ledger->page->n_nodes++];
	}
	pthread_mutex_unlock(&ledger->lock);
	if (!node)
		return NULL;
	memset((char *)node + sizeof(node->id), 0, sizeof(*node) - sizeof(node->id));
	node->name_len = LEDGER_NAME_NONE;
	return node;
}

bool ledger_has_room(struct ledger *ledger)
{
	uint32_t n;

	pthread_mutex_lock(&ledger->lock);
	n = LEDGER_NODES - ledger->page->n_nodes + ledger->n_free_nodes;
	pthread_mutex_unlock(&ledger->lock);
	return n >= LEDGER_THREADS;
}

void ledger_node_free(struct ledger *ledger, struct ledger_node *node)
{
	if (!node)
		return;
	node->id = 0;
	pthread_mutex_lock(&ledger->lock);
	push_node(ledger, node);
	pthread_mutex_unlock(&ledger->lock);
}

void ledger_node_name(struct ledger_node *node, uint64_t parent, const char *name)
{
	size_t len = name ? strlen(name) : LEDGER_NAME_NONE;

	node->name_len = LEDGER_NAME_NONE;
	node->parent = parent;
	if (len > LEDGER_NAME_MAX)
		return;
	memcpy(node->name, name, len + 1);
	node->name_len = (uint8_t)len;
}

struct ledger_node *ledger_node_next(struct ledger *ledger, uint32_t *at)
{
	while (*at < ledger->page->n_nodes) {
		struct ledger_node *node = &ledger->nodes[(*at)++];

		if (node->id)
			return node;
	}
	return NULL;
}

static uint64_t handle_of(uint64_t unique, size_t index)
{
	return unique << INDEX_BITS | (index + 1);
}

uint64_t ledger_open_new(struct ledger *ledger, uint64_t unique, uint64_t ino, bool writes)
{
	struct ledger_open *open = NULL;

	pthread_mutex_lock(&ledger->lock);
	if (ledger->free_open) {
		open = &ledger->opens[ledger->free_open - 1];
		ledger->free_open = (uint32_t)open->ino;
	} else if (ledger->page->n_opens < LEDGER_OPENS) {
		open = &ledger->opens[ledger->page->n_opens++];
	}
	pthread_mutex_unlock(&ledger->lock);
	if (!open)
		return 0;
	open->ino = ino;
	open->note = 0;
	open->poll = 0;
	open->writes = writes;
	open->unique = unique;
	return handle_of(unique, (size_t)(open - ledger->opens));
}

struct ledger_open *ledger_open_of(struct ledger *ledger, uint64_t handle)
{
	size_t index = (handle & INDEX_MASK) - 1;
	struct ledger_open *open;

	if ((handle & INDEX_MASK) == 0 || index >= ledger->page->n_opens)
		return NULL;
	open = &ledger->opens[index];
	return open->unique && handle_of(open->unique, index) == handle ? open : NULL;
}

uint64_t ledger_open_find(struct ledger *ledger, uint64_t unique, uint64_t *ret_ino)
{
	for (uint32_t i = 0; i < ledger->page->n_opens; i++) {
		if (ledger->opens[i].unique != unique)
			continue;
		*ret_ino = ledger->opens[i].ino;
		return handle_of(unique, i);
	}
	return 0;
}

void ledger_open_free(struct ledger *ledger, struct ledger_open *open)
{
	open->unique = 0;
	pthread_mutex_lock(&ledger->lock);
	push_open(ledger, open);
	pthread_mutex_unlock(&ledger->lock);
}

struct ledger_open *ledger_open_next(struct ledger *ledger, uint32_t *at)
{
	while (*at < ledger->page->n_opens) {
		struct ledger_open *open = &ledger->opens[(*at)++];

		if (open->unique)
			return open;
	}
	return NULL;
}
