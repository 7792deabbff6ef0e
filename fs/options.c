/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "fault.h"
#include "log.h"
#include "util.h"

#define DEFAULT_THREADS 8
#define MAX_THREADS	256

static const char usage[] =
	"Usage: segfs [-f] [-d] [-o OPTION[,OPTION...]] STORE MOUNTPOINT\n"
	"\n"
	"Show the shared memory in STORE, a directory on tmpfs such as /dev/shm, as typed files in MOUNTPOINT.\n"
	"STORE may be MOUNTPOINT itself: the mount then covers it.\n"
	"\n"
	"  -f, --foreground  stay in the foreground, log to stderr\n"
	"  -d, --debug       the same, and print each request\n"
	"  -o OPTIONS        ro, nosuid, nodev, noexec, noatime and other options of mount(8)\n"
	"                    reserve: a segment that grows gets its memory at once, or ENOSPC\n"
	"                    huge=auto|never|always: huge pages for what is reserved or used, for nothing, or\n"
	"                    for whatever grows (auto)\n"
	"                    names=portable: segments get names that work on Windows and macOS too\n"
	"                    dry-run: log which segments would be removed, and remove none\n"
	"                    root_only: nobody but root may use the mount\n"
	"                    threads=N: how many requests are served at once (8)\n"
	"  -h, --help        this text\n"
	"  -V, --version     the version\n"
	"\n"
	"umount MOUNTPOINT, or SIGTERM, ends it. Mapped segments stay mapped. See segfs(8).\n";

