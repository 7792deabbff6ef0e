/* SPDX-License-Identifier: MIT */
#include "attributes.h"

#include <ctype.h>
#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include <segfs/ring.h>
#include <segfs/segment.h>
#include <segfs/slots.h>
#include <segfs/table.h>

#include "creator.h"
#include "lifetimes.h"
#include "placement.h"
#include "recipe.h"
#include "seal.h"
#include "util.h"

/*
 * In the order in which they are listed: shape comes last, as it is what completes a description when a tool
 * copies one by one. What is not listed is there for those who ask by name: tools that copy attributes shall
 * not carry it over.
 */
static const struct {
	const char *name;
	enum attribute attribute;
	bool listed;
} attributes[] = {
	{"user.shm.attached", ATTRIBUTE_ATTACHED,
	 false}, /* a walk through all of /proc: for those who ask by name */
	{"user.shm.creator", ATTRIBUTE_CREATOR, true},
	{SEGFS_ATTR_DTYPE, ATTRIBUTE_STORED, true},
	{"user.shm.huge", ATTRIBUTE_HUGE, false}, /* takes longer the more memory there is */
	{"user.shm.kind", ATTRIBUTE_KIND, true},
	/* A tool that copied "creator" along would see its copy removed when it ends. */
	{"user.shm.lifetime", ATTRIBUTE_LIFETIME, false},
	{"user.shm.lock", ATTRIBUTE_LOCK, true},
	{"user.shm.numa", ATTRIBUTE_NUMA, false}, /* the copy has its own place */
	{SEGFS_ATTR_OFFSET, ATTRIBUTE_STORED, true},
	{SEGFS_ATTR_ORDER, ATTRIBUTE_STORED, true},
	{"user.shm.ring", ATTRIBUTE_RING, true},
	{"user.shm.sealed", ATTRIBUTE_SEALED, false}, /* the copy's owner has not asked for it */
	{"user.shm.slots", ATTRIBUTE_SLOTS, true},
	{"user.shm.table", ATTRIBUTE_TABLE, true},
	{"user.shm.version", ATTRIBUTE_VERSION, true},
	{SEGFS_ATTR_SHAPE, ATTRIBUTE_STORED, true},
};

static bool starts_with(const char *value, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);

	return len >= n && !memcmp(value, prefix, n);
}

enum attribute attribute_of(const char *name)
{
	if (starts_with(name, strlen(name), NOTE_PREFIX))
		return ATTRIBUTE_HIDDEN;
	for (size_t i = 0; i < COUNT_OF(attributes); i++)
		if (!strcmp(name, attributes[i].name))
			return attributes[i].attribute;
	return ATTRIBUTE_OTHER;
}

bool attribute_concerns(enum attribute attribute, mode_t type)
{
	if (attribute == ATTRIBUTE_OTHER)
		return false;
	return S_ISREG(type) || (S_ISDIR(type) && attribute == ATTRIBUTE_LIFETIME);
}

static ssize_t give(const char *text, char **ret_value)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	*ret_value = copy;
	return (ssize_t)strlen(copy);
}

/* As somebody has stored it: half a description, or a wrong one. */
static ssize_t read_raw(const char *name, int fd, char **ret_value)
{
	SEGFS_FREE char *value = malloc(XATTR_SIZE_MAX);
	ssize_t n;

	if (!value)
		return -ENOMEM;
	n = fgetxattr(fd, name, value, XATTR_SIZE_MAX);
	if (n < 0)
		return -errno;
	*ret_value = steal_pointer(&value);
	return n;
}

/* From the description if there is a valid one. */
static ssize_t read_stored(const struct segfs_segment *segment, const char *name, int fd, char **ret_value)
{
	SEGFS_FREE char *value = NULL;
	ssize_t n = segfs_segment_text(segment, name, &value);

	if (n == -ENODATA && segment->kind == SEGFS_KIND_RAW)
		return read_raw(name, fd, ret_value);
	if (n >= XATTR_SIZE_MAX) /* only a .npy header can say so much */
		return -E2BIG;
	if (n >= 0)
		*ret_value = steal_pointer(&value);
	return n;
}

static ssize_t read_creator(int fd, ino_t ino, char **ret_value)
{
	char text[CREATOR_MAX];
	ssize_t n = creator_read(fd, ino, text);

	return n < 0 ? n : give(text, ret_value);
}

static ssize_t read_lifetime(int fd, ino_t ino, char **ret_value)
{
	struct segfs_lifetime lifetime;
	char text[SEGFS_LIFETIME_MAX];
	int r;

	r = lifetimes_get(fd, ino, &lifetime);
	if (r < 0)
		return r;
	segfs_lifetime_format(&lifetime, text);
	return give(text, ret_value);
}

/* Of a ring with all its consumers. */
#define RING_STATUS_MAX (256 + SEGFS_RING_CONSUMERS * 64)

static ssize_t read_ring(int fd, char **ret_value)
{
	struct segfs_ring_status status;
	char text[RING_STATUS_MAX];
	int r = segfs_ring_status(fd, &status);

	if (r < 0)
		return r;
	segfs_ring_status_format(&status, text, sizeof(text));
	segfs_ring_info_clear(&status.info);
	return give(text, ret_value);
}

