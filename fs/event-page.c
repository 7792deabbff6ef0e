/* SPDX-License-Identifier: MIT */
#include "event-file.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "event.h"
#include "util.h"

/* How many segments may be mapped, of the 65,530 mappings that a process may have (vm.max_map_count). */
#define PAGES_MAX 32768

/* A version that is less than it was is nobody's doing who means well: the file was cut and made longer. */
static void note_count(struct event_page *page, uint64_t count)
{
	page->broken |= page->shield.broken || count < page->count;
	if (!page->broken)
		page->count = count;
}

void event_page_look(struct event_page *page)
{
	uint64_t count;

	shield_raise(&page->shield);
	count = segfs_event_count(&page->control->event);
	shield_lower();
	note_count(page, count);
}

uint32_t event_page_arm(struct event_page *page)
{
	uint32_t sleepers;

	shield_raise(&page->shield);
	sleepers = segfs_event_arm(&page->control->event);
	shield_lower();
	return sleepers;
}

int event_page_publish(struct event_page *page)
{
	if (!page->broken) {
		shield_raise(&page->shield);
		segfs_event_add(&page->control->event, 1);
		shield_lower();
		event_page_look(page);
	}
	return page->broken ? -EIO : 0;
}

void event_page_unlist(struct events *events, struct event_page *page)
{
	if (page->listed)
		HASH_DELETE(hh, events->pages, page);
	page->listed = false;
}

static void page_free(struct events *events, struct event_page *page)
{
	event_page_unlist(events, page);
	munmap(page->control, sizeof(*page->control));
	free(page);
}

static int map(int fd, struct event_page *page)
{
	struct stat st;
	void *base;

	if (fstat(fd, &st) < 0)
		return -errno;
	base = mmap(NULL, sizeof(*page->control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	page->ino = st.st_ino;
	page->control = base;
	page->shield.base = base;
	page->shield.size = sizeof(*page->control);
	event_page_look(page);
	return 0;
}

int event_page_new(struct events *events, const struct segfs_handle *segment, int fd,
		   struct event_page **ret_page)
{
	SEGFS_FREE struct event_page *page = calloc(1, sizeof(*page));
	int r;

	if (!page)
		return -ENOMEM;
	if (HASH_COUNT(events->pages) >= PAGES_MAX)
		return -ENFILE;
	page->segment = *segment;
	r = map(fd, page);
	if (r < 0)
		return r;
	HASH_ADD(hh, events->pages, segment, sizeof(page->segment), page);
	page->listed = page->hh.tbl;
	if (!page->listed) {
		munmap(page->control, sizeof(*page->control));
		return -ENOMEM;
	}
	*ret_page = steal_pointer(&page);
	return 0;
}

void event_page_put(struct events *events, struct event_page *page)
{
	if (page && !page->files)
		page_free(events, page);
}
