/* SPDX-License-Identifier: MIT */
/* Headers that others have spoiled, before or while the ring is in use. */
#include <errno.h>
#include <segfs/ring.h>
#include <string.h>
#include <sys/mman.h>

#include "child.h"
#include "ring_frames.h"
#include "suite.h"
#include "util.h"

/* Each field to values around its limits: what is accepted fits the file. */
static const uint64_t extremes[] = {
	0,	    1,	   2,	      63,	  64,	     4095,	 4096,	     16383,
	16384,	    20480, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, 1ull << 62, UINT64_MAX / 64,
	1ull << 58, 128};
static const size_t fields[] = {
	offsetof(struct segfs_layout_ring, version),	offsetof(struct segfs_layout_ring, policy),
	offsetof(struct segfs_layout_ring, frame_size), offsetof(struct segfs_layout_ring, stride),
	offsetof(struct segfs_layout_ring, capacity),	offsetof(struct segfs_layout_ring, offset),
	offsetof(struct segfs_layout_ring, ndim),	offsetof(struct segfs_layout_ring, shape),
	offsetof(struct segfs_layout_ring, shape[1]),
};

static void touch_all(struct segfs_ring *ring)
{
	const void *frames;
	void *mine;
	uint64_t all = segfs_ring_info(ring)->capacity, stride = segfs_ring_info(ring)->stride;
	ssize_t n;

	if (segfs_ring_attach(ring) >= 0) {
		n = segfs_ring_reserve(ring, all, 0, 0, &mine);
		if (n > 0) {
			memset(mine, 1, (size_t)n * stride);
			segfs_ring_commit(ring, (uint64_t)n);
		}
	}
	if (segfs_ring_join(ring, SEGFS_RING_OLDEST) == 0) {
		n = segfs_ring_acquire(ring, 1, all, 0, 0, &frames, NULL);
		for (size_t i = 0; n > 0 && i < (size_t)n * stride; i += 64)
			(void)((const volatile char *)frames)[i];
		if (n > 0)
			segfs_ring_release(ring, (uint64_t)n);
	}
}

START_TEST(open_extreme_fields_fail_or_fit)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 4, SEGFS_RING_OVERWRITE);
	struct segfs_ring *ring;
	uint64_t kept, size = (uint64_t)lseek(fd, 0, SEEK_END);

	for (size_t i = 0; i < COUNT_OF(extremes); i++) {
		ck_assert_int_eq(pread(fd, &kept, 8, (off_t)fields[_i]), 8);
		ck_assert_int_eq(pwrite(fd, &extremes[i], 8, (off_t)fields[_i]), 8);
		if (segfs_ring_open(fd, &ring) == 0) {
			const struct segfs_ring_info *info = segfs_ring_info(ring);

			ck_assert_uint_ge(info->frame.offset, 16384);
			ck_assert_uint_le(info->frame.offset + info->capacity * info->stride, size);
			touch_all(ring);
			segfs_ring_close(ring);
		}
		ck_assert_int_eq(pwrite(fd, &kept, 8, (off_t)fields[_i]), 8);
	}
}
END_TEST

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* A byte anywhere in the header, most often where counters and owners are. */
static size_t draw_place(uint64_t *seed)
{
	static const size_t counters[] = {4096, 4160, 4224, 4232, 4288, 4296, 8192, 8200, 8320, 0};
	uint64_t what = draw(seed) % 4;

	if (what == 0)
		return draw(seed) % 16384;
	if (what == 1)
		return draw(seed) % 128;
	return counters[draw(seed) % COUNT_OF(counters)] + draw(seed) % 8;
}

static uint8_t draw_byte(uint64_t *seed)
{
	static const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 0x40, 0x7f, 0x80, 0xff};

	return draw(seed) % 2 ? bytes[draw(seed) % COUNT_OF(bytes)] : (uint8_t)draw(seed);
}

