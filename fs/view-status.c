/* SPDX-License-Identifier: MIT */

/* .segfs/status and .segfs/metrics: how the daemon is, for people and for Prometheus. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util.h"
#include "view-file.h"

static int64_t uptime_s(const struct fs *fs)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - fs->ledger.page->started.tv_sec;
}

/* Names of the store can hold anything: in a line they are escaped as Prometheus has it. */
static void print_path(const char *path, FILE *out)
{
	for (; *path; path++)
		if (*path == '\n')
			fputs("\\n", out);
		else if (*path == '\\' || *path == '"')
			fprintf(out, "\\%c", *path);
		else
			putc(*path, out);
}

static void print_store(const struct fs *fs, FILE *out)
{
	struct statvfs st;

	fputs("Store:\t", out);
	print_path(fs->options.store, out);
	fputs("\nMountpoint:\t", out);
	print_path(fs->options.mountpoint, out);
	putc('\n', out);
	if (fstatvfs(fs->store.root_fd, &st) < 0 || st.f_blocks == 0)
		return; /* a tmpfs without a limit tells nothing */
	fprintf(out, "StoreSize:\t%" PRIu64 "\nStoreFree:\t%" PRIu64 "\n",
		(uint64_t)st.f_blocks * st.f_frsize, (uint64_t)st.f_bfree * st.f_frsize);
}

static void print_features(const struct fs *fs, FILE *out)
{
	struct utsname name;

	if (uname(&name) == 0)
		fprintf(out, "Kernel:\t%s\n", name.release);
	fputs("Features:\tpassthrough", out);
	if (fs->options.huge != HUGE_AUTO)
		fputs(fs->options.huge == HUGE_NEVER ? " huge=never" : " huge=always", out);
	if (fs->options.reserve)
		fputs(" reserve", out);
	if (fs->options.portable_names)
		fputs(" names=portable", out);
	if (fs->options.root_only)
		fputs(" root_only", out);
	if (fs->options.dry_run)
		fputs(" dry-run", out);
	putc('\n', out);
}

/* What the reaper has done, by the lifetimes that ended. */
static const struct {
	enum segfs_lifetime_kind kind;
	const char *key, *label;
} removals[] = {
	{SEGFS_CREATOR, "RemovedCreator", "creator"},
	{SEGFS_LAST_USER, "RemovedLastUser", "last-user"},
	{SEGFS_TTL, "RemovedTtl", "ttl"},
};

static void print_reaper(const struct fs *fs, FILE *out)
{
	fprintf(out, "Wards:\t%" PRIu64 "\n", fs->reaper.n_wards);
	for (size_t i = 0; i < COUNT_OF(removals); i++)
		fprintf(out, "%s:\t%" PRIu64 "\n", removals[i].key,
			fs->ledger.page->n_removed[removals[i].kind]);
}

static void print_events(struct fs *fs, FILE *out)
{
	size_t n_files, n_reads;

	events_count(fs, &n_files, &n_reads);
	fprintf(out, "EventFiles:\t%zu\nEventReaders:\t%zu\n", n_files, n_reads);
}

/* The worker that answers, and what became of those before it. */
static void print_worker(const struct ledger_page *page, FILE *out)
{
	fprintf(out, "Worker:\t%d\nRestarts:\t%" PRIu32 "\nResent:\t%" PRIu64 "\nLongestStall:\t%.1f ms\n",
		getpid(), page->n_workers - 1, page->n_resent, (double)page->longest_stall_ns / 1e6);
}

void view_status_print(struct fs *fs, FILE *out)
{
	fprintf(out, "Version:\t%s\nPid:\t%d\nUptime:\t%" PRId64 "\n", SEGFS_VERSION,
		fs->ledger.page->supervisor, uptime_s(fs));
	print_worker(fs->ledger.page, out);
	print_store(fs, out);
	print_features(fs, out);
	fprintf(out, "Threads:\t%u\nNodes:\t%zu\n", fs->options.threads, node_count(&fs->nodes));
	print_reaper(fs, out);
	fprintf(out, "Promoting:\t%" PRIu64 "\n", fs->promoter.n_segments);
	print_events(fs, out);
	for (unsigned i = 1; i < TRANSPORT_OPCODES; i++)
		if (fs->ledger.page->counts[i] > 0)
			fprintf(out, "Requests%s:\t%" PRIu64 "\n", transport_opcode_name(i) ?: "Other",
				fs->ledger.page->counts[i]);
}

static void print_head(const char *name, const char *type, const char *help, FILE *out)
{
	fprintf(out, "# HELP segfs_%s %s\n# TYPE segfs_%s %s\n", name, help, name, type);
}

