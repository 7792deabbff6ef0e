/* SPDX-License-Identifier: MIT */

/* .segfs/info/NAME: all there is to tell about a segment, a line a fact. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "census.h"
#include "control.h"
#include "creator.h"
#include "devices.h"
#include "lifetimes.h"
#include "locks.h"
#include "ops.h"
#include "page-lock.h"
#include "residency.h"
#include "statistics.h"
#include "table.h"
#include "util.h"
#include "view-file.h"

#define PAGE 4096

static void print_name(int fd, FILE *out)
{
	char link[SEGFS_FD_PATH_MAX], path[PATH_MAX + 1];
	const char *slash;
	ssize_t n;

	segfs_fd_path(fd, link);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return;
	path[n] = '\0';
	slash = strrchr(path, '/');
	fputs("Name:\t", out);
	table_escape(slash ? slash + 1 : path, out);
	putc('\n', out);
}

/* A mapping begins at a page, so the offset tells how its data are aligned. */
static uint64_t alignment_at(uint64_t offset)
{
	uint64_t lowest = offset & -offset;

	return offset == 0 ? PAGE : MIN(lowest, PAGE);
}

/* The first field of a packed structure that does not lie where its type asks for; NULL: all do. */
static const struct segfs_field *misaligned_field(const struct segfs_dtype *dtype, uint64_t offset)
{
	for (size_t i = 0; i < dtype->n_fields; i++) {
		const struct segfs_field *field = &dtype->fields[i];

		if (*field->name && ((offset + field->offset) % field->dtype->alignment != 0 ||
				     dtype->itemsize % field->dtype->alignment != 0 ||
				     misaligned_field(field->dtype, offset + field->offset)))
			return field;
	}
	return NULL;
}

static void print_alignment(const struct segfs_array *array, FILE *out)
{
	uint64_t alignment = alignment_at(array->offset);
	const struct segfs_field *field = misaligned_field(array->dtype, array->offset);

	fprintf(out, "Alignment:\t%" PRIu64 "\n", alignment);
	if (alignment < array->dtype->alignment)
		fprintf(out,
			"Warning:\tthe data begin at byte %" PRIu64 ", aligned to %" PRIu64 ", where %zu is "
			"wanted: a view is misaligned, which C does not allow and numpy does slowly\n",
			array->offset, alignment, array->dtype->alignment);
	else if (field) {
		fputs("Warning:\tthe field ", out);
		table_escape(field->name, out);
		fprintf(out, " is misaligned in some or all records, which C does not allow and numpy does "
			     "slowly; pad the records\n");
	}
}

static void print_type(const struct segfs_segment *segment, FILE *out)
{
	static const struct {
		const char *key, *attribute;
	} lines[] = {
		{"Dtype", SEGFS_ATTR_DTYPE},
		{"Shape", SEGFS_ATTR_SHAPE},
		{"Order", SEGFS_ATTR_ORDER},
		{"Offset", SEGFS_ATTR_OFFSET},
	};

	fprintf(out, "Kind:\t%s\n", segfs_kind_name(segment->kind));
	if (segment->kind == SEGFS_KIND_RAW)
		return;
	for (size_t i = 0; i < COUNT_OF(lines); i++) {
		SEGFS_FREE char *text = NULL;

		if (segfs_segment_text(segment, lines[i].attribute, &text) >= 0)
			fprintf(out, "%s:\t%s\n", lines[i].key, text);
	}
	fprintf(out, "Itemsize:\t%zu\n", segment->array.dtype->itemsize);
	if (segment->kind != SEGFS_KIND_TABLE) /* whose fields lie on lines of their own */
		print_alignment(&segment->array, out);
}

static void print_size(int fd, const struct stat *st, FILE *out)
{
	struct segfs_residency residency;

	fprintf(out, "Size:\t%jd\n", (intmax_t)st->st_size);
	if (segfs_residency_read(fd, &residency) == 0)
		fprintf(out, "Resident:\t%" PRIu64 "\nHuge:\t%" PRIu64 "\n", residency.resident,
			residency.huge);
}

static void print_rights(int fd, const struct stat *st, FILE *out)
{
	struct segfs_lifetime lifetime;
	char creator[CREATOR_MAX], text[SEGFS_LIFETIME_MAX];

	fprintf(out, "Mode:\t%04o\nUid:\t%u\nGid:\t%u\n", st->st_mode & 07777, st->st_uid, st->st_gid);
	if (creator_read(fd, st->st_ino, creator) < 0)
		strcpy(creator, "unknown");
	fprintf(out, "Creator:\t%s\n", creator);
	if (lifetimes_get(fd, st->st_ino, &lifetime) < 0)
		return;
	segfs_lifetime_format(&lifetime, text);
	fprintf(out, "Lifetime:\t%s\n", text);
}

