/* SPDX-License-Identifier: MIT */
#include <segfs/control.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

#include <segfs/layout.h>

#include "atomics.h"
#include "control-place.h"
#include "event.h"
#include "lock.h"
#include "robust.h"
#include "util.h"

struct segfs_control {
	struct segfs_robust *area;	   /* owned */
	struct segfs_layout_control *page; /* the area's */
	bool writable;
	/* Slots that this process may hold: the page says which it does. Any one will do to let go of; in the
	 * child of a fork none of these is. */
	uint64_t slots;
};

int segfs_control_open(const char *path, int flags, struct segfs_control **ret_control)
{
	SEGFS_FREE struct segfs_control *control = NULL;
	SEGFS_CLOSE int fd = -1;
	int r;

	if (flags != O_RDONLY && flags != O_RDWR)
		return -EINVAL;
	control = calloc(1, sizeof(*control));
	if (!control)
		return -ENOMEM;
	fd = segfs_control_place_open(path, flags);
	if (fd < 0)
		return fd;
	control->writable = flags == O_RDWR;
	r = segfs_robust_map(fd, sizeof(*control->page), control->writable, segfs_lock_words,
			     SEGFS_LOCK_WORDS, &control->area);
	if (r < 0)
		return r;
	control->page = segfs_robust_data(control->area);
	*ret_control = steal_pointer(&control);
	return 0;
}

struct segfs_control *segfs_control_close(struct segfs_control *control)
{
	if (control)
		segfs_robust_unmap(control->area);
	free(control);
	return NULL;
}

/* The thread id to lock with, or -errno. */
static int owner_of(const struct segfs_control *control)
{
	return control->writable ? segfs_robust_owner(control->area) : -EBADF;
}

int segfs_lock_exclusive(struct segfs_control *control, int64_t timeout_ns)
{
	int self = owner_of(control);

	return self < 0 ? self : segfs_lock_take(control->page, (uint32_t)self, timeout_ns);
}

int segfs_unlock_exclusive(struct segfs_control *control)
{
	int self = owner_of(control);

	return self < 0 ? self : segfs_lock_drop(control->page, (uint32_t)self);
}

int segfs_lock_shared(struct segfs_control *control, int64_t timeout_ns)
{
	int self = owner_of(control), r;
	unsigned slot;

	if (self < 0)
		return self;
	r = segfs_lock_join(control->page, (uint32_t)self, timeout_ns, &slot);
	if (r >= 0)
		count_or_seq_cst(&control->slots, UINT64_C(1) << slot);
	return r;
}

/* A slot's bit is taken before the slot is let go of, so that another thread may have both at once again. */
int segfs_unlock_shared(struct segfs_control *control)
{
	int self = owner_of(control);
	uint64_t slots;

	if (self < 0)
		return self;
	while ((slots = count_load_relaxed(&control->slots)) != 0) {
		uint64_t bit = slots & -slots;

		if (count_and_seq_cst(&control->slots, ~bit) & bit &&
		    segfs_lock_part(control->page, (uint32_t)self, (unsigned)__builtin_ctzll(bit)) == 0)
			return 0;
	}
	return -EPERM;
}

int segfs_publish(struct segfs_control *control, uint64_t *ret_version)
{
	uint64_t version;

	if (!control->writable)
		return -EBADF;
	version = segfs_event_add(&control->page->event, 1);
	if (ret_version)
		*ret_version = version;
	return 0;
}

uint64_t segfs_version(const struct segfs_control *control)
{
	return count_load_acquire(&control->page->event.count);
}

int segfs_wait(struct segfs_control *control, uint64_t version, int64_t timeout_ns, uint64_t *ret_version)
{
	return segfs_event_wait(&control->page->event, control->writable, version, timeout_ns, ret_version);
}

static bool is_held(uint32_t word)
{
	return word & SEGFS_OWNER_TID && !(word & SEGFS_OWNER_DIED);
}

void segfs_control_stat(const struct segfs_control *control, struct segfs_control_stat *ret_stat)
{
	const struct segfs_layout_control *page = control->page;
	uint32_t owner = word_load_relaxed(&page->owner);

	*ret_stat = (struct segfs_control_stat){
		.ino = count_load_relaxed(&page->ino),
		.version = segfs_version(control),
		.deaths = word_load_relaxed(&page->deaths),
		.exclusive_tid = is_held(owner) ? owner & SEGFS_OWNER_TID : 0,
		.holder_died = owner & SEGFS_OWNER_DIED,
	};
	for (int i = 0; i < SEGFS_CONTROL_READERS; i++)
		ret_stat->n_shared += is_held(word_load_relaxed(&page->readers[i].owner));
}