static ssize_t read_table(int fd, char **ret_value)
{
	struct segfs_table_status status;
	char text[128];
	int r = segfs_table_status(fd, 0, &status);

	if (r < 0)
		return r;
	segfs_table_status_format(&status, text, sizeof(text));
	segfs_table_status_clear(&status);
	return give(text, ret_value);
}

static ssize_t read_slots(const struct segfs_segment *segment, char **ret_value)
{
	struct segfs_slots_info info;
	char *text;
	size_t n;

	if (segfs_slots_read(&segment->array, &info) < 0)
		return -ENODATA;
	n = segfs_slots_info_format(&info, NULL, 0);
	if (n > XATTR_SIZE_MAX)
		return -E2BIG;
	text = malloc(n + 1);
	if (!text)
		return -ENOMEM;
	segfs_slots_info_format(&info, text, n + 1);
	*ret_value = text;
	return (ssize_t)n;
}

/* Slots are an array, or what a .npy file holds. */
static bool may_be_slots(enum segfs_kind kind)
{
	return kind == SEGFS_KIND_ARRAY || kind == SEGFS_KIND_NPY;
}

static ssize_t read_of_kind(enum attribute attribute, const struct segfs_segment *segment, int fd,
			    char **ret_value)
{
	ssize_t n = -ENODATA;

	if (attribute == ATTRIBUTE_RING && segment->kind == SEGFS_KIND_RING)
		n = read_ring(fd, ret_value);
	else if (attribute == ATTRIBUTE_TABLE && segment->kind == SEGFS_KIND_TABLE)
		n = read_table(fd, ret_value);
	else if (attribute == ATTRIBUTE_SLOTS && may_be_slots(segment->kind))
		n = read_slots(segment, ret_value);
	return n == -EINVAL ? -ENODATA : n; /* it has changed meanwhile */
}

ssize_t attribute_read(enum attribute attribute, const char *name, int fd, ino_t ino, char **ret_value)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};
	int r;

	if (attribute == ATTRIBUTE_CREATOR)
		return read_creator(fd, ino, ret_value);
	if (attribute == ATTRIBUTE_LIFETIME)
		return read_lifetime(fd, ino, ret_value);
	if (attribute == ATTRIBUTE_SEALED)
		return give(seal_holds(fd, ino) ? "1" : "0", ret_value);
	if (attribute == ATTRIBUTE_NUMA)
		return segfs_placement_get(fd, ret_value);
	r = segfs_segment_read(fd, &segment);
	if (r < 0)
		return r;
	if (attribute == ATTRIBUTE_KIND)
		return give(segfs_kind_name(segment.kind), ret_value);
	if (attribute >= ATTRIBUTE_RING)
		return read_of_kind(attribute, &segment, fd, ret_value);
	return read_stored(&segment, name, fd, ret_value);
}

static bool is(const char *value, size_t len, const char *word)
{
	return len == strlen(word) && starts_with(value, len, word);
}

static bool is_number(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)value[i]))
			return false;
	return len > 0;
}

static bool is_pid_list(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isdigit((unsigned char)value[i]) && value[i] != ',')
			return false;
	return true;
}

static bool is_kind(const char *value, size_t len)
{
	for (enum segfs_kind kind = SEGFS_KIND_RAW; kind <= SEGFS_KIND_TABLE; kind++)
		if (is(value, len, segfs_kind_name(kind)))
			return true;
	return false;
}

/* Does the value begin as the pattern has it, where '#' is a number? */
static bool begins_as(const char *value, size_t len, const char *pattern)
{
	const char *end = value + len;

	for (; *pattern; pattern++) {
		if (value == end)
			return false;
		if (*pattern != '#' && *pattern != *value++)
			return false;
		if (*pattern != '#')
			continue;
		if (!isdigit((unsigned char)*value))
			return false;
		while (value < end && isdigit((unsigned char)*value))
			value++;
	}
	return true;
}

bool attribute_is_reported_form(enum attribute attribute, const char *value, size_t len)
{
	switch (attribute) {
	case ATTRIBUTE_KIND:
		return is_kind(value, len);
	case ATTRIBUTE_LOCK:
		return is(value, len, "unlocked") || starts_with(value, len, "exclusive pid ") ||
		       starts_with(value, len, "shared pid ");
	case ATTRIBUTE_CREATOR:
		return starts_with(value, len, "pid ");
	case ATTRIBUTE_VERSION:
		return is_number(value, len);
	case ATTRIBUTE_ATTACHED:
		return is_pid_list(value, len);
	case ATTRIBUTE_HUGE:
		return begins_as(value, len, "#/#");
	case ATTRIBUTE_RING:
		return begins_as(value, len, "block capacity # committed # producer ") ||
		       begins_as(value, len, "overwrite capacity # committed # producer ");
	case ATTRIBUTE_TABLE:
		return begins_as(value, len, "fields # record # writes # snapshots #");
	case ATTRIBUTE_SLOTS:
		return begins_as(value, len, "workers # row # ");
	default:
		return false;
	}
}

