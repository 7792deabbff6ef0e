/*
 * One step of the differential test: an operation with all its arguments, drawn once and run on both
 * directories.
 *
 * draw.c chooses steps, run.c performs them, words.c prints them, tree.c compares what they left behind, and
 * main.c holds the loop. Nothing here knows segfs: both sides are plain directories.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

enum {
	STEP_SLOTS = 32,     /* descriptor pairs kept open between steps */
	STEP_PATH = 8192,    /* longer than PATH_MAX, so that too long can be tried */
	STEP_VALUE = 2048,   /* longest attribute value */
	STEP_DATA = 1 << 16, /* longest read or write */
	STEP_NOTE = 16384,   /* longest result in words */
};

/* Which fields of a step an operation uses; draw.c fills and words.c prints just these. */
enum step_part {
	PART_PATH = 1 << 0,
	PART_OTHER = 1 << 1, /* second path: new name, or a symlink's target */
	PART_SLOT = 1 << 2,
	PART_OTHER_SLOT = 1 << 3,
	PART_FLAGS = 1 << 4,
	PART_MODE = 1 << 5,
	PART_OFFSET = 1 << 6,
	PART_OTHER_OFFSET = 1 << 7,
	PART_LEN = 1 << 8,
	PART_FILL = 1 << 9, /* seed of the bytes written */
	PART_OWNER = 1 << 10,
	PART_TIMES = 1 << 11,
	PART_NAME = 1 << 12, /* of an extended attribute */
	PART_VALUE = 1 << 13,
	PART_RDEV = 1 << 14,
	PART_IN_SLOT = 1 << 15, /* the path begins at the slot, so preferably a directory is open there */
};

struct step {
	const struct op *op;
	int user;
	char path[STEP_PATH];
	char other[STEP_PATH];
	int slot, other_slot;
	int flags;
	mode_t mode;
	int64_t offset, other_offset, len;
	unsigned int fill;
	uid_t uid;
	gid_t gid;
	struct timespec times[2];
	char name[512];
	unsigned char value[STEP_VALUE];
	size_t value_len;
	dev_t rdev;
};

/* One of the two directories. `path` and `other` are the running step's, made absolute. */
struct side {
	const char *top;
	dev_t dev; /* of the top */
	int fds[STEP_SLOTS];
	char path[STEP_PATH + 8];
	char other[STEP_PATH + 8];
};

/* `err` is 0 or an errno, `value` what the call returned, `note` whatever else it told, in words. */
struct result {
	int err;
	int64_t value;
	char note[STEP_NOTE];
};

struct flag_name {
	int bits;
	const char *name;
};

struct op {
	const char *name;
	int weight;
	unsigned int parts;
	char aim;		       /* names preferred: 'd'irectories, 'f'iles, 's'ymlinks, or '*' */
	const struct flag_name *flags; /* how to print them; the last entry has no name */
	void (*draw_flags)(struct step *step);
	/* -1 with errno set, or what the call returned. */
	int64_t (*run)(struct side *side, const struct step *step, char *note);
};

struct user {
	uid_t uid;
	gid_t gid;
	int n_groups;
	gid_t groups[4];
};

enum { USERS_MAX = 8 };

extern const struct user users[USERS_MAX];
extern struct op ops[];
extern const size_t n_ops;

/* rng.c: one sequence a run, the same on every machine. */
void rng_seed(uint64_t seed);
uint64_t rng_next(void);
uint64_t rng_below(uint64_t n);
bool rng_chance(int percent);

/* draw.c */
struct draw_limits {
	int n_users;
	bool tmpfile;		/* O_TMPFILE may be drawn */
	const struct side *any; /* asked which slots are open; borrowed */
};

void step_draw(struct step *step, const struct draw_limits *limits);
void draw_open_flags(struct step *step);
void draw_at_flags(struct step *step);
void draw_unlink_flags(struct step *step);
void draw_link_flags(struct step *step);
void draw_rename_flags(struct step *step);
void draw_fallocate_flags(struct step *step);
void draw_whence(struct step *step);
void draw_map_flags(struct step *step);
void draw_flock_flags(struct step *step);
void draw_lock_type(struct step *step);
void draw_access_flags(struct step *step);
void draw_xattr_flags(struct step *step);
void draw_lxattr_flags(struct step *step);

/* acl.c: a value for system.posix_acl_*, mostly valid. */
size_t acl_draw(unsigned char *value, size_t max);

/* run.c */
void step_run(struct side *side, const struct step *step, struct result *ret);

/* words.c */
void step_print(FILE *out, const struct step *step);
void result_print(FILE *out, const struct result *result);
void print_quoted(FILE *out, const char *text);
void words_of_stat(char *note, size_t max, const struct stat *st);
void words_of_time(char *note, size_t max, const struct timespec *t);
void words_of_bytes(char *note, size_t max, const void *bytes, size_t len);
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len);
int compare_names(const void *a, const void *b);

/* tree.c: entries compared, or -1 after saying on stdout what differs. */
long tree_compare(const char *top_a, const char *top_b);
/* What listxattr gave, sorted, without the live user.shm.* ones; frees nothing, points into `list`. */
size_t xattr_names(char *list, ssize_t len, char **ret_names, size_t max);
