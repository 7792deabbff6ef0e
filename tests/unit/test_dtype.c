/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <segfs/dtype.h>

#include "bounded.h"
#include "suite.h"
#include "dtype-internal.h"
#include "text.h"

static struct segfs_dtype *parse(const char *text)
{
	struct segfs_dtype *dtype = NULL;

	ck_assert_msg(segfs_dtype_parse(text, strlen(text), &dtype) == 0, "refused: %s", text);
	return dtype;
}

/* Accepted spellings and the canonical one, if little-endian. numpy_agrees.py asks numpy for many more. */
static const struct {
	const char *text;
	const char *canonical;
	size_t itemsize;
	size_t alignment;
} valid[] = {
	{"<f8", "<f8", 8, 8},
	{" float64\n", "<f8", 8, 8},
	{"d", "<f8", 8, 8},
	{"=f8", "<f8", 8, 8},
	{"|f8", "<f8", 8, 8},
	{">f8", ">f8", 8, 8},
	{">u1", "|u1", 1, 1},
	{"?", "|b1", 1, 1},
	{"longdouble", "<f16", 16, 16},
	{"complex64", "<c8", 8, 4},
	{"bfloat16", "bfloat16", 2, 2},
	{"S10", "|S10", 10, 1},
	{">U5", ">U5", 20, 4},
	{"str", "<U0", 0, 4},
	{"V8", "|V8", 8, 1},
	{"V2147483647", "|V2147483647", 2147483647, 1},
	{"M8", "<M8", 8, 8},
	{"datetime64[generic]", "<M8", 8, 8},
	{">m8[25s]", ">m8[25s]", 8, 8},
	{"timedelta64[1ms]", "<m8[ms]", 8, 8},
	{"[('a','f4')]", "[('a', '<f4')]", 4, 1},
	{"[('a','bfloat16')]", "[('a', 'bfloat16')]", 2, 1},
	{"[('a','f4'),('b','|u1',(3,)),]", "[('a', '<f4'), ('b', '|u1', (3,))]", 7, 1},
	{"[('a','f4',3)]", "[('a', '<f4', (3,))]", 12, 1},
	{"[('a','f4',1)]", "[('a', '<f4')]", 4, 1},
	{"[('a','f4',())]", "[('a', '<f4')]", 4, 1},
	{"[('a','f4',(2, 3,),)]", "[('a', '<f4', (2, 3))]", 24, 1},
	{"[('a','f4',(0,2))]", "[('a', '<f4', (0, 2))]", 0, 1},
	{"[(('t','a'),'>i2')]", "[(('t', 'a'), '>i2')]", 2, 1},
	{"[('a',[('b','u1'),('c','f8')],(2,))]", "[('a', [('b', '|u1'), ('c', '<f8')], (2,))]", 18, 1},
	{"[('a','u1'),('','V3'),('','V4'),('b','f8')]", "[('a', '|u1'), ('', '|V7'), ('b', '<f8')]", 16, 1},
	{"[('','V0'),('a','u1'),('','V2',(3,))]", "[('a', '|u1'), ('', '|V6')]", 7, 1},
	{"[(\"it's\",'u1')]", "[(\"it's\", '|u1')]", 1, 1},
	{"[('\"it\\'s\\\\\"','u1')]", "[('\"it\\'s\\\\\"', '|u1')]", 1, 1},
	{"[('\\n\\x01\\xe9\\xa0','u1')]", "[('\\n\\x01\xc3\xa9\\xa0', '|u1')]", 1, 1},
	{"[('\\u200b\\U000e0001','u1')]", "[('\\u200b\\U000e0001', '|u1')]", 1, 1},
};

START_TEST(parse_each_spelling_gives_the_canonical_type)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = parse(valid[_i].text);
	char buf[128];

	ck_assert_uint_lt(segfs_dtype_format(dtype, buf, sizeof(buf)), sizeof(buf));
	ck_assert_str_eq(buf, valid[_i].canonical);
	ck_assert_uint_eq(dtype->itemsize, valid[_i].itemsize);
	ck_assert_uint_eq(dtype->alignment, valid[_i].alignment);
}
END_TEST

START_TEST(parse_of_what_format_wrote_gives_an_equal_type)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *first = parse(valid[_i].text);
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *second = parse(valid[_i].canonical);

	ck_assert(segfs_dtype_equal(first, second));
}
END_TEST

