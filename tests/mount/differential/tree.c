/* Compares two trees in everything a file system promises to keep. Runs as root. */
#include "step.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { FACTS_MAX = 65536, READ_MAX = 1 << 16 };

struct entry {
	char *path;  /* below the top; owned */
	char *facts; /* what is compared, in words; owned */
	dev_t dev;
	ino_t ino;
};

struct tree {
	const char *top;
	struct entry *entries;
	size_t n, room;
};

static void oops(const char *what)
{
	perror(what);
	exit(2);
}

size_t xattr_names(char *list, ssize_t len, char **ret_names, size_t max)
{
	size_t n = 0;

	for (char *p = list; p < list + len && n < max; p += strlen(p) + 1)
		if (strncmp(p, "user.shm.", 9) != 0)
			ret_names[n++] = p;
	qsort(ret_names, n, sizeof *ret_names, compare_names);
	return n;
}

static size_t add(char *facts, size_t at, const char *label, const char *text)
{
	int n = snprintf(facts + at, FACTS_MAX - at, "%s%s", label, text);

	return at + (size_t)n < FACTS_MAX ? at + (size_t)n : FACTS_MAX - 1;
}

/* Pages of zeros count as holes: which of the two they are is not content. */
static uint64_t hash_range(int fd, off_t from, off_t to, uint64_t hash)
{
	static unsigned char buffer[READ_MAX], zeros[READ_MAX];

	from &= ~4095ll;
	while (from < to) {
		ssize_t n = pread(fd, buffer, sizeof buffer, from);

		if (n <= 0)
			return n == 0 ? hash : hash + (uint64_t)errno;
		for (ssize_t i = 0; i < n; i += 4096) {
			size_t part = (size_t)(n - i < 4096 ? n - i : 4096);
			off_t where = from + i;

			if (memcmp(buffer + i, zeros, part) != 0)
				hash = hash_bytes(hash_bytes(hash, &where, sizeof where), buffer + i, part);
		}
		from += n;
	}
	return hash;
}

/* Sparse files reach sizes that cannot be read through, so only what SEEK_DATA finds is. */
static uint64_t hash_contents(int fd)
{
	uint64_t hash = 1;
	off_t from = 0, to;

	while ((from = lseek(fd, from, SEEK_DATA)) >= 0) {
		to = lseek(fd, from, SEEK_HOLE);
		if (to <= from)
			break;
		hash = hash_range(fd, from, to, hash);
		from = to;
	}
	return hash;
}

static size_t add_contents(char *facts, size_t at, const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC);
	char text[32];

	if (fd < 0)
		return add(facts, at, " cannot be opened: ", strerrorname_np(errno));
	snprintf(text, sizeof text, "%016llx", (unsigned long long)hash_contents(fd));
	close(fd);
	return add(facts, at, " contents ", text);
}

static size_t add_target(char *facts, size_t at, const char *path)
{
	char target[PATH_MAX + 1];
	ssize_t n = readlink(path, target, PATH_MAX);

	if (n < 0)
		return add(facts, at, " cannot be read: ", strerrorname_np(errno));
	target[n] = '\0';
	return add(facts, at, " -> ", target);
}

static size_t add_xattrs(char *facts, size_t at, const char *path)
{
	static char list[65536], value[65536];
	char *names[256], text[256];
	ssize_t len = llistxattr(path, list, sizeof list);
	size_t n;

	if (len < 0)
		return add(facts, at, " attributes cannot be listed: ", strerrorname_np(errno));
	n = xattr_names(list, len, names, 256);
	for (size_t i = 0; i < n; i++) {
		len = lgetxattr(path, names[i], value, sizeof value);
		at = add(facts, at, "\n\t", names[i]);
		if (len >= 0)
			words_of_bytes(text, sizeof text, value, (size_t)len);
		at = add(facts, at, " = ", len < 0 ? strerrorname_np(errno) : text);
	}
	return at;
}

static void describe(const char *path, const struct stat *st, char *facts)
{
	size_t at;

	words_of_stat(facts, FACTS_MAX, st);
	at = strlen(facts);
	if (S_ISREG(st->st_mode))
		at = add_contents(facts, at, path);
	if (S_ISLNK(st->st_mode))
		at = add_target(facts, at, path);
	add_xattrs(facts, at, path);
}

