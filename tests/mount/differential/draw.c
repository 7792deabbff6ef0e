/* Chooses the steps. Names and numbers come from small pools, so that steps meet each other's files. */
#include "step.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PICK(array) ((array)[rng_below(sizeof(array) / sizeof((array)[0]))])

/* Primary and supplementary groups overlap, so that a group's rights come by either way. */
const struct user users[USERS_MAX] = {
	{0, 0, 0, {0}},
	{20001, 30001, 2, {30001, 40000}},
	{20002, 30002, 2, {40000, 40001}},
	{20003, 30003, 2, {40001, 30001}},
	{20004, 30001, 0, {0}},
	{20005, 30005, 4, {30002, 30003, 40000, 40001}},
	{20006, 40000, 1, {30006}},
	{20007, 30007, 0, {0}},
};

static bool tmpfile_allowed;

/* ---- paths ---- */

static const char *const dir_names[] = {"d0", "d1", "d2"};
static const char *const file_names[] = {"f0", "f1", "f2", "f3", "f4"};
static const char *const link_names[] = {"s0", "s1", "s2"};
static const char *const odd_names[] = {".", "..", "missing", "\xff\xfe", "a b", "-x", ".hidden"};

static void append_long_name(char *path)
{
	size_t len = strlen(path);
	size_t n = rng_chance(75) ? 255 : 256;

	memset(path + len, 'L', n);
	path[len + n] = '\0';
}

static void append_name(char *path, char aim)
{
	uint64_t roll = rng_below(100);

	/* Nine in ten times what the operation is about, else anything. */
	if (aim == '*' || roll >= 85)
		aim = "dffffsssol"[rng_below(10)];
	if (aim == 'd')
		strcat(path, PICK(dir_names));
	else if (aim == 'f')
		strcat(path, PICK(file_names));
	else if (aim == 's')
		strcat(path, PICK(link_names));
	else if (aim == 'o')
		strcat(path, PICK(odd_names));
	else
		append_long_name(path);
}

static void append_parents(char *path)
{
	static const char depths[] = "0000000111112223";
	int depth = depths[rng_below(sizeof depths - 1)] - '0';

	while (depth--) {
		append_name(path, rng_chance(85) ? 'd' : 's');
		strcat(path, "/");
	}
}

static void draw_path(char *path, char aim)
{
	*path = '\0';
	append_parents(path);
	append_name(path, aim);
	if (rng_chance(1))
		strcat(path, rng_chance(50) ? "/" : "/.");
}

/* Symlinks are resolved from where they stand, and renames carry them elsewhere: loops and dangling ones
 * come by themselves. */
static void draw_target(char *target)
{
	*target = '\0';
	switch (rng_below(20)) {
	case 0: /* the longest there is; the kernel keeps long ones in a page, short ones in the inode */
		while (strlen(target) < 4090)
			strcat(target, "./");
		strcat(target, "f0");
		return;
	case 1:
		memset(target, '.', 5000);
		target[5000] = '\0';
		return;
	case 2: /* empty: refused */
		return;
	case 3:
		strcpy(target, "/d0/f0");
		return;
	case 4:
		while (strlen(target) < 200)
			strcat(target, "./");
		break;
	case 5:
	case 6:
	case 7:
		strcpy(target, "../");
	}
	append_parents(target);
	append_name(target, rng_chance(50) ? 'f' : '*');
}

/* ---- numbers ---- */

static int64_t draw_offset(void)
{
	static const int64_t odd[] = {-1, -4096, INT64_MAX, INT64_MAX - 4096, 1ll << 40, 1ll << 62};

	switch (rng_below(20)) {
	case 0:
		return PICK(odd);
	case 1:
		return (int64_t)rng_below(1 << 20);
	case 2:
	case 3:
	case 4:
	case 5:
		return (int64_t)rng_below(8) * 4096;
	case 6:
	case 7:
	case 8:
		return (int64_t)rng_below(100);
	case 9:
	case 10:
		return 0;
	}
	return (int64_t)rng_below(5 * 4096);
}