/* "read write mapped open mount store flock fcntl ofd", of these what is so. */
static void print_how(unsigned how, FILE *out)
{
	static const struct {
		unsigned bit;
		const char *word;
	} words[] = {
		{SEGFS_USE_READ, "read"},   {SEGFS_USE_WRITE, "write"}, {SEGFS_USE_MAPPED, "mapped"},
		{SEGFS_USE_OPEN, "open"},   {SEGFS_USE_MOUNT, "mount"}, {SEGFS_USE_STORE, "store"},
		{SEGFS_USE_FLOCK, "flock"}, {SEGFS_USE_FCNTL, "fcntl"}, {SEGFS_USE_OFD, "ofd"},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (how & words[i].bit)
			fprintf(out, " %s", words[i].word);
}

static void print_user(const struct segfs_user *user, FILE *out)
{
	struct segfs_process process;

	fprintf(out, "Process:\t%d ", user->pid);
	if (segfs_process_read(user->pid, &process) == 0)
		table_escape(process.command, out);
	else
		fputs("-", out); /* has ended since */
	print_how(user->how, out);
	putc('\n', out);
}

/* What is said in the control page, and in the line of the locks that who holds it next is told. */
static void print_control(const struct segfs_control_state *state, bool has_page, FILE *out)
{
	if (state->holder_died)
		fputs("; holder died", out);
	fprintf(out, "\nVersion:\t%" PRIu64 "\n", state->version);
	if (has_page)
		fprintf(out, "Deaths:\t%" PRIu32 "\n", state->deaths);
}

static int print_locks(const struct fs *fs, const struct segfs_identity *file, int page_fd,
		       const struct segfs_census *census, FILE *out)
{
	SEGFS_CLEANUP(segfs_locks_cleanup) struct segfs_locks *locks = NULL;
	SEGFS_CLEANUP(segfs_page_lock_clear) struct segfs_page_lock page = {};
	struct segfs_control_state state = {};
	bool has_page = page_lock_read(fs, page_fd, file->ino, NULL, &page, &state) == 0;
	int r = segfs_locks_read(&locks);

	if (r < 0)
		return r;
	fputs("Lock:\t", out);
	r = segfs_locks_print(locks, file, SEGFS_LOCKS_TEXT, census, &page, out);
	print_control(&state, has_page, out);
	return r;
}

static int print_users(const struct fs *fs, const struct segfs_identity *file, int page_fd, FILE *out)
{
	SEGFS_CLEANUP(segfs_census_cleanup) struct segfs_census *census = NULL;
	const struct segfs_user *users;
	size_t n;
	int r;

	r = segfs_census_take_of(file, &census);
	if (r < 0)
		return r;
	n = segfs_census_find(census, file->ino, &users);
	fprintf(out, "Attached:\t%zu\n", n);
	for (size_t i = 0; i < n; i++)
		print_user(&users[i], out);
	return print_locks(fs, file, page_fd, census, out);
}

/* The control page of a segment found in the directory `dir`; none if it cannot be had. */
static int open_page(struct fs *fs, uint64_t dir, int fd)
{
	SEGFS_CLOSE int dir_fd = op_open_node(fs, dir, O_PATH | O_DIRECTORY);

	return dir_fd < 0 ? dir_fd : control_find(fs, dir_fd, fd);
}

/* Digits with which each number of the type is told from its neighbours. */
static int digits_of(const struct segfs_dtype *dtype)
{
	if (dtype->kind != SEGFS_FLOAT)
		return dtype->kind == SEGFS_BFLOAT16 ? 4 : 20;
	return dtype->itemsize == 2 ? 5 : dtype->itemsize == 4 ? 9 : dtype->itemsize == 8 ? 17 : 21;
}

static void print_statistics(const struct segfs_array *array, int fd, FILE *out)
{
	struct segfs_statistics statistics;
	uint64_t n_elements, n_bytes;
	int digits = digits_of(array->dtype);

	if (segfs_statistics_read(array, fd, &statistics) < 0 ||
	    segfs_array_count(array, &n_elements, &n_bytes) < 0 || n_elements == 0)
		return;
	fprintf(out, "Sample:\t%" PRIu64 " of %" PRIu64 " elements\n", statistics.n_sampled, n_elements);
	if (statistics.n_nan < statistics.n_sampled)
		fprintf(out, "Minimum:\t%.*Lg\nMaximum:\t%.*Lg\nMean:\t%.9Lg\n", digits, statistics.min,
			digits, statistics.max, statistics.mean);
	if (array->dtype->kind == SEGFS_FLOAT || array->dtype->kind == SEGFS_BFLOAT16)
		fprintf(out, "NaN:\t%" PRIu64 "\n", statistics.n_nan);
}

int view_info_print(struct fs *fs, uint64_t dir, int fd, const struct segfs_segment *segment, FILE *out)
{
	SEGFS_CLOSE int page_fd = open_page(fs, dir, fd);
	struct segfs_identity file;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	file = devices_identity(fs, st.st_ino);
	print_name(fd, out);
	print_type(segment, out);
	view_kind_print(fd, segment, out);
	print_size(fd, &st, out);
	print_rights(fd, &st, out);
	r = print_users(fs, &file, page_fd, out);
	if (r == 0 && (segment->kind == SEGFS_KIND_ARRAY || segment->kind == SEGFS_KIND_NPY))
		print_statistics(&segment->array, fd, out);
	return r;
}