static struct entry *new_entry(struct tree *tree)
{
	if (tree->n == tree->room) {
		tree->room = tree->room ? tree->room * 2 : 256;
		tree->entries = realloc(tree->entries, tree->room * sizeof *tree->entries);
		if (!tree->entries)
			oops("realloc");
	}
	return memset(&tree->entries[tree->n++], 0, sizeof *tree->entries);
}

static void collect(struct tree *tree, const char *below);

static void collect_children(struct tree *tree, const char *path, const char *below)
{
	DIR *dir = opendir(path);

	if (!dir)
		return; /* too long a path: the other tree has it too */
	for (struct dirent *d; (d = readdir(dir));) {
		char *child;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (asprintf(&child, "%s/%s", below, d->d_name) < 0)
			oops("asprintf");
		collect(tree, child);
		free(child);
	}
	closedir(dir);
}

/* `below` is "" for the top, otherwise it begins with a slash. */
static void collect(struct tree *tree, const char *below)
{
	static char facts[FACTS_MAX];
	struct entry *entry = new_entry(tree);
	struct stat st;
	char *path;

	if (asprintf(&path, "%s%s", tree->top, below) < 0)
		oops("asprintf");
	if (lstat(path, &st) == 0) {
		describe(path, &st, facts);
		entry->dev = st.st_dev;
		entry->ino = st.st_ino;
	} else {
		snprintf(facts, sizeof facts, "cannot be looked at: %s", strerrorname_np(errno));
		st.st_mode = 0;
	}
	entry->path = strdup(*below ? below : "/");
	entry->facts = strdup(facts);
	if (S_ISDIR(st.st_mode))
		collect_children(tree, path, below);
	free(path);
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static void collect_all(struct tree *tree)
{
	collect(tree, "");
	qsort(tree->entries, tree->n, sizeof *tree->entries, compare_paths);
}

static void free_tree(struct tree *tree)
{
	for (size_t i = 0; i < tree->n; i++) {
		free(tree->entries[i].path);
		free(tree->entries[i].facts);
	}
	free(tree->entries);
}

/* The first name of the same inode: equal in both trees exactly when names share inodes alike. */
static const char *first_name(const struct tree *tree, const struct entry *entry)
{
	for (size_t i = 0; i < tree->n; i++)
		if (tree->entries[i].ino == entry->ino && tree->entries[i].dev == entry->dev)
			return tree->entries[i].path;
	return "";
}

static bool tell(const char *path, const char *what, const char *a, const char *b)
{
	fputs("trees differ at ", stdout);
	print_quoted(stdout, path);
	printf(" %s\n  A: %s\n  B: %s\n", what, a, b);
	return false;
}

static bool same_entry(const struct tree *a, const struct tree *b, size_t i, size_t k)
{
	const struct entry *x = &a->entries[i], *y = &b->entries[k];
	const char *first_x = first_name(a, x), *first_y = first_name(b, y);
	bool same = true;

	if (strcmp(x->facts, y->facts) != 0)
		same = tell(x->path, "", x->facts, y->facts);
	if (strcmp(first_x, first_y) != 0)
		same = tell(x->path, "in the first name of its inode", first_x, first_y);
	return same;
}

static bool same_trees(const struct tree *a, const struct tree *b)
{
	size_t i = 0, k = 0;
	bool same = true;

	while (i < a->n || k < b->n) {
		int order = i == a->n ? 1 : k == b->n ? -1 : compare_paths(&a->entries[i], &b->entries[k]);

		if (order < 0)
			same = tell(a->entries[i].path, "", a->entries[i].facts, "absent");
		else if (order > 0)
			same = tell(b->entries[k].path, "", "absent", b->entries[k].facts);
		else
			same &= same_entry(a, b, i, k);
		i += order <= 0;
		k += order >= 0;
	}
	return same;
}

long tree_compare(const char *top_a, const char *top_b)
{
	struct tree a = {.top = top_a}, b = {.top = top_b};
	long n;

	collect_all(&a);
	collect_all(&b);
	n = same_trees(&a, &b) ? (long)a.n : -1;
	free_tree(&a);
	free_tree(&b);
	return n;
}
