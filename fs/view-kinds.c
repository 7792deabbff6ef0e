/* SPDX-License-Identifier: MIT */

/* What .segfs/info/NAME has besides of a ring, a table and slots: who is at it, and how far. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <segfs/ring.h>
#include <segfs/slots.h>
#include <segfs/table.h>

#include "dtype-internal.h"
#include "table.h"
#include "textview.h"
#include "util.h"
#include "view-copy.h"
#include "view-file.h"

/* Records up to this size are shown; of a value so many bytes of text are made, and the first of them shown.
 */
#define RECORD_MAX (1u << 20)
#define TEXT_MAX   4096
#define VALUE_MAX  120

static void print_producer(const struct segfs_ring_status *status, FILE *out)
{
	if (status->producer != 0)
		fprintf(out, "Producer:\t%" PRIu32 "\n", status->producer);
	else
		fprintf(out, "Producer:\t%s\n", status->producer_died ? "died" : "none");
}

static void print_ring(int fd, FILE *out)
{
	struct segfs_ring_status status;

	if (segfs_ring_status(fd, &status) < 0)
		return; /* no longer one */
	fprintf(out, "Policy:\t%s\nCapacity:\t%" PRIu64 "\nStride:\t%" PRIu64 "\n",
		status.info.policy == SEGFS_RING_BLOCK ? "block" : "overwrite", status.info.capacity,
		status.info.stride);
	fprintf(out, "Committed:\t%" PRIu64 "\nBegun:\t%" PRIu64 "\n", status.committed, status.begun);
	print_producer(&status, out);
	fprintf(out, "Producers:\t%" PRIu32 "\n", status.epoch);
	for (unsigned i = 0; i < status.n_consumers; i++)
		fprintf(out, "Consumer:\t%" PRIu32 " lag %" PRIu64 " lost %" PRIu64 "\n",
			status.consumers[i].consumer, status.consumers[i].lag, status.consumers[i].lost);
	fprintf(out, "Dropped:\t%" PRIu64 "\n", status.dropped);
	segfs_ring_info_clear(&status.info);
}

/* Cells without the blanks that align them. The text has no other control characters than newlines. */
static void print_squeezed(char *text, size_t len, FILE *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (text[i] != ' ' && text[i] != '\n')
			text[n++] = text[i];
		else if (n > 0 && text[n - 1] != ' ')
			text[n++] = ' ';
	n -= n > 0 && text[n - 1] == ' ';
	if (n <= VALUE_MAX && len < TEXT_MAX) {
		fwrite(text, 1, n, out);
		return;
	}
	for (n = MIN(n, VALUE_MAX); n > 0 && (text[n] & 0xc0) == 0x80; n--)
		; /* not in the middle of a character */
	fwrite(text, 1, n, out);
	fputs("...", out);
}

/* A field as an array, in one row if that is one of scalars. The dtype is borrowed. */
static struct segfs_segment segment_of(const struct segfs_field *field)
{
	struct segfs_segment segment = {.kind = SEGFS_KIND_ARRAY};
	struct segfs_array *array = &segment.array;
	uint64_t n = 1;

	for (unsigned i = 0; i < field->ndim; i++)
		n *= field->shape[i];
	array->dtype = field->dtype;
	array->order = 'C';
	array->offset = field->offset;
	array->ndim = field->dtype->n_fields > 0 ? 1 : 2;
	array->shape[0] = 1;
	array->shape[array->ndim - 1] = n;
	return segment;
}

static void print_value(const struct segfs_field *field, int record, FILE *out)
{
	SEGFS_CLEANUP(segfs_textview_clear) struct segfs_textview view = {};
	const struct segfs_segment segment = segment_of(field);
	char text[TEXT_MAX];
	ssize_t n = -1;

	if (segfs_textview_init(&view, &segment) == 0)
		n = segfs_textview_read(&view, record, text, sizeof(text),
					view.header_size + view.names_size);
	if (n < 0)
		fputs("-", out);
	else
		print_squeezed(text, (size_t)n, out);
}

/* `record`: a file with all fields; -1: they are not known. */
static void print_fields(const struct segfs_table_status *status, int record, FILE *out)
{
	const struct segfs_dtype *dtype = status->dtype;
	unsigned n = 0;

	for (size_t i = 0; i < dtype->n_fields; i++) {
		const struct segfs_field *field = &dtype->fields[i];

		if (segfs_dtype_is_padding(field))
			continue;
		fputs("Field:\t", out);
		table_escape(field->name, out);
		fprintf(out, " writes %" PRIu64 " value ", status->counts[n++]);
		if (record < 0)
			fputs("-", out);
		else
			print_value(field, record, out);
		putc('\n', out);
	}
}

static void print_table(int fd, FILE *out)
{
	SEGFS_CLEANUP(segfs_table_status_clear) struct segfs_table_status status = {};
	SEGFS_CLOSE int record = -1;
	int r = segfs_table_status(fd, RECORD_MAX, &status);

	if (r == -EAGAIN) /* writers do not pause: without their values */
		r = segfs_table_status(fd, 0, &status);
	if (r < 0)
		return;
	if (status.record)
		record = view_copy_of(status.record, status.dtype->itemsize);
	fprintf(out, "Fields:\t%u\nWrites:\t%" PRIu64 "\nSnapshots:\t%" PRIu64 "\n", status.n_fields,
		status.writes, status.snapshots);
	print_fields(&status, record, out);
}

static void print_slots(const struct segfs_array *array, FILE *out)
{
	struct segfs_slots_info info;

	if (segfs_slots_read(array, &info) == 0)
		fprintf(out, "Workers:\t%" PRIu64 "\nRow:\t%zu\n", info.n_workers, info.row);
}

void view_kind_print(int fd, const struct segfs_segment *segment, FILE *out)
{
	switch (segment->kind) {
	case SEGFS_KIND_RING:
		print_ring(fd, out);
		break;
	case SEGFS_KIND_TABLE:
		print_table(fd, out);
		break;
	case SEGFS_KIND_ARRAY:
	case SEGFS_KIND_NPY:
		print_slots(&segment->array, out);
		break;
	default:
		break;
	}
}