/* Two setters of one file must not overlap; those of different files seldom meet in one of these. */
#define N_SET_LOCKS 16
static pthread_mutex_t set_locks[N_SET_LOCKS] = {[0 ... N_SET_LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

static bool is_empty(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == 0;
}

static int store(enum attribute attribute, const char *name, int fd, const char *value, size_t len, int flags)
{
	if (attribute >= ATTRIBUTE_RING && flags & XATTR_REPLACE && is_empty(fd))
		return -ENODATA;
	switch (attribute) {
	case ATTRIBUTE_RING:
		return segfs_recipe_ring(fd, value, len);
	case ATTRIBUTE_TABLE:
		return segfs_recipe_table(fd, value, len);
	case ATTRIBUTE_SLOTS:
		return segfs_recipe_slots(fd, value, len);
	default:
		return segfs_segment_set(fd, name, value, len, flags);
	}
}

int attribute_store(enum attribute attribute, const char *name, int fd, ino_t ino, const char *value,
		    size_t len, int flags)
{
	pthread_mutex_t *lock = &set_locks[ino % N_SET_LOCKS];
	int r;

	pthread_mutex_lock(lock);
	r = store(attribute, name, fd, value, len, flags);
	pthread_mutex_unlock(lock);
	return r;
}

static bool is_made(enum attribute attribute, int fd)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};
	SEGFS_FREE char *value = NULL;

	return segfs_segment_read(fd, &segment) == 0 && read_of_kind(attribute, &segment, fd, &value) >= 0;
}

/* The magic is what is written last; of slots, no byte is. */
static bool is_half_made(int fd)
{
	char magic[8];

	return pread(fd, magic, sizeof(magic), 0) == sizeof(magic) && memcmp(magic, "\0\0\0\0\0\0\0", 8) == 0;
}

int attribute_make_again(enum attribute attribute, const char *name, int fd, ino_t ino, const char *value,
			 size_t len, int flags)
{
	if (is_made(attribute, fd))
		return 0;
	if (is_half_made(fd) && ftruncate(fd, 0) < 0)
		return -errno;
	return attribute_store(attribute, name, fd, ino, value, len, flags);
}

/* Names of the store that go through as they are. A segment's own attributes are listed apart. */
static bool passes(const char *name, bool is_root, bool replace_ours)
{
	enum attribute attribute = attribute_of(name);

	if (attribute == ATTRIBUTE_HIDDEN || attribute == ATTRIBUTE_LIFETIME)
		return false;
	if (starts_with(name, strlen(name), "trusted."))
		return is_root;
	return attribute == ATTRIBUTE_OTHER || !replace_ours;
}

/* Does the segment have this one, to be listed? */
static bool has_attribute(enum attribute attribute, const char *name, const struct segfs_segment *segment,
			  int fd, ino_t ino)
{
	struct segfs_slots_info slots;
	char text[CREATOR_MAX];

	if (attribute == ATTRIBUTE_CREATOR)
		return creator_read(fd, ino, text) >= 0;
	if (attribute == ATTRIBUTE_STORED)
		return segment->kind != SEGFS_KIND_RAW ? segfs_segment_format(segment, name, NULL, 0) >= 0
						       : fgetxattr(fd, name, NULL, 0) >= 0;
	if (attribute == ATTRIBUTE_RING)
		return segment->kind == SEGFS_KIND_RING;
	if (attribute == ATTRIBUTE_TABLE)
		return segment->kind == SEGFS_KIND_TABLE;
	if (attribute == ATTRIBUTE_SLOTS)
		return may_be_slots(segment->kind) && segfs_slots_read(&segment->array, &slots) == 0;
	return true;
}

static int print_ours(FILE *out, int fd, ino_t ino)
{
	SEGFS_CLEANUP(segfs_segment_clear) struct segfs_segment segment = {};
	int r;

	r = segfs_segment_read(fd, &segment);
	if (r < 0)
		return r;
	for (size_t i = 0; i < COUNT_OF(attributes); i++)
		if (attributes[i].listed &&
		    has_attribute(attributes[i].attribute, attributes[i].name, &segment, fd, ino))
			fwrite(attributes[i].name, strlen(attributes[i].name) + 1, 1, out);
	return 0;
}

ssize_t attribute_list(const char *names, size_t n, bool is_root, bool is_segment, int fd, ino_t ino,
		       char **ret_list)
{
	SEGFS_FREE char *list = NULL;
	size_t size;
	FILE *out = open_memstream(&list, &size);
	int r = 0;

	if (!out)
		return -ENOMEM;
	for (const char *name = names; name < names + n; name += strlen(name) + 1)
		if (passes(name, is_root, is_segment && fd >= 0))
			fwrite(name, strlen(name) + 1, 1, out);
	if (is_segment && fd >= 0)
		r = print_ours(out, fd, ino);
	if (close_text(out, &list) < 0)
		r = -ENOMEM;
	if (r < 0)
		return r;
	*ret_list = steal_pointer(&list);
	return (ssize_t)size;
}
