/* SPDX-License-Identifier: MIT */
#include "utf8.h"

/* Bytes that `code` takes; 0 for a surrogate and for what is above U+10FFFF. */
static size_t encoded_length(uint32_t code)
{
	if (code < 0x80)
		return 1;
	if (code < 0x800)
		return 2;
	if (code < 0x10000)
		return code >= 0xd800 && code <= 0xdfff ? 0 : 3;
	return code <= 0x10ffff ? 4 : 0;
}

/* Bytes that a sequence with this first byte announces; 0 if none begins so. */
static size_t announced_length(unsigned char lead)
{
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc0 && lead < 0xe0)
		return 2;
	if (lead >= 0xe0 && lead < 0xf0)
		return 3;
	return lead >= 0xf0 && lead < 0xf8 ? 4 : 0;
}

size_t segfs_utf8_encode(uint32_t code, char ret_bytes[SEGFS_UTF8_MAX])
{
	size_t length = encoded_length(code);

	if (length <= 1) {
		if (length == 1)
			ret_bytes[0] = (char)code;
		return length;
	}
	for (size_t i = length - 1; i > 0; i--) {
		ret_bytes[i] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	ret_bytes[0] = (char)((0xf00 >> length) | code); /* as many leading ones as there are bytes */
	return length;
}

size_t segfs_utf8_decode(const char *text, size_t len, uint32_t *ret_code)
{
	unsigned char lead = len > 0 ? (unsigned char)text[0] : 0xff;
	size_t length = announced_length(lead);
	uint32_t code;

	if (length == 0 || length > len)
		return 0;
	code = length == 1 ? lead : lead & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	if (encoded_length(code) != length)
		return 0;
	*ret_code = code;
	return length;
}