static const struct {
	const char *name;
	unsigned set, clear;
} mount_flags[] = {
	{"ro", MOUNT_ATTR_RDONLY, 0},
	{"rw", 0, MOUNT_ATTR_RDONLY},
	{"nosuid", MOUNT_ATTR_NOSUID, 0},
	{"suid", 0, MOUNT_ATTR_NOSUID},
	{"nodev", MOUNT_ATTR_NODEV, 0},
	{"dev", 0, MOUNT_ATTR_NODEV},
	{"noexec", MOUNT_ATTR_NOEXEC, 0},
	{"exec", 0, MOUNT_ATTR_NOEXEC},
	{"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME},
	{"atime", 0, MOUNT_ATTR_NOATIME},
	{"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR_NOATIME},
	{"nostrictatime", 0, MOUNT_ATTR_STRICTATIME},
	{"norelatime", 0, 0},
	{"relatime", 0, MOUNT_ATTR_NOATIME | MOUNT_ATTR_STRICTATIME},
	{"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
	{"diratime", 0, MOUNT_ATTR_NODIRATIME},
	{"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
	{"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

/* What mount(8), fstab(5) and systemd.mount(5) pass along for themselves, and what is so anyway. */
static const char *const ignored[] = {
	"defaults",    "auto",
	"noauto",      "nofail",
	"_netdev",     "user",
	"nouser",      "users",
	"nousers",     "owner",
	"noowner",     "group",
	"nogroup",     "sync",
	"async",       "dirsync",
	"mand",	       "nomand",
	"iversion",    "noiversion",
	"lazytime",    "nolazytime",
	"silent",      "loud",
	"allow_other", "default_permissions",
	"x-",	       "X-",
	"comment=",
};

static bool is_ignored(const char *option)
{
	for (size_t i = 0; i < COUNT_OF(ignored); i++) {
		size_t n = strlen(ignored[i]);
		bool is_prefix = ignored[i][n - 1] == '=' || ignored[i][n - 1] == '-';

		if (is_prefix ? !strncmp(option, ignored[i], n) : !strcmp(option, ignored[i]))
			return true;
	}
	return false;
}

static bool parse_threads(const char *text, unsigned *ret_threads)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < 2 || n > MAX_THREADS) {
		log_error("threads=%s: a number from 2 to %d is wanted", text, MAX_THREADS);
		return false;
	}
	*ret_threads = (unsigned)n;
	return true;
}

static bool parse_huge(const char *text, enum huge_mode *ret_mode)
{
	static const char *const modes[] = {
		[HUGE_AUTO] = "auto",
		[HUGE_NEVER] = "never",
		[HUGE_ALWAYS] = "always",
	};

	for (size_t i = 0; i < COUNT_OF(modes); i++) {
		if (strcmp(text, modes[i]))
			continue;
		*ret_mode = (enum huge_mode)i;
		return true;
	}
	log_error("huge=%s: auto, never or always is wanted", text);
	return false;
}

static bool parse_mount_option(const char *option, struct options *options)
{
	for (size_t i = 0; i < COUNT_OF(mount_flags); i++) {
		if (strcmp(option, mount_flags[i].name))
			continue;
		options->set_flags = (options->set_flags | mount_flags[i].set) & ~mount_flags[i].clear;
		options->clear_flags = (options->clear_flags | mount_flags[i].clear) & ~mount_flags[i].set;
		return true;
	}
	if (!strcmp(option, "root_only"))
		options->root_only = true;
	else if (!strcmp(option, "reserve"))
		options->reserve = true;
	else if (!strcmp(option, "names=portable"))
		options->portable_names = true;
	else if (!strcmp(option, "dry-run"))
		options->dry_run = true;
	else if (!strncmp(option, "huge=", 5))
		return parse_huge(option + 5, &options->huge);
	else if (!strncmp(option, "threads=", 8))
		return parse_threads(option + 8, &options->threads);
	else if (!strncmp(option, "fault=", 6) && fault_set(option + 6))
		return true;
	else if (*option && !is_ignored(option)) {
		log_error("unknown option '%s'; segfs --help lists what there is", option);
		return false;
	}
	return true;
}

/* The words themselves stay whole, for a worker that is started with them. */
static bool parse_mount_options(const char *words, struct options *options)
{
	SEGFS_FREE char *copy = strdup(words);
	char *text = copy;

	if (!copy)
		return false;
	for (char *option = strsep(&text, ","); option; option = strsep(&text, ","))
		if (!parse_mount_option(option, options))
			return false;
	return true;
}

static bool parse_flags(int argc, char **argv, struct options *options, bool *ret_done)
{
	static const struct option longopts[] = {
		{"foreground", no_argument, NULL, 'f'},
		{"debug", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"worker", no_argument, NULL, 'w'}, /* for the supervisor alone: supervisor.h */
		{NULL, 0, NULL, 0},
	};
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "fdo:hV", longopts, NULL)) >= 0) {
		switch (c) {
		case 'd':
			options->debug = true;
			/* fall through */
		case 'f':
			options->foreground = true;
			break;
		case 'w':
			options->worker = true;
			break;
		case 'o':
			if (!parse_mount_options(optarg, options))
				return false;
			break;
		case 'h':
		case 'V':
			fputs(c == 'h' ? usage : "segfs " SEGFS_VERSION "\n", stdout);
			*ret_done = true;
			return true;
		default:
			log_error(
				"%s: not an option, or its value is missing; segfs --help lists what there is",
				argv[optind - 1]);
			return false;
		}
	}
	return true;
}

/* A worker is given absolute ones, and must not look where only it would answer. */
static char *absolute(const struct options *options, const char *path, const char *what)
{
	char *real = options->worker ? strdup(path) : realpath(path, NULL);

	if (!real)
		log_error("%s %s: %s%s%s", what, path, strerror(errno), errno == ENOENT ? "; mkdir " : "",
			  errno == ENOENT ? path : "");
	return real;
}

enum options_result options_parse(int argc, char **argv, struct options *ret_options)
{
	struct options options = {.threads = DEFAULT_THREADS};
	bool done = false;

	if (!parse_flags(argc, argv, &options, &done))
		return OPTIONS_BAD;
	if (done)
		return OPTIONS_DONE;
	if (argc - optind != 2) {
		log_error(
			"a store and a mountpoint are wanted: segfs /dev/shm /mnt/shm (segfs --help tells more)");
		return OPTIONS_BAD;
	}
	options.store = absolute(&options, argv[optind], "store");
	options.mountpoint = options.store ? absolute(&options, argv[optind + 1], "mountpoint") : NULL;
	if (!options.mountpoint) {
		options_clear(&options);
		return OPTIONS_BAD;
	}
	*ret_options = options;
	return OPTIONS_RUN;
}

void options_clear(struct options *options)
{
	free(options->store);
	free(options->mountpoint);
	options->store = options->mountpoint = NULL;
}