START_TEST(parse_every_prefix_stays_within_the_text)
{
	for (size_t len = 0; len < strlen(valid[_i].text); len++) {
		SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
		char *text = bounded_copy(valid[_i].text, len);
		int r = segfs_dtype_parse(text, len, &dtype);

		ck_assert_int_le(r, 0);
		ck_assert((r == 0) == (dtype != NULL));
		bounded_free(text);
	}
}
END_TEST

static const struct {
	const char *text;
	int error;
} invalid[] = {
	{"", -EINVAL},
	{" \n", -EINVAL},
	{"<", -EINVAL},
	{"<<f8", -EINVAL},
	{"f3", -EINVAL},
	{"i16", -EINVAL},
	{"b2", -EINVAL},
	{"c4", -EINVAL},
	{"i0", -EINVAL},
	{"x8", -EINVAL},
	{"f8x", -EINVAL},
	{"S-1", -EINVAL},
	{"S 5", -EINVAL},
	{"f8 f8", -EINVAL},
	{"float8", -EINVAL},
	{"<float64", -EINVAL},
	{"B2", -EINVAL},
	{"bfloat", -EINVAL},
	{"f4,f4", -EINVAL},
	{"'<f8'", -EINVAL},
	{"S2147483648", -EOVERFLOW},
	{"U536870912", -EOVERFLOW},
	{"V99999999999999999999999", -EOVERFLOW},
	{"U4611686018427387905", -EOVERFLOW},
	{"M4", -EINVAL},
	{"M[s]", -EINVAL},
	{"M8[", -EINVAL},
	{"M8]", -EINVAL},
	{"M8[]", -EINVAL},
	{"M8[s", -EINVAL},
	{"M8[s]x", -EINVAL},
	{"M8[5]", -EINVAL},
	{"M8[0s]", -EINVAL},
	{"M8[-1s]", -EINVAL},
	{"M8[B]", -EINVAL},
	{"M8[2147483648s]", -EINVAL},
	{"M8[99999999999999999999s]", -EINVAL},
	{"O", -ENOTSUP},
	{"|O", -ENOTSUP},
	{"O8", -ENOTSUP},
	{"object", -ENOTSUP},
	{"O5", -EINVAL},
	{"[('a','u1'),('b','|O')]", -ENOTSUP},
	{"[('a',[('b',[('c','object',(3,))])])]", -ENOTSUP},
	{"[]", -EINVAL},
	{"[('','V0')]", -EINVAL},
	{"[('a',[])]", -EINVAL},
	{"[", -EINVAL},
	{"[(", -EINVAL},
	{"[('a','u1')", -EINVAL},
	{"[('a','u1')]x", -EINVAL},
	{"[('a','u1')('b','u1')]", -EINVAL},
	{"[['a','u1']]", -EINVAL},
	{"['a','u1']", -EINVAL},
	{"[('a',)]", -EINVAL},
	{"[('a')]", -EINVAL},
	{"[('a','x9')]", -EINVAL},
	{"[('a',' u1')]", -EINVAL},
	{"[('a',8)]", -EINVAL},
	{"[(5,'u1')]", -EINVAL},
	{"[(b'a','u1')]", -EINVAL},
	{"[('a','u1',3,4)]", -EINVAL},
	{"[('a','u1',-1)]", -EINVAL},
	{"[('a','u1',(-1,))]", -EINVAL},
	{"[('a','u1','3')]", -EINVAL},
	{"[('a','u1',True)]", -EINVAL},
	{"[('a','u1',[3])]", -EINVAL},
	{"[('a',('u1',(3,)))]", -EINVAL},
	{"[('a','S0',(3,))]", -EINVAL},
	{"[('','u1')]", -EINVAL},
	{"[('',[('a','u1')])]", -EINVAL},
	{"[(('t',''),'u1')]", -EINVAL},
	{"[(('t',''),'V4')]", -EINVAL},
	{"[(('t',),'u1')]", -EINVAL},
	{"[(('t','a','b'),'u1')]", -EINVAL},
	{"[('a','u1'),('a','u2')]", -EINVAL},
	{"[('a','u1'),(('a','b'),'u2')]", -EINVAL},
	{"[(('a','b'),'u1'),('a','u2')]", -EINVAL},
	{"[(('a','b'),'u1'),(('a','c'),'u2')]", -EINVAL},
	{"[(('a','a'),'u1')]", -EINVAL},
	{"[('\\x00','u1')]", -EINVAL},
	{"[('a','V2147483647'),('b','u1')]", -EOVERFLOW},
	{"[('','V2147483647'),('','V1')]", -EOVERFLOW},
	{"[('a','f4',(536870912,))]", -EOVERFLOW},
	{"[('a','u1',(0,2147483648))]", -EOVERFLOW},
	{"[('a','u1',(2147483647,2147483647,2147483647))]", -EOVERFLOW},
	{"[('a','u1',(99999999999999999999,))]", -EOVERFLOW},
};