static void print_build(const struct fs *fs, FILE *out)
{
	print_head("build_info", "gauge", "A constant 1; the labels tell version, store and mountpoint.",
		   out);
	fprintf(out, "segfs_build_info{version=\"%s\",store=\"", SEGFS_VERSION);
	print_path(fs->options.store, out);
	fputs("\",mountpoint=\"", out);
	print_path(fs->options.mountpoint, out);
	fputs("\"} 1\n", out);
	print_head("start_time_seconds", "gauge", "When the daemon started, seconds since 1970.", out);
	fprintf(out, "segfs_start_time_seconds %jd.%03ld\n", (intmax_t)fs->ledger.page->started.tv_sec,
		fs->ledger.page->started.tv_nsec / 1000000);
}

static void print_space(const struct fs *fs, FILE *out)
{
	struct statvfs st;

	if (fstatvfs(fs->store.root_fd, &st) < 0)
		return;
	print_head("store_size_bytes", "gauge", "What the store can hold; 0: no limit.", out);
	fprintf(out, "segfs_store_size_bytes %" PRIu64 "\n", (uint64_t)st.f_blocks * st.f_frsize);
	print_head("store_free_bytes", "gauge", "What of that is free.", out);
	fprintf(out, "segfs_store_free_bytes %" PRIu64 "\n", (uint64_t)st.f_bfree * st.f_frsize);
	print_head("store_inodes", "gauge", "How many files the store can hold; 0: no limit.", out);
	fprintf(out, "segfs_store_inodes %" PRIu64 "\n", (uint64_t)st.f_files);
	print_head("store_inodes_free", "gauge", "How many of these are free.", out);
	fprintf(out, "segfs_store_inodes_free %" PRIu64 "\n", (uint64_t)st.f_ffree);
}

static void print_removals(const struct fs *fs, FILE *out)
{
	print_head("wards", "gauge", "Segments with a lifetime other than keep.", out);
	fprintf(out, "segfs_wards %" PRIu64 "\n", fs->reaper.n_wards);
	print_head("removed_total", "counter", "Segments removed at the end of their lifetimes, by these.",
		   out);
	for (size_t i = 0; i < COUNT_OF(removals); i++)
		fprintf(out, "segfs_removed_total{reason=\"%s\"} %" PRIu64 "\n", removals[i].label,
			fs->ledger.page->n_removed[removals[i].kind]);
}

static void print_event_files(struct fs *fs, FILE *out)
{
	size_t n_files, n_reads;

	events_count(fs, &n_files, &n_reads);
	print_head("event_files", "gauge", "Open files of .segfs/events.", out);
	fprintf(out, "segfs_event_files %zu\n", n_files);
	print_head("event_readers", "gauge", "Reads of these that wait for a version.", out);
	fprintf(out, "segfs_event_readers %zu\n", n_reads);
}

static void print_workers(const struct ledger_page *page, FILE *out)
{
	print_head("worker_restarts_total", "counter", "Workers that have taken over from another.", out);
	fprintf(out, "segfs_worker_restarts_total %" PRIu32 "\n", page->n_workers - 1);
	print_head("requests_resent_total", "counter",
		   "Requests that a worker had not answered when it ended.", out);
	fprintf(out, "segfs_requests_resent_total %" PRIu64 "\n", page->n_resent);
	print_head("longest_stall_seconds", "gauge", "The longest time without a worker.", out);
	fprintf(out, "segfs_longest_stall_seconds %.6f\n", (double)page->longest_stall_ns / 1e9);
}

static void print_requests(const struct transport *transport, FILE *out)
{
	print_head("requests_total", "counter", "Requests of the kernel, by kind.", out);
	for (unsigned i = 1; i < TRANSPORT_OPCODES; i++)
		if (transport_opcode_name(i))
			fprintf(out, "segfs_requests_total{opcode=\"%s\"} %" PRIu64 "\n",
				transport_opcode_name(i), transport->page->counts[i]);
}

void view_metrics_print(struct fs *fs, FILE *out)
{
	print_build(fs, out);
	print_space(fs, out);
	print_head("nodes", "gauge", "Files and directories that the kernel holds on to.", out);
	fprintf(out, "segfs_nodes %zu\n", node_count(&fs->nodes));
	print_removals(fs, out);
	print_head("promoting", "gauge", "Segments that may get huge pages when they are looked at again.",
		   out);
	fprintf(out, "segfs_promoting %" PRIu64 "\n", fs->promoter.n_segments);
	print_event_files(fs, out);
	print_workers(fs->ledger.page, out);
	print_requests(&fs->transport, out);
}
