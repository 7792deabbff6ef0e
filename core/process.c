/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "procfs.h"
#include "util.h"

/* Of /proc/PID, or of a file there, and of a thread's number in the directory of its process. */
#define PATH_ROOM 64

static int read_file(pid_t pid, const char *name, char *buf, size_t size)
{
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return segfs_procfs_read(AT_FDCWD, path, buf, size);
}

/* "812 (python3) S 1 ...": the command may hold spaces and parentheses, so the last one ends it. The space
 * before the field, which are counted from 1; NULL: no such line. */
static char *find_stat_field(char *text, int number)
{
	char *p = strrchr(text, ')');

	if (p)
		p++;
	for (int field = 3; p && field < number; field++)
		p = strchr(p + 1, ' ');
	return p;
}

static int parse_stat(char *text, struct segfs_process *process)
{
	char *open = strchr(text, '('), *close = strrchr(text, ')'), *start = find_stat_field(text, 22);

	if (!open || !start || close < open)
		return -ESRCH;
	*close = '\0';
	snprintf(process->command, sizeof(process->command), "%s", open + 1);
	process->start_ticks = strtoull(start, NULL, 10);
	return 0;
}

/* The process that a thread belongs to. */
static int read_tgid(pid_t tid, pid_t *ret_pid)
{
	char text[4096], *p;
	int r;

	r = read_file(tid, "status", text, sizeof(text));
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
	char text[1024];
	int r;

	r = read_tgid(pid, &process.pid);
	if (r < 0)
		return r;
	r = read_file(process.pid, "stat", text, sizeof(text));
	if (r == 0)
		r = parse_stat(text, &process);
	if (r == 0)
		*ret_process = process;
	return r;
}

/* The state is that of the first thread, which stays a zombie while others run. */
bool segfs_process_lives(pid_t pid)
{
	char text[1024], *state, *n_threads;

	if (read_file(pid, "stat", text, sizeof(text)) < 0)
		return false;
	state = find_stat_field(text, 3);
	n_threads = find_stat_field(text, 20);
	if (!n_threads || !strncmp(state, " X", 2))
		return false;
	return strncmp(state, " Z", 2) || atoi(n_threads) > 1;
}

uint64_t segfs_process_size_limit(pid_t pid)
{
	char text[4096], *line;
	unsigned long long limit;

	if (read_file(pid, "limits", text, sizeof(text)) < 0)
		return UINT64_MAX;
	line = strstr(text, "\nMax file size ");
	return line && sscanf(line, " Max file size %llu", &limit) == 1 ? limit : UINT64_MAX;
}

struct look {
	int process_fd;
	pid_t pid;
	bool (*look)(int dir_fd, void *data);
	void *data;
};

static bool look_at(int dir_fd, const char *path, const struct look *look)
{
	SEGFS_CLOSE int fd = openat(dir_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && look->look(fd, look->data);
}

static bool look_at_thread(const char *number, void *data)
{
	const struct look *look = data;
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "task/%.20s", number);
	return atoi(number) != look->pid && look_at(look->process_fd, path, look);
}

bool segfs_process_look(pid_t pid, bool (*look)(int dir_fd, void *data), void *data)
{
	SEGFS_CLOSE int fd = -1;
	char path[PATH_ROOM];

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	return look(fd, data) ||
	       segfs_procfs_each(fd, "task", look_at_thread, &(struct look){fd, pid, look, data}) == 1;
}

int segfs_pids_add(struct segfs_pids *pids, pid_t pid)
{
	size_t at = pids->n;
	pid_t *list;

	while (at > 0 && pids->list[at - 1] > pid)
		at--;
	if (at > 0 && pids->list[at - 1] == pid)
		return 0;
	list = realloc(pids->list, (pids->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	memmove(list + at + 1, list + at, (pids->n - at) * sizeof(*list));
	list[at] = pid;
	pids->list = list;
	pids->n++;
	return 0;
}

void segfs_pids_print(const struct segfs_pids *pids, FILE *out)
{
	for (size_t i = 0; i < pids->n; i++)
		fprintf(out, "%s%d", i ? "," : "", pids->list[i]);
}

void segfs_pids_clear(struct segfs_pids *pids)
{
	free(pids->list);
	*pids = (struct segfs_pids){};
}
