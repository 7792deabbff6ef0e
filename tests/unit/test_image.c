/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <arpa/inet.h>
#include <check.h>
#include <png.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "bounded.h"
#include "file_on_tmpfs.h"
#include "suite.h"
#include "util.h"

#define SIGNATURE_SIZE 8
#define CHUNK_SIZE     12

static struct segfs_array make_array(const char *dtype, const char *shape, char order)
{
	struct segfs_array array = {.order = order};

	ck_assert_int_eq(segfs_dtype_parse(dtype, strlen(dtype), &array.dtype), 0);
	ck_assert_int_eq(segfs_shape_parse(shape, strlen(shape), array.shape, &array.ndim), 0);
	return array;
}

/* A file with an array of bytes without rhyme, but for the first ones, which are blank. */
static int make_file(const struct segfs_array *array)
{
	uint64_t n, size, state = 1;
	int fd;

	ck_assert_int_eq(segfs_array_count(array, &n, &size), 0);
	SEGFS_FREE unsigned char *bytes = calloc(1, array->offset + size);
	ck_assert_ptr_nonnull(bytes);
	for (size_t i = 0; i < size; i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		bytes[array->offset + i] = (unsigned char)(state >> 56);
	}
	fd = file_on_tmpfs(bytes, array->offset + size);
	return fd;
}

static char *render(const struct segfs_array *array, int fd, struct segfs_image *ret_image)
{
	char *png = NULL;

	ck_assert_int_eq(segfs_image_init(ret_image, array), 0);
	ck_assert_int_eq(segfs_image_render(ret_image, array, fd, &png), 0);
	ck_assert_ptr_nonnull(png);
	return png;
}

/* The data of the chunk that begins at *at, which goes on to the next one. */
static const char *next_chunk(const char *png, size_t size, size_t *at, uint32_t *ret_len)
{
	const char *data = png + *at + 8;
	uint32_t len;

	ck_assert_uint_le(*at + CHUNK_SIZE, size);
	memcpy(&len, png + *at, sizeof(len));
	*ret_len = ntohl(len);
	ck_assert_uint_le(*ret_len, size - *at - CHUNK_SIZE);
	*at += CHUNK_SIZE + *ret_len;
	return data;
}

/* Which chunks there are, "IHDR tEXt ..."; IDATs in a row once. They end where the file does. */
static void list_chunks(const char *png, size_t size, char *list)
{
	size_t at = SIGNATURE_SIZE;

	*list = '\0';
	while (at < size) {
		uint32_t len;
		const char *type = next_chunk(png, size, &at, &len) - 4;
		size_t end = strlen(list);

		if (end < 5 || memcmp(list + end - 5, type, 4) != 0)
			end += (size_t)sprintf(list + end, "%.4s ", type);
		ck_assert_uint_lt(end, 100);
	}
	ck_assert_uint_eq(at, size);
}

/* Decoded by libpng, which checks the checksums as well; to be freed. */
static unsigned char *decode(const char *png, size_t size, const struct segfs_raster *raster)
{
	static const png_uint_32 formats[] = {0, PNG_FORMAT_GRAY, 0, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
	png_image decoded = {.version = PNG_IMAGE_VERSION};
	unsigned char *pixels;

	ck_assert_msg(png_image_begin_read_from_memory(&decoded, png, size), "%s", decoded.message);
	ck_assert_uint_eq(decoded.width, raster->width);
	ck_assert_uint_eq(decoded.height, raster->height);
	ck_assert_uint_eq(decoded.format, formats[raster->channels]);
	pixels = malloc(PNG_IMAGE_SIZE(decoded));
	ck_assert_ptr_nonnull(pixels);
	ck_assert(png_image_finish_read(&decoded, NULL, pixels, 0, NULL) != 0);
	ck_assert_uint_eq(decoded.warning_or_error, 0);
	return pixels;
}

static unsigned char *read_pixels(const struct segfs_raster *raster, const struct segfs_array *array, int fd)
{
	unsigned char *pixels = malloc((size_t)raster->height * raster->width * raster->channels);
	struct segfs_raster_reader *reader;

	ck_assert_ptr_nonnull(pixels);
	ck_assert_int_eq(segfs_raster_open(raster, array, fd, &reader), 0);
	ck_assert_int_eq(segfs_raster_read(reader, 0, raster->height, pixels), 0);
	segfs_raster_free(reader);
	return pixels;
}

static void expect_valid_picture(const struct segfs_array *array)
{
	SEGFS_CLOSE int fd = make_file(array);
	struct segfs_image image;
	SEGFS_FREE char *png = render(array, fd, &image);
	SEGFS_FREE unsigned char *decoded = decode(png, image.size, &image.raster);
	SEGFS_FREE unsigned char *pixels = read_pixels(&image.raster, array, fd);
	char chunks[128];

	ck_assert_mem_eq(decoded, pixels,
			 (size_t)image.raster.height * image.raster.width * image.raster.channels);
	list_chunks(png, image.size, chunks);
	ck_assert_str_eq(chunks, "IHDR tEXt IDAT paDd IEND ");
}

static void expect_valid_picture_of(uint64_t height, uint64_t width, unsigned channels)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("u1", "", 'C');

	array.ndim = channels == 1 ? 2 : 3;
	array.shape[0] = height;
	array.shape[1] = width;
	array.shape[2] = channels;
	expect_valid_picture(&array);
}