START_TEST(header_of_random_bytes_gives_errors)
{
	uint64_t seed = UINT64_C(88172645463325252);
	struct segfs_ring_status status;
	struct segfs_ring *ring;
	uint8_t fresh[16384];
	char text[16];

	for (int policy = 0; policy < 2; policy++) {
		SEGFS_CLOSE int fd = ring_file(PAGE, 3, (unsigned)policy);

		ck_assert_int_eq(pread(fd, fresh, sizeof(fresh), 0), sizeof(fresh));
		for (int i = 0; i < 500; i++) {
			ck_assert_int_eq(pwrite(fd, fresh, sizeof(fresh), 0), sizeof(fresh));
			for (uint64_t n = 1 + draw(&seed) % 8; n > 0; n--) {
				uint8_t byte = draw_byte(&seed);

				ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)draw_place(&seed)), 1);
			}
			if (segfs_ring_status(fd, &status) == 0) {
				segfs_ring_status_format(&status, text, sizeof(text));
				segfs_ring_info_clear(&status.info);
			}
			if (segfs_ring_open(fd, &ring) == 0) {
				touch_all(ring);
				segfs_ring_close(ring);
			}
		}
	}
}
END_TEST

/* As a process leaves it that took a word at its last instruction. */
START_TEST(words_without_a_member_are_the_deads)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 3, SEGFS_RING_BLOCK);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	struct segfs_layout_consumer place = {.owner = 4711};
	uint32_t owner = 4711;

	ck_assert_int_eq(pwrite(fd, &owner, 4, offsetof(struct segfs_layout_ring, producer)), 4);
	ck_assert_int_eq(pwrite(fd, &place, sizeof(place), offsetof(struct segfs_layout_ring, consumers[5])),
			 sizeof(place));
	ck_assert_int_eq(segfs_ring_attach(ring), 1);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ring_write(ring, 3), 3);
}
END_TEST

static void scribble(int fd)
{
	uint8_t *header = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t seed = 12345;

	if (header == MAP_FAILED || fork() != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		header[draw_place(&seed)] = draw_byte(&seed);
}

/* What calls there are, in any order, each with a short time: none takes much longer, none crashes. */
static void use_somehow(struct segfs_ring *ring, uint64_t *seed)
{
	uint64_t all = segfs_ring_info(ring)->capacity, stride = segfs_ring_info(ring)->stride, lost;
	const void *frames;
	void *mine;
	ssize_t n;

	switch (draw(seed) % 8) {
	case 0:
		segfs_ring_leave(ring);
		segfs_ring_join(ring, draw(seed) % 3);
		break;
	case 1:
		segfs_ring_leave(ring);
		segfs_ring_follow(ring, draw(seed) % 3);
		break;
	case 2:
		segfs_ring_detach(ring);
		segfs_ring_attach(ring);
		break;
	case 3:
	case 4:
		n = segfs_ring_reserve(ring, 1 + draw(seed) % all, 1000, 100000, &mine);
		if (n > 0) {
			memset(mine, 1, (size_t)n * stride);
			segfs_ring_commit(ring, (uint64_t)n);
		}
		break;
	default:
		n = segfs_ring_acquire(ring, 1 + draw(seed) % all, all, 1000, 100000, &frames, &lost);
		for (size_t i = 0; n > 0 && i < (size_t)n * stride; i += 64)
			(void)((const volatile char *)frames)[i];
		if (n > 0)
			segfs_ring_release(ring, (uint64_t)n);
	}
}

START_TEST(header_that_changes_in_use_gives_errors)
{
	SEGFS_CLOSE int fd = ring_file(PAGE, 3, (unsigned)_i);
	RING_CLOSE struct segfs_ring *ring = ring_open(fd);
	pid_t scribbler = child(fd, scribble);
	int64_t until = now_ns() + 700000000;
	uint64_t seed = 4711;

	while (now_ns() < until)
		use_somehow(ring, &seed);
	end(scribbler);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring-hostile");
	TCase *tc = tcase_create("ring-hostile");

	tcase_add_loop_test(tc, open_extreme_fields_fail_or_fit, 0, COUNT_OF(fields));
	tcase_add_test(tc, header_of_random_bytes_gives_errors);
	tcase_add_test(tc, words_without_a_member_are_the_deads);
	tcase_add_loop_test(tc, header_that_changes_in_use_gives_errors, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