START_TEST(parse_anything_else_is_refused_and_output_kept)
{
	struct segfs_dtype *const before = (struct segfs_dtype *)&invalid, *dtype = before;
	const char *text = invalid[_i].text;
	int r = segfs_dtype_parse(text, strlen(text), &dtype);

	ck_assert_msg(r == invalid[_i].error, "%s: %d, not %d", text, r, invalid[_i].error);
	ck_assert_ptr_eq(dtype, before);
}
END_TEST

START_TEST(parse_holding_nul_is_refused)
{
	struct segfs_dtype *dtype = NULL;

	ck_assert_int_eq(segfs_dtype_parse("f8\0", 3, &dtype), -EINVAL);
	ck_assert_int_eq(segfs_dtype_parse("[('a\0','u1')]", 13, &dtype), -EINVAL);
	ck_assert_int_eq(segfs_dtype_parse("[('a','u1')]\0", 13, &dtype), -EINVAL);
	ck_assert_ptr_null(dtype);
}
END_TEST

/* "[('a',[('a', ... '|u1' ... )])]", `depth` lists deep */
static int parse_nested(unsigned depth, struct segfs_dtype **ret_dtype)
{
	char buf[4096];
	struct segfs_text text = segfs_text_start(buf, sizeof(buf));

	for (unsigned i = 0; i < depth; i++)
		segfs_text_printf(&text, "[('a',");
	segfs_text_printf(&text, "'|u1'");
	for (unsigned i = 0; i < depth; i++)
		segfs_text_printf(&text, ")]");
	return segfs_dtype_parse(buf, text.len, ret_dtype);
}

START_TEST(parse_16_lists_deep_is_the_deepest)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	struct segfs_dtype *too_deep = NULL;

	ck_assert_int_eq(parse_nested(16, &dtype), 0);
	ck_assert_int_eq(parse_nested(17, &too_deep), -EINVAL);
	ck_assert_int_eq(parse_nested(400, &too_deep), -EINVAL);
	ck_assert_ptr_null(too_deep);
}
END_TEST

static void put_fields(struct segfs_text *text, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		segfs_text_printf(text, "('f%u','|u1'),", i);
}

/* `n` fields, about half of them in a nested list, which is one itself. */
static int parse_wide(unsigned n, struct segfs_dtype **ret_dtype)
{
	static char buf[64 * 1024];
	struct segfs_text text = segfs_text_start(buf, sizeof(buf));

	segfs_text_printf(&text, "[");
	put_fields(&text, 1, n / 2);
	segfs_text_printf(&text, "('nested',[");
	put_fields(&text, n / 2, n);
	segfs_text_printf(&text, "])]");
	return segfs_dtype_parse(buf, text.len, ret_dtype);
}

START_TEST(parse_1024_fields_in_all_lists_are_the_most)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = NULL;
	struct segfs_dtype *too_wide = NULL;

	ck_assert_int_eq(parse_wide(1024, &dtype), 0);
	ck_assert_uint_eq(dtype->itemsize, 1023);
	ck_assert_int_eq(parse_wide(1025, &too_wide), -EINVAL);
	ck_assert_ptr_null(too_wide);
}
END_TEST

