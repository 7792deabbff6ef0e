/* SPDX-License-Identifier: MIT */
#include "pyliteral.h"

#include <assert.h>

#include "utf8.h"
#include "util.h"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void skip_space(struct segfs_pyliteral *in)
{
	while (in->next < in->end && is_space(*in->next))
		in->next++;
}

void segfs_pyliteral_trim_end(struct segfs_pyliteral *in)
{
	while (in->next < in->end && is_space(in->end[-1]))
		in->end--;
}

bool segfs_pyliteral_ended(struct segfs_pyliteral *in)
{
	skip_space(in);
	return in->next == in->end;
}

bool segfs_pyliteral_peek(struct segfs_pyliteral *in, char c)
{
	return !segfs_pyliteral_ended(in) && *in->next == c;
}

bool segfs_pyliteral_accept(struct segfs_pyliteral *in, char c)
{
	bool found = segfs_pyliteral_peek(in, c);

	in->next += found;
	return found;
}

static bool accept_close(struct segfs_pyliteral *in, char close)
{
	return close == SEGFS_PYLITERAL_END ? segfs_pyliteral_ended(in) : segfs_pyliteral_accept(in, close);
}

int segfs_pyliteral_more(struct segfs_pyliteral *in, size_t n_read, char close)
{
	if (accept_close(in, close))
		return 0;
	if (n_read > 0) {
		if (!segfs_pyliteral_accept(in, ','))
			return -EINVAL;
		if (accept_close(in, close)) /* Python's trailing comma */
			return 0;
	}
	return segfs_pyliteral_ended(in) ? -EINVAL : 1;
}

/* The place of the quote that ends a string, or NULL. Escapes are stepped over, a line may not end within. */
static const char *find_quote(const struct segfs_pyliteral *in, char quote)
{
	size_t len = (size_t)(in->end - in->next);

	for (size_t i = 0; i < len && in->next[i] != '\n'; i++) {
		if (in->next[i] == quote)
			return in->next + i;
		if (in->next[i] == '\\')
			i++;
	}
	return NULL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -EINVAL;
}

/* Reads exactly `digits` hexadecimal digits, at most eight. */
static int read_hex(const char **at, const char *end, int digits, uint32_t *ret_code)
{
	uint32_t code = 0;

	if (end - *at < digits)
		return -EINVAL;
	for (int i = 0; i < digits; i++) {
		int digit = hex_digit(*(*at)++);

		if (digit < 0)
			return digit;
		code = code << 4 | (uint32_t)digit;
	}
	*ret_code = code;
	return 0;
}

/* What follows a backslash: the escapes of repr(), and \" besides. */
static int read_escape(const char **at, const char *end, uint32_t *ret_code)
{
	static const char letters[] = "\\'\"nrt", meanings[] = "\\'\"\n\r\t";
	const char *found;
	char letter;

	if (*at == end || **at == '\0')
		return -EINVAL;
	letter = *(*at)++;
	if (letter == 'x')
		return read_hex(at, end, 2, ret_code);
	if (letter == 'u')
		return read_hex(at, end, 4, ret_code);
	if (letter == 'U')
		return read_hex(at, end, 8, ret_code);
	found = strchr(letters, letter);
	if (!found)
		return -EINVAL;
	*ret_code = (unsigned char)meanings[found - letters];
	return 0;
}

/* One character of a string, plain or escaped. */
static int read_character(const char **at, const char *end, uint32_t *ret_code)
{
	size_t length;

	if (**at == '\\') {
		(*at)++;
		return read_escape(at, end, ret_code);
	}
	length = segfs_utf8_decode(*at, (size_t)(end - *at), ret_code);
	if (length == 0)
		return -EINVAL;
	*at += length;
	return 0;
}