/* Never a huge one: fallocate would try to provide it. */
static int64_t draw_len(void)
{
	switch (rng_below(20)) {
	case 0:
		return 0;
	case 1:
		return (int64_t)rng_below(STEP_DATA + 1);
	case 2:
	case 3:
		return (int64_t)rng_below(4) * 4096;
	case 4:
	case 5:
		return (int64_t)rng_below(3 * 4096);
	}
	return (int64_t)rng_below(200);
}

/* Directories closed to all would leave nothing to do, so most modes are open. */
static mode_t draw_mode(char aim)
{
	static const mode_t for_dirs[] = {0777, 0777,  0777, 0777, 01777, 0755, 0755,
					  0775, 02775, 0750, 0700, 0711,  0};
	static const mode_t for_files[] = {0666, 0666, 0644, 0644, 0664,  0600,	 0640,	0660,
					   0755, 0777, 0444, 0,	   04755, 02755, 02644, 06777};

	if (rng_chance(10))
		return (mode_t)rng_below(010000);
	return aim == 'd' ? PICK(for_dirs) : PICK(for_files);
}

static void draw_owner(struct step *step)
{
	const struct user *user = &users[rng_below(5)];

	step->uid = rng_chance(40) ? (uid_t)-1 : user->uid;
	step->gid = rng_chance(30) ? (gid_t)-1 : user->gid;
	if (user->n_groups && rng_chance(40))
		step->gid = user->groups[rng_below((uint64_t)user->n_groups)];
	/* chown to nobody and nothing: FUSE asks its server nothing, tmpfs refuses it on another's set-ID
	 * file. */
	if (step->uid == (uid_t)-1 && step->gid == (gid_t)-1)
		step->uid = user->uid;
}

/* Explicit times stay clear of the present: words_of_time() tells them apart by that. */
static struct timespec draw_time(void)
{
	static const time_t odd[] = {0, -1, -1000000000, 5000000000, 20000000000};
	struct timespec t = {.tv_sec = 1000000000 + (time_t)rng_below(1000000)};

	t.tv_nsec = (long)rng_below(1000000000);
	switch (rng_below(10)) {
	case 0:
	case 1:
		t.tv_nsec = UTIME_NOW;
		break;
	case 2:
	case 3:
		t.tv_nsec = UTIME_OMIT;
		break;
	case 4:
		t.tv_sec = PICK(odd);
		break;
	case 5:
		if (rng_chance(10))
			t.tv_nsec = 1000000000; /* invalid */
	}
	return t;
}

static dev_t draw_rdev(void)
{
	static const int devices[][2] = {{1, 3}, {0, 0}, {7, 0}, {200, 70000}};
	const int *device = PICK(devices);

	return makedev((unsigned int)device[0], (unsigned int)device[1]);
}

/* ---- flags ---- */

void draw_open_flags(struct step *step)
{
	static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR};
	static const int extra[] = {O_TRUNC,   O_APPEND, O_NOFOLLOW, O_DIRECTORY, O_EXCL, O_TRUNC | O_APPEND,
				    O_NOATIME, O_PATH,	 O_DIRECTORY};

	/* Any slot receives, whereas draw_slot() would empty one that is open. */
	*(step->op->parts & PART_IN_SLOT ? &step->other_slot : &step->slot) = (int)rng_below(STEP_SLOTS);
	/* FIFOs would block without O_NONBLOCK. */
	step->flags = O_NONBLOCK | PICK(access);
	if (rng_chance(45))
		step->flags |= O_CREAT;
	if (rng_chance(35))
		step->flags |= PICK(extra);
	if (rng_chance(10))
		step->flags |= PICK(extra);
	if (tmpfile_allowed && rng_chance(5))
		step->flags = (step->flags & ~O_CREAT) | O_TMPFILE;
	if (rng_chance(12)) {
		/* Something for the ...at() calls to start from. */
		step->flags = O_NONBLOCK | O_RDONLY | O_DIRECTORY;
		draw_path(step->path, 'd');
	}
}

