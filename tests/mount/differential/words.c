/* Steps and results as text, for the reader of a failure. Results are also compared in this form. */
#include "step.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

static void print_run(FILE *out, char c, size_t n)
{
	if (n > 12) {
		fprintf(out, "%c{%zu times}", c, n);
		return;
	}
	while (n--)
		fprintf(out, isprint((unsigned char)c) && c != '"' ? "%c" : "\\x%02x", (unsigned char)c);
}

void print_quoted(FILE *out, const char *text)
{
	fputc('"', out);
	while (*text) {
		size_t n = 1;

		while (text[n] == text[0])
			n++;
		print_run(out, text[0], n);
		text += n;
	}
	fputc('"', out);
}

static void print_flags(FILE *out, const struct op *op, int flags)
{
	const char *between = "";

	fputs(" flags ", out);
	for (const struct flag_name *f = op->flags; f && f->name; f++) {
		/* An entry of several bits stands for all of them; one of none, for having none. */
		if (f->bits ? (flags & f->bits) != f->bits : flags != 0)
			continue;
		fprintf(out, "%s%s", between, f->name);
		between = "|";
		flags &= ~f->bits;
		if (!flags)
			return;
	}
	if (flags || !*between)
		fprintf(out, flags ? "%s0x%x" : "%snone", between, (unsigned int)flags);
}

static void print_paths(FILE *out, const struct step *s)
{
	if (s->op->parts & PART_PATH) {
		fputs(" path ", out);
		print_quoted(out, s->path);
	}
	if (s->op->parts & PART_OTHER) {
		fputs(" other path ", out);
		print_quoted(out, s->other);
	}
	if (s->op->parts & PART_SLOT)
		fprintf(out, " slot %d", s->slot);
	if (s->op->parts & PART_OTHER_SLOT)
		fprintf(out, " other slot %d", s->other_slot);
}

static void print_numbers(FILE *out, const struct step *s)
{
	unsigned int parts = s->op->parts;

	if (parts & PART_MODE)
		fprintf(out, " mode 0%o", (unsigned int)s->mode);
	if (parts & PART_OFFSET)
		fprintf(out, " offset %lld", (long long)s->offset);
	if (parts & PART_OTHER_OFFSET)
		fprintf(out, " other offset %lld", (long long)s->other_offset);
	if (parts & PART_LEN)
		fprintf(out, " length %lld", (long long)s->len);
	if (parts & PART_FILL)
		fprintf(out, " fill %u", s->fill);
	if (parts & PART_OWNER)
		fprintf(out, " uid %d gid %d", (int)s->uid, (int)s->gid);
	if (parts & PART_RDEV)
		fprintf(out, " device %u:%u", major(s->rdev), minor(s->rdev));
}

static void print_time(FILE *out, const char *label, const struct timespec *t)
{
	if (t->tv_nsec == UTIME_NOW)
		fprintf(out, " %s UTIME_NOW", label);
	else if (t->tv_nsec == UTIME_OMIT)
		fprintf(out, " %s UTIME_OMIT", label);
	else
		fprintf(out, " %s %lld.%09ld", label, (long long)t->tv_sec, t->tv_nsec);
}

void step_print(FILE *out, const struct step *s)
{
	char value[256];

	fprintf(out, "uid %d: %s", (int)users[s->user].uid, s->op->name);
	print_paths(out, s);
	if (s->op->parts & PART_FLAGS)
		print_flags(out, s->op, s->flags);
	print_numbers(out, s);
	if (s->op->parts & PART_TIMES) {
		print_time(out, "atime", &s->times[0]);
		print_time(out, "mtime", &s->times[1]);
	}
	if (s->op->parts & PART_NAME) {
		fputs(" name ", out);
		print_quoted(out, s->name);
	}
	if (s->op->parts & PART_VALUE) {
		words_of_bytes(value, sizeof value, s->value, s->value_len);
		fprintf(out, " value %s", value);
	}
	fputc('\n', out);
}

void result_print(FILE *out, const struct result *r)
{
	if (r->err)
		fprintf(out, "%s (%s)", strerrorname_np(r->err), strerror(r->err));
	else
		fprintf(out, "%lld", (long long)r->value);
	fprintf(out, "%s%s\n", *r->note ? "; " : "", r->note);
}

/* Times set to the present differ between the sides by the length of a step. Those set explicitly lie in
 * another decade (draw.c), so that the value itself tells which kind it is. */
void words_of_time(char *note, size_t max, const struct timespec *t)
{
	static time_t start;
	time_t now = time(NULL);

	if (!start)
		start = now;
	if (t->tv_sec >= start - 5 && t->tv_sec <= now + 5)
		snprintf(note, max, "recent");
	else
		snprintf(note, max, "%lld.%09ld", (long long)t->tv_sec, t->tv_nsec);
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "regular";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFCHR:
		return "character device";
	case S_IFBLK:
		return "block device";
	}
	return "unknown type";
}

/* A directory's size is the file system's own business, and so are blocks and inode numbers. */
void words_of_stat(char *note, size_t max, const struct stat *st)
{
	char mtime[64] = "any";

	/* What is written to a FIFO moves the time of the inode that the writer has open, and no file system
	 * is told. */
	if (!S_ISFIFO(st->st_mode))
		words_of_time(mtime, sizeof mtime, &st->st_mtim);
	snprintf(note, max, "%s 0%o uid %d gid %d nlink %lu size %lld mtime %s device %u:%u",
		 type_name(st->st_mode), (unsigned int)(st->st_mode & 07777), (int)st->st_uid,
		 (int)st->st_gid, (unsigned long)st->st_nlink,
		 S_ISDIR(st->st_mode) ? 0 : (long long)st->st_size, mtime, major(st->st_rdev),
		 minor(st->st_rdev));
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t word;

	for (; len >= sizeof word; p += sizeof word, len -= sizeof word) {
		memcpy(&word, p, sizeof word);
		hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	while (len--)
		hash = (hash ^ *p++) * 0x100000001b3u;
	return hash;
}

void words_of_bytes(char *note, size_t max, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	int n = snprintf(note, max, "%zu bytes hash %016llx", len,
			 (unsigned long long)hash_bytes(len, bytes, len));

	for (size_t i = 0; i < len && i < 32; i++)
		n += snprintf(note + n, max - (size_t)n, "%s%02x", i ? "" : " ", p[i]);
}

int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}