START_TEST(parse_structure_fills_in_its_fields)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup)
	struct segfs_dtype *dtype = parse("[('a','u1'),('','V7'),(('Title','b'),'>M8[25s]',(2,3))]");
	const struct segfs_field *field = dtype->fields;

	ck_assert_int_eq(dtype->kind, SEGFS_VOID);
	ck_assert_uint_eq(dtype->n_fields, 3);
	ck_assert_str_eq(field[0].name, "a");
	ck_assert_ptr_null(field[0].title);
	ck_assert_ptr_null(field[0].shape);
	ck_assert_str_eq(field[1].name, "");
	ck_assert_uint_eq(field[1].offset, 1);
	ck_assert_str_eq(field[2].name, "b");
	ck_assert_str_eq(field[2].title, "Title");
	ck_assert_uint_eq(field[2].offset, 8);
	ck_assert_uint_eq(field[2].ndim, 2);
	ck_assert_uint_eq(field[2].shape[1], 3);
	ck_assert(field[2].dtype->big_endian);
	ck_assert_str_eq(field[2].dtype->unit, "s");
	ck_assert_uint_eq(field[2].dtype->unit_count, 25);
}
END_TEST

START_TEST(format_every_size_of_buffer_cuts_and_counts)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *dtype = parse(valid[_i].text);
	const char *whole = valid[_i].canonical;

	for (size_t size = 0; size <= strlen(whole) + 1; size++) {
		char *buf = bounded_copy(whole, size);
		size_t fits = size > 0 ? size - 1 : 0;

		ck_assert_uint_eq(segfs_dtype_format(dtype, buf, size), strlen(whole));
		ck_assert(size == 0 || (strlen(buf) == fits && memcmp(buf, whole, fits) == 0));
		bounded_free(buf);
	}
	ck_assert_uint_eq(segfs_dtype_format(dtype, NULL, 0), strlen(whole));
}
END_TEST

/* Each differs from every other in one respect. */
static const char *const different[] = {
	"<i4",
	">i4",
	"<u4",
	"<i8",
	"<f2",
	"bfloat16",
	"|S4",
	"|V4",
	"<U1",
	"<M8",
	"<M8[s]",
	"<M8[2s]",
	"<m8[s]",
	"[('a', '<i4')]",
	"[('b', '<i4')]",
	"[('a', '<u4')]",
	"[(('t', 'a'), '<i4')]",
	"[(('u', 'a'), '<i4')]",
	"[('a', '<i4', (1,))]",
	"[('a', '<i4', (1, 1))]",
	"[('a', '|V2'), ('b', '|V2')]",
	"[('a', '|V1'), ('b', '|V3')]",
	"[('a', '|V2'), ('', '|V2')]",
};

START_TEST(equal_types_that_differ_anywhere_are_not)
{
	SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *one = parse(different[_i]);

	for (int i = 0; i < (int)COUNT_OF(different); i++) {
		SEGFS_CLEANUP(segfs_dtype_cleanup) struct segfs_dtype *other = parse(different[i]);

		ck_assert(segfs_dtype_equal(one, other) == (i == _i));
	}
}
END_TEST

START_TEST(free_null_is_harmless)
{
	ck_assert_ptr_null(segfs_dtype_free(NULL));
}
END_TEST

static TCase *parse_tests(void)
{
	TCase *tests = tcase_create("parse");

	tcase_add_loop_test(tests, parse_each_spelling_gives_the_canonical_type, 0, COUNT_OF(valid));
	tcase_add_loop_test(tests, parse_of_what_format_wrote_gives_an_equal_type, 0, COUNT_OF(valid));
	tcase_add_loop_test(tests, parse_every_prefix_stays_within_the_text, 0, COUNT_OF(valid));
	tcase_add_loop_test(tests, parse_anything_else_is_refused_and_output_kept, 0, COUNT_OF(invalid));
	tcase_add_test(tests, parse_holding_nul_is_refused);
	tcase_add_test(tests, parse_16_lists_deep_is_the_deepest);
	tcase_add_test(tests, parse_1024_fields_in_all_lists_are_the_most);
	tcase_add_test(tests, parse_structure_fills_in_its_fields);
	return tests;
}

static TCase *other_tests(void)
{
	TCase *tests = tcase_create("format, equal, free");

	tcase_add_loop_test(tests, format_every_size_of_buffer_cuts_and_counts, 0, COUNT_OF(valid));
	tcase_add_loop_test(tests, equal_types_that_differ_anywhere_are_not, 0, COUNT_OF(different));
	tcase_add_test(tests, free_null_is_harmless);
	return tests;
}

int main(void)
{
	Suite *suite = suite_create("dtype");

	suite_add_tcase(suite, parse_tests());
	suite_add_tcase(suite, other_tests());
	return run_suite(suite);
}
