/* SPDX-License-Identifier: MIT */
#include "placement.h"

#include <ctype.h>
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util.h"

/* What a file may grow to, address space only. */
#define ROOM (UINT64_C(1) << 40)

#define MODE_FLAGS 0xff00

static const struct {
	const char *name;
	int mode;
	bool takes_nodes, needs_nodes;
} modes[] = {
	{"default", MPOL_DEFAULT, false, false},
	{"local", MPOL_LOCAL, false, false},
	{"interleave", MPOL_INTERLEAVE, true, false},
	{"bind", MPOL_BIND, true, true},
};

static void free_mask(struct bitmask **mask)
{
	if (*mask)
		numa_bitmask_free(*mask);
}
#define FREE_MASK SEGFS_CLEANUP(free_mask)

/* "0,2": nodes that there are. */
static int parse_nodes(const char *text, struct bitmask *nodes)
{
	char *end;

	do {
		unsigned long node;

		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		node = strtoul(text, &end, 10);
		if (node > (unsigned long)numa_max_node() ||
		    !numa_bitmask_isbitset(numa_all_nodes_ptr, (unsigned)node))
			return -EINVAL;
		numa_bitmask_setbit(nodes, (unsigned)node);
		text = end + 1;
	} while (*end == ',');
	return *end ? -EINVAL : 0;
}

/* *ret_mode and the nodes, none for a mode that takes none. */
static int parse(const char *text, int *ret_mode, struct bitmask *nodes)
{
	size_t n = strcspn(text, " ");

	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		if (strlen(modes[i].name) != n || strncmp(text, modes[i].name, n))
			continue;
		*ret_mode = modes[i].mode;
		if (text[n])
			return modes[i].takes_nodes ? parse_nodes(text + n + 1, nodes) : -EINVAL;
		if (modes[i].needs_nodes)
			return -EINVAL;
		if (modes[i].takes_nodes)
			copy_bitmask_to_bitmask(numa_all_nodes_ptr, nodes);
		return 0;
	}
	return -EINVAL;
}

/* What a mapping has already, by itself, the kernel does not set for the file: a new one has the default. */
static int bind_mapping(void *mapped, uint64_t size, int mode, const struct bitmask *nodes)
{
	bool any = numa_bitmask_weight(nodes) > 0;

	if (mode == MPOL_DEFAULT && mbind(mapped, size, MPOL_LOCAL, NULL, 0, 0) < 0)
		return -errno;
	return mbind(mapped, size, mode, any ? nodes->maskp : NULL, any ? nodes->size + 1 : 0, 0) < 0 ? -errno
												      : 0;
}

/* With all the room there is address space for. */
static void *map_room(int fd, uint64_t min_size, uint64_t *ret_size)
{
	void *mapped = MAP_FAILED;

	for (uint64_t size = MAX(ROOM, min_size); size >= min_size && mapped == MAP_FAILED; size /= 2) {
		mapped = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
		*ret_size = size;
		if (mapped == MAP_FAILED && errno != ENOMEM && errno != EINVAL)
			break;
	}
	return mapped;
}

static int apply(int fd, int mode, const struct bitmask *nodes)
{
	struct stat st;
	uint64_t size;
	void *mapped;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	mapped = map_room(fd, MAX((uint64_t)st.st_size, 1u), &size);
	if (mapped == MAP_FAILED)
		return -errno;
	r = bind_mapping(mapped, size, mode, nodes);
	munmap(mapped, size);
	return r;
}

int segfs_placement_set(int fd, const char *text, size_t len)
{
	SEGFS_FREE char *copy = strndup(text, len);
	FREE_MASK struct bitmask *nodes = NULL;
	int r, mode;

	if (numa_available() < 0)
		return -EOPNOTSUPP;
	nodes = numa_allocate_nodemask();
	if (!copy || !nodes)
		return -ENOMEM;
	if (strlen(copy) != len)
		return -EINVAL;
	r = parse(copy, &mode, nodes);
	return r < 0 ? r : apply(fd, mode, nodes);
}

static int read_policy(int fd, int *ret_mode, struct bitmask *nodes)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	int r = 0;

	if (mapped == MAP_FAILED)
		return -errno;
	if (get_mempolicy(ret_mode, nodes->maskp, nodes->size + 1, mapped, MPOL_F_ADDR) < 0)
		r = -errno;
	munmap(mapped, size);
	return r;
}

static void print_nodes(const struct bitmask *nodes, FILE *out)
{
	char separator = ' ';

	for (unsigned i = 0; i < nodes->size; i++) {
		if (!numa_bitmask_isbitset(nodes, i))
			continue;
		fprintf(out, "%c%u", separator, i);
		separator = ',';
	}
}

static void print_policy(int mode, const struct bitmask *nodes, FILE *out)
{
	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		if ((mode & ~MODE_FLAGS) != modes[i].mode)
			continue;
		fputs(modes[i].name, out);
		if (modes[i].needs_nodes ||
		    (modes[i].takes_nodes && !numa_bitmask_equal(nodes, numa_all_nodes_ptr)))
			print_nodes(nodes, out);
		return;
	}
	fputs("other", out);
}

ssize_t segfs_placement_get(int fd, char **ret_text)
{
	FREE_MASK struct bitmask *nodes = NULL;
	SEGFS_FREE char *text = NULL;
	size_t size;
	FILE *out;
	int r, mode;

	if (numa_available() < 0)
		return -EOPNOTSUPP;
	nodes = numa_allocate_nodemask();
	if (!nodes)
		return -ENOMEM;
	r = read_policy(fd, &mode, nodes);
	if (r < 0)
		return r;
	out = open_memstream(&text, &size);
	if (!out)
		return -ENOMEM;
	print_policy(mode, nodes, out);
	if (close_text(out, &text) < 0)
		return -ENOMEM;
	*ret_text = steal_pointer(&text);
	return (ssize_t)size;
}