void draw_at_flags(struct step *step)
{
	step->flags = rng_chance(40) ? AT_SYMLINK_NOFOLLOW : 0;
}

void draw_unlink_flags(struct step *step)
{
	step->flags = rng_chance(40) ? AT_REMOVEDIR : 0;
}

void draw_link_flags(struct step *step)
{
	step->flags = rng_chance(40) ? AT_SYMLINK_FOLLOW : 0;
}

void draw_rename_flags(struct step *step)
{
	static const int choices[] = {RENAME_NOREPLACE,
				      RENAME_NOREPLACE,
				      RENAME_EXCHANGE,
				      RENAME_EXCHANGE,
				      0,
				      RENAME_NOREPLACE | RENAME_EXCHANGE,
				      RENAME_WHITEOUT,
				      0x100};

	step->flags = PICK(choices);
	if (rng_chance(10)) {
		/* A directory into its own subdirectory. */
		strcpy(step->other, step->path);
		strcat(step->other, "/d0");
	}
}

void draw_fallocate_flags(struct step *step)
{
	static const int choices[] = {
		0,
		0,
		0,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_COLLAPSE_RANGE,
		FALLOC_FL_INSERT_RANGE,
		FALLOC_FL_UNSHARE_RANGE,
		0x4000,
	};

	step->flags = PICK(choices);
	if (rng_chance(2))
		step->len = -1;
}

void draw_whence(struct step *step)
{
	static const int choices[] = {SEEK_SET,	 SEEK_CUR,  SEEK_END, SEEK_DATA,
				      SEEK_DATA, SEEK_HOLE, SEEK_HOLE};

	step->flags = rng_chance(1) ? 77 : PICK(choices);
	/* In a file that ends at the very last offset tmpfs overflows: SEEK_HOLE gives INT64_MIN. */
	if (step->flags == SEEK_HOLE && step->offset > INT64_MAX - 8192)
		step->offset = INT64_MAX / 2;
}

void draw_map_flags(struct step *step)
{
	static const int choices[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE};

	step->flags = PICK(choices);
	if (step->offset > 0)
		step->offset &= ~4095ll;
}

void draw_flock_flags(struct step *step)
{
	static const int choices[] = {LOCK_SH, LOCK_EX, LOCK_EX, LOCK_UN};

	step->flags = PICK(choices) | LOCK_NB;
}

void draw_lock_type(struct step *step)
{
	static const int choices[] = {F_RDLCK, F_WRLCK, F_UNLCK};

	step->flags = PICK(choices);
}

void draw_access_flags(struct step *step)
{
	step->flags = rng_chance(70) ? AT_EACCESS : 0;
	step->mode = (mode_t)rng_below(8);
}

void draw_xattr_flags(struct step *step)
{
	static const int choices[] = {0, 0, 0, XATTR_CREATE, XATTR_REPLACE, XATTR_CREATE | XATTR_REPLACE};

	step->flags = PICK(choices);
}

/* The path forms have an l... variant, told by a bit that no set flag uses. */
void draw_lxattr_flags(struct step *step)
{
	draw_xattr_flags(step);
	if (rng_chance(30))
		step->flags |= AT_SYMLINK_NOFOLLOW;
}

/* ---- extended attributes ---- */

static void draw_xattr_name(char *name)
{
	static const char *const common[] = {"user.a", "user.b", "user.c", "system.posix_acl_access",
					     "system.posix_acl_default"};
	static const char *const rare[] = {"trusted.t", "security.segfstest", "security.capability",
					   "user.",	"system.x",	      "nope.x",
					   "",		"user.\xff",	      "trusted."};

	if (rng_chance(3)) {
		strcpy(name, "user.");
		memset(name + 5, 'n', 252);
		name[rng_chance(70) ? 255 : 256] = '\0';
		return;
	}
	strcpy(name, rng_chance(80) ? PICK(common) : PICK(rare));
}

