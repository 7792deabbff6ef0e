/* SPDX-License-Identifier: MIT */
#include "control-state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "procfs.h"
#include "util.h"

/* Cut at any place: 0 then, or -EBADMSG. */
static int read_at(int fd, void *buf, size_t size, size_t offset)
{
	ssize_t n = pread(fd, buf, size, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EBADMSG;
}

/*
 * A holder: a thread id that is in the slot for it. Who is not a member has died behind the kernel's back.
 * The slots are read after the words here, as whoever leaves lets go first.
 */
static bool is_held(const struct segfs_layout_member *members, uint32_t word)
{
	uint32_t tid = word & SEGFS_OWNER_TID, at = members[tid % SEGFS_MEMBERS].owner;

	return tid != 0 && !(word & SEGFS_OWNER_DIED) && !(at & SEGFS_OWNER_DIED) &&
	       (at & SEGFS_OWNER_TID) == tid;
}

static void judge(const struct segfs_layout_control *page, struct segfs_control_state *state)
{
	uint32_t owner = page->owner;

	*state = (struct segfs_control_state){
		.version = page->event.count,
		.deaths = page->deaths,
		.exclusive = is_held(page->members, owner),
	};
	if (state->exclusive)
		state->exclusive_tid = owner & SEGFS_OWNER_TID;
	else
		state->holder_died = owner & (SEGFS_OWNER_DIED | SEGFS_OWNER_TID);
	for (size_t i = 0; i < SEGFS_CONTROL_READERS; i++)
		if (is_held(page->members, page->readers[i].owner))
			state->shared_tids[state->n_shared++] = page->readers[i].owner & SEGFS_OWNER_TID;
}

int segfs_control_state_read(int fd, struct segfs_control_state *ret_state)
{
	const size_t members = offsetof(struct segfs_layout_control, members),
		     readers = offsetof(struct segfs_layout_control, readers);
	SEGFS_FREE struct segfs_layout_control *page = malloc(sizeof(*page));
	int r;

	if (!page)
		return -ENOMEM;
	r = read_at(fd, page, members, 0);
	if (r == 0)
		r = read_at(fd, page->readers, sizeof(page->readers), readers);
	if (r == 0)
		r = read_at(fd, page->members, sizeof(page->members), members);
	if (r == 0)
		judge(page, ret_state);
	return r;
}

int segfs_control_state_version(int fd, uint64_t *ret_version)
{
	return read_at(fd, ret_version, sizeof(*ret_version), offsetof(struct segfs_layout_control, event));
}

struct search {
	uint32_t tid;
	int process_fd; /* its directory in /proc */
};

/* "NSpid:\t20011\t812": the id of the same thread in each namespace, the innermost last. */
static bool is_thread(const char *number, void *data)
{
	const struct search *search = data;
	char path[64], text[4096], *line, *end, *last;

	snprintf(path, sizeof(path), "task/%.20s/status", number);
	if (segfs_procfs_read(search->process_fd, path, text, sizeof(text)) < 0)
		return false;
	line = strstr(text, "\nNSpid:");
	end = line ? strchr(line + 1, '\n') : NULL;
	if (!end)
		return false;
	*end = '\0';
	last = strrchr(line, '\t');
	return last && strtoul(last, NULL, 10) == search->tid;
}

static bool has_thread(pid_t pid, uint32_t tid)
{
	char path[32];
	SEGFS_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 &&
	       segfs_procfs_each(fd, "task", is_thread, &(struct search){.tid = tid, .process_fd = fd}) == 1;
}

pid_t segfs_control_state_holder(const struct segfs_census *census, const ino_t *inos, size_t n, uint32_t tid)
{
	pid_t found = 0;

	for (size_t i = 0; i < n; i++) {
		const struct segfs_user *users;
		size_t n_users = segfs_census_find(census, inos[i], &users);

		for (size_t at = 0; at < n_users; at++)
			if ((found == 0 || users[at].pid < found) && has_thread(users[at].pid, tid))
				found = users[at].pid;
	}
	return found;
}