static const struct {
	const char *dtype, *shape;
	char order;
} kinds[] = {
	{"u1", "30,50", 'C'},	{"u1", "30,50", 'F'},	    {"u1", "30,50,3", 'C'}, {"u1", "30,50,3", 'F'},
	{"u1", "30,50,4", 'C'}, {"u1", "30,50,4", 'F'},	    {"?", "30,50", 'C'},    {"?", "30,50", 'F'},
	{"i1", "30,50", 'C'},	{"<i2", "30,50", 'F'},	    {">i4", "30,50", 'C'},  {">i8", "30,50", 'F'},
	{"<u2", "30,50", 'C'},	{">u4", "30,50", 'F'},	    {"<u8", "30,50", 'C'},  {"<f2", "30,50", 'C'},
	{">f2", "30,50", 'F'},	{"<f4", "30,50", 'C'},	    {">f4", "30,50", 'F'},  {"<f8", "30,50", 'C'},
	{">f8", "30,50", 'F'},	{"bfloat16", "30,50", 'C'}, {"<f16", "30,50", 'C'}, {">f16", "30,50", 'F'},
};

START_TEST(render_each_kind_decodes_to_its_pixels)
{
	SEGFS_CLEANUP(segfs_array_clear)
	struct segfs_array array = make_array(kinds[_i].dtype, kinds[_i].shape, kinds[_i].order);

	array.offset = 16 * (uint64_t)_i;
	expect_valid_picture(&array);
}
END_TEST

START_TEST(render_known_elements_gives_their_pixels)
{
	static const double numbers[] = {0, 51, 102, 153, 204, 255};
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("=f8", "2,3", 'F');
	SEGFS_CLOSE int fd = file_on_tmpfs(numbers, sizeof(numbers));
	struct segfs_image image;
	SEGFS_FREE char *png = render(&array, fd, &image);
	SEGFS_FREE unsigned char *pixels = decode(png, image.size, &image.raster);

	ck_assert_mem_eq(pixels, "\x00\x66\xcc\x33\x99\xff", 6);
}
END_TEST

START_TEST(render_each_small_size_is_as_long_as_told)
{
	for (uint64_t height = 1; height <= 20; height++)
		for (uint64_t width = 1; width <= 20; width++)
			expect_valid_picture_of(height, width, height % 3 == 0 ? 1 : 2 + height % 3);
}
END_TEST

/* zlib's window grows with the pixels, up to 32 kB; a chunk holds 64 kB of them. */
START_TEST(render_around_the_sizes_of_zlib_is_as_long_as_told)
{
	static const uint64_t windows[] = {250,	 256,  506,   512,   1018,  1024,
					   8186, 8192, 16122, 16384, 32506, 32768};

	for (size_t i = 0; i < COUNT_OF(windows); i++) {
		for (uint64_t size = windows[i] - 5; size <= windows[i] + 5; size++) {
			expect_valid_picture_of(1, size - 1, 1);
			expect_valid_picture_of(size / 2, 1, 1);
		}
	}
	for (uint64_t size = 65500; size <= 65535; size++)
		expect_valid_picture_of(1, size, 1);
}
END_TEST

START_TEST(render_long_and_large_is_as_long_as_told)
{
	expect_valid_picture_of(1, 65535, 4);
	expect_valid_picture_of(65535, 1, 1);
	expect_valid_picture_of(65535, 1, 4);
	expect_valid_picture_of(65535, 3, 3);
	expect_valid_picture_of(3, 65535, 3);
	expect_valid_picture_of(1080, 1920, 3);
	expect_valid_picture_of(2161, 3841, 4);
}
END_TEST

START_TEST(render_larger_than_the_limit_is_thinned_out)
{
	expect_valid_picture_of(4100, 4200, 1);
	expect_valid_picture_of(1, 300000, 3);
	expect_valid_picture_of(300000, 2, 4);
}
END_TEST

static bool contains(const char *png, size_t size, const char *text, size_t len)
{
	return memmem(png, size, text, len) != NULL;
}

START_TEST(render_says_what_it_shows)
{
	static const char software[] = "tEXtSoftware\0segfs",
			  whole[] = "tEXtDescription\0dtype <f4, shape 20,10";
	static const char thin[] = "dtype |u1, shape 1,200000, of which rows and columns 0, 4, 8, ...";
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("<f4", "20,10", 'C');
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array large = make_array("u1", "1,200000", 'C');
	SEGFS_CLOSE int fd = make_file(&array), large_fd = make_file(&large);
	struct segfs_image image, large_image;
	SEGFS_FREE char *png = render(&array, fd, &image),
			*large_png = render(&large, large_fd, &large_image);

	ck_assert(contains(png, image.size, software, sizeof(software) - 1));
	ck_assert(contains(png, image.size, whole, sizeof(whole) - 1));
	ck_assert(!contains(png, image.size, "of which", 8));
	ck_assert(contains(large_png, large_image.size, thin, sizeof(thin) - 1));
}
END_TEST

