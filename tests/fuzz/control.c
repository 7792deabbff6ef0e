/* SPDX-License-Identifier: MIT */
/* The lock and the event of a control page that somebody else fills with nonsense while they are used. */
#include "event.h"
#include "lock.h"
#include "robust.h"
#include "target.h"

#define MAX_STEPS 64
#define SHORT_NS  20000

static void use(struct segfs_layout_control *page, uint32_t self, struct input *in)
{
	int64_t timeout_ns = draw_byte(in) % 4 == 3 ? SHORT_NS : 0;
	uint64_t count;
	unsigned slot;

	switch (draw_byte(in) % 7) {
	case 0:
		segfs_lock_take(page, self, timeout_ns);
		break;
	case 1:
		segfs_lock_drop(page, self);
		break;
	case 2:
		if (segfs_lock_join(page, self, timeout_ns, &slot) >= 0)
			MUST(slot < SEGFS_CONTROL_READERS);
		break;
	case 3:
		segfs_lock_part(page, self, draw_byte(in) % SEGFS_CONTROL_READERS);
		break;
	case 4:
		segfs_event_add(&page->event, draw_number(in, 8));
		break;
	case 5:
		segfs_event_wait(&page->event, true, draw_number(in, 8), timeout_ns, &count);
		break;
	default:
		segfs_event_wait(&page->event, false, draw_number(in, 8), timeout_ns, &count);
	}
}

/* Nonsense, or the thread id that would make it ours: bytes alone would hardly guess it. */
static void spoil(struct segfs_layout_control *page, uint32_t self, int fd, struct input *in)
{
	uint8_t where = draw_byte(in);

	if (where % 4)
		scribble(in, fd, sizeof(struct segfs_layout_control));
	else if (where & 4)
		page->readers[draw_byte(in) % SEGFS_CONTROL_READERS].owner = self | (uint32_t)(where & 0xc0)
											    << 24;
	else
		page->owner = self | (uint32_t)(where & 0xc0) << 24;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	SEGFS_CLOSE int fd = fuzz_file("", 0);
	struct input in = {data, size};
	struct segfs_layout_control *page;
	struct segfs_robust *area;
	uint32_t self;

	MUST(ftruncate(fd, sizeof(*page)) == 0);
	MUST(segfs_robust_map(fd, sizeof(*page), true, segfs_lock_words, SEGFS_LOCK_WORDS, &area) == 0);
	page = segfs_robust_data(area);
	self = (uint32_t)segfs_robust_owner(area);
	for (int i = 0; i < MAX_STEPS && in.size > 0; i++) {
		if (draw_byte(&in) % 2)
			use(page, self, &in);
		else
			spoil(page, self, fd, &in);
	}
	segfs_robust_unmap(area);
	return 0;
}