static size_t draw_capability(unsigned char *value)
{
	/* VFS_CAP_REVISION_2, effective, CAP_NET_RAW permitted. */
	static const unsigned char raw[20] = {1, 0, 0, 2, 0, 0x20};

	memcpy(value, raw, sizeof raw);
	return sizeof raw;
}

static void draw_value(struct step *step)
{
	unsigned int c = (unsigned int)rng_next();

	if (strncmp(step->name, "system.posix", 12) == 0) {
		step->value_len = acl_draw(step->value, STEP_VALUE);
		return;
	}
	if (strcmp(step->name, "security.capability") == 0 && rng_chance(80)) {
		step->value_len = draw_capability(step->value);
		return;
	}
	step->value_len = rng_chance(10) ? 0 : rng_below(rng_chance(20) ? 2001 : 40);
	for (size_t i = 0; i < step->value_len; i++)
		step->value[i] = (unsigned char)(c >> (i % 4 * 8));
}

/* Size of the buffer handed to getxattr and listxattr: a question, too small, or enough. */
static int64_t draw_room(void)
{
	static const int64_t choices[] = {0, 1, 20, 2000, 4096, 65536};

	return PICK(choices);
}

/* ---- steps ---- */

static bool useful(int fd, bool as_dir)
{
	struct stat st;

	return fd >= 0 && (!as_dir || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)));
}

/* Most often one that is open. */
static int draw_slot(const struct side *side, bool as_dir)
{
	int slot = (int)rng_below(STEP_SLOTS);

	if (rng_chance(3))
		return slot;
	for (int i = 0; i < STEP_SLOTS && !useful(side->fds[slot], as_dir); i++)
		slot = (slot + 1) % STEP_SLOTS;
	return slot;
}

static const struct op *draw_op(void)
{
	int64_t total = 0, roll;
	size_t i = 0;

	for (size_t k = 0; k < n_ops; k++)
		total += ops[k].weight;
	roll = (int64_t)rng_below((uint64_t)total);
	while ((roll -= ops[i].weight) >= 0)
		i++;
	return &ops[i];
}

static void draw_paths(struct step *step, unsigned int parts)
{
	char aim = step->op->aim;

	step->path[0] = step->other[0] = '\0';
	if (parts & PART_PATH)
		draw_path(step->path, aim);
	/* Only symlink says what it makes before it says where. */
	if (parts & PART_OTHER && aim == 's')
		draw_target(step->other);
	else if (parts & PART_OTHER)
		draw_path(step->other, rng_chance(70) ? aim : *step->path == 'd' ? 'd' : 'f');
}

static void draw_numbers(struct step *step, unsigned int parts)
{
	char aim = step->op->aim;

	if (aim == '*' || !aim)
		aim = strchr(step->path, 'f') ? 'f' : 'd';
	step->mode = draw_mode(aim);
	step->offset = draw_offset();
	step->other_offset = draw_offset();
	step->len = parts & PART_NAME ? draw_room() : draw_len();
	step->fill = (unsigned int)rng_below(256);
	if (parts & PART_OWNER)
		draw_owner(step);
	if (parts & PART_RDEV)
		step->rdev = draw_rdev();
}

void step_draw(struct step *step, const struct draw_limits *limits)
{
	unsigned int parts;

	tmpfile_allowed = limits->tmpfile;
	step->op = draw_op();
	parts = step->op->parts;
	step->user = (int)rng_below((uint64_t)limits->n_users);
	step->slot = draw_slot(limits->any, parts & PART_IN_SLOT);
	step->other_slot = draw_slot(limits->any, false);
	draw_paths(step, parts);
	draw_numbers(step, parts);
	step->times[0] = draw_time();
	step->times[1] = draw_time();
	step->name[0] = '\0';
	if (parts & PART_NAME)
		draw_xattr_name(step->name);
	if (parts & PART_VALUE)
		draw_value(step);
	step->flags = 0;
	if (step->op->draw_flags)
		step->op->draw_flags(step);
}