START_TEST(init_size_is_little_more_than_the_pixels)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("u1", "1080,1920,3", 'C');
	struct segfs_image image;

	ck_assert_int_eq(segfs_image_init(&image, &array), 0);
	ck_assert_uint_ge(image.size, 1080 * 1920 * 3);
	ck_assert_uint_le(image.size, 1080 * 1920 * 3 * 101ull / 100);
}
END_TEST

START_TEST(init_no_picture_is_refused)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("c8", "3,3", 'C');
	struct segfs_image image = {.size = UNTOUCHED};

	ck_assert_int_eq(segfs_image_init(&image, &array), -ENOTSUP);
	ck_assert_uint_eq(image.size, UNTOUCHED);
}
END_TEST

static void expect_stale_once_cut(const char *dtype, const char *shape, char order)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array(dtype, shape, order);
	SEGFS_CLOSE int fd = make_file(&array);
	struct segfs_image image;
	off_t size = lseek(fd, 0, SEEK_END);
	char mark, *png = &mark;

	ck_assert_int_eq(segfs_image_init(&image, &array), 0);
	for (off_t left = size - 1; left >= 0; left = left * 2 / 3 - 1) {
		ck_assert_int_eq(ftruncate(fd, left), 0);
		ck_assert_int_eq(segfs_image_render(&image, &array, fd, &png), -ESTALE);
		ck_assert_ptr_eq(png, &mark);
	}
}

START_TEST(render_file_cut_short_is_stale)
{
	expect_stale_once_cut("u1", "1000,2000", 'C');
	expect_stale_once_cut("u1", "1000,2000,3", 'F');
	expect_stale_once_cut("f8", "100,200", 'C');
	expect_stale_once_cut("f8", "100,200", 'F');
}
END_TEST

START_TEST(render_other_errors_are_passed_on)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("u1", "3,3", 'C');
	struct segfs_image image;
	char mark, *png = &mark;

	ck_assert_int_eq(segfs_image_init(&image, &array), 0);
	ck_assert_int_eq(segfs_image_render(&image, &array, -1, &png), -EBADF);
	/* As if zlib had needed more than there can be. */
	SEGFS_CLOSE int fd = make_file(&array);
	for (; image.size > 0; image.size--) {
		int r = segfs_image_render(&image, &array, fd, &png);

		if (r == -EIO)
			ck_assert_ptr_eq(png, &mark);
		else
			free(png);
		ck_assert(r == 0 || r == -EIO);
		png = &mark;
	}
}
END_TEST

struct stranger {
	int fd;
	size_t n;
	atomic_bool stop;
};

/* Scribbles over numbers of all exponents, NaN and infinities among them. */
static void *scribble(void *data)
{
	struct stranger *stranger = data;
	uint64_t state = 1;

	while (!atomic_load(&stranger->stop)) {
		state = state * 6364136223846793005 + 1442695040888963407;
		if (pwrite(stranger->fd, &state, 8, (off_t)(8 * (state >> 32) % (8 * stranger->n))) != 8)
			return stranger;
	}
	return NULL;
}

START_TEST(render_while_others_write_is_valid)
{
	SEGFS_CLEANUP(segfs_array_clear) struct segfs_array array = make_array("<f8", "100,100", 'C');
	SEGFS_CLOSE int fd = make_file(&array);
	struct stranger stranger = {.fd = fd, .n = 100 * 100};
	pthread_t thread;
	void *failed;

	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, &stranger), 0);
	for (int i = 0; i < 50; i++) {
		struct segfs_image image;
		SEGFS_FREE char *png = render(&array, fd, &image);

		free(decode(png, image.size, &image.raster));
	}
	atomic_store(&stranger.stop, true);
	ck_assert_int_eq(pthread_join(thread, &failed), 0);
	ck_assert_ptr_null(failed);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("image");
	TCase *tests = tcase_create("init, render");

	tcase_set_timeout(tests, 100);
	tcase_add_test(tests, init_size_is_little_more_than_the_pixels);
	tcase_add_test(tests, init_no_picture_is_refused);
	tcase_add_loop_test(tests, render_each_kind_decodes_to_its_pixels, 0, COUNT_OF(kinds));
	tcase_add_test(tests, render_known_elements_gives_their_pixels);
	tcase_add_test(tests, render_each_small_size_is_as_long_as_told);
	tcase_add_test(tests, render_around_the_sizes_of_zlib_is_as_long_as_told);
	tcase_add_test(tests, render_long_and_large_is_as_long_as_told);
	tcase_add_test(tests, render_larger_than_the_limit_is_thinned_out);
	tcase_add_test(tests, render_says_what_it_shows);
	tcase_add_test(tests, render_file_cut_short_is_stale);
	tcase_add_test(tests, render_other_errors_are_passed_on);
	tcase_add_test(tests, render_while_others_write_is_valid);
	suite_add_tcase(suite, tests);
	return run_suite(suite);
}