/* Decodes from..end into `to`, which has room for as many bytes and NUL: escapes only shrink. */
static int decode_string(const char *from, const char *end, char *to)
{
	while (from < end) {
		uint32_t code;
		size_t length;
		int r = read_character(&from, end, &code);

		if (r < 0)
			return r;
		length = code == 0 ? 0 : segfs_utf8_encode(code, to);
		if (length == 0)
			return -EINVAL;
		to += length;
	}
	*to = '\0';
	return 0;
}

int segfs_pyliteral_read_string(struct segfs_pyliteral *in, char **ret_text)
{
	SEGFS_FREE char *text = NULL;
	const char *close;
	char quote;
	int r;

	if (!segfs_pyliteral_accept(in, 'u')) /* Python 2's prefix, without a meaning in Python 3 */
		segfs_pyliteral_accept(in, 'U');
	if (in->next == in->end || (*in->next != '\'' && *in->next != '"'))
		return -EINVAL;
	quote = *in->next++;
	close = find_quote(in, quote);
	if (!close)
		return -EINVAL;
	text = malloc((size_t)(close - in->next) + 1);
	if (!text)
		return -ENOMEM;
	r = decode_string(in->next, close, text);
	if (r < 0)
		return r;
	in->next = close + 1;
	*ret_text = steal_pointer(&text);
	return 0;
}

/* What makes a longer word of it is not looked for: no comma or bracket, so the next accept() refuses it. */
static bool accept_word(struct segfs_pyliteral *in, const char *word)
{
	size_t len = strlen(word);

	skip_space(in);
	if ((size_t)(in->end - in->next) < len || memcmp(in->next, word, len) != 0)
		return false;
	in->next += len;
	return true;
}

int segfs_pyliteral_read_bool(struct segfs_pyliteral *in, bool *ret_value)
{
	bool value = accept_word(in, "True");

	if (!value && !accept_word(in, "False"))
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static bool is_digit(const struct segfs_pyliteral *in)
{
	return in->next < in->end && *in->next >= '0' && *in->next <= '9';
}

int segfs_pyliteral_read_length(struct segfs_pyliteral *in, uint64_t *ret_length)
{
	const char *start;
	int64_t length = 0;

	skip_space(in);
	start = in->next;
	for (; is_digit(in); in->next++) {
		if (__builtin_mul_overflow(length, 10, &length) ||
		    __builtin_add_overflow(length, *in->next - '0', &length))
			return -EOVERFLOW;
	}
	if (in->next == start)
		return -EINVAL;
	if (*start == '0' && length != 0) /* an octal number in Python 2, nothing at all in Python 3 */
		return -EINVAL;
	if (in->python2 && in->next < in->end && *in->next == 'L')
		in->next++;
	*ret_length = (uint64_t)length;
	return 0;
}

int segfs_pyliteral_read_lengths(struct segfs_pyliteral *in, char close, unsigned max, uint64_t *ret_lengths,
				 unsigned *ret_count)
{
	SEGFS_FREE uint64_t *lengths = calloc(max, sizeof(*lengths));
	unsigned n = 0;
	int r;

	if (!lengths)
		return -ENOMEM;
	while ((r = segfs_pyliteral_more(in, n, close)) > 0) {
		if (n == max)
			return -EINVAL;
		r = segfs_pyliteral_read_length(in, &lengths[n++]);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	memcpy(ret_lengths, lengths, n * sizeof(*lengths));
	*ret_count = n;
	return 0;
}

/* Looks ahead on a copy of the cursor. */
static bool is_number_in_brackets(struct segfs_pyliteral in)
{
	uint64_t length;

	return segfs_pyliteral_accept(&in, '(') && segfs_pyliteral_read_length(&in, &length) == 0 &&
	       segfs_pyliteral_accept(&in, ')');
}

int segfs_pyliteral_read_tuple(struct segfs_pyliteral *in, unsigned max, uint64_t *ret_lengths,
			       unsigned *ret_count)
{
	if (is_number_in_brackets(*in) || !segfs_pyliteral_accept(in, '('))
		return -EINVAL;
	return segfs_pyliteral_read_lengths(in, ')', max, ret_lengths, ret_count);
}
