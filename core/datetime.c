/* SPDX-License-Identifier: MIT */
#include "datetime.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "text.h"
#include "util.h"

/*
 * A count of 31 bits times a value of 64, times 86,400 at most: all arithmetic is in 128 bits, where nothing
 * overflows.
 */
typedef __int128 wide;

#define NAT INT64_MIN

enum depth { YEAR, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND };

struct unit {
	char name[3];
	enum depth depth; /* how far the text goes */
	int decimals;	  /* of the second */
	unsigned seconds; /* of one, unless it is shorter or longer than a day */
};

static const struct unit units[] = {
	{"Y", YEAR},	       {"M", MONTH},	     {"W", WEEK},	    {"D", DAY},
	{"h", HOUR, 0, 3600},  {"m", MINUTE, 0, 60}, {"s", SECOND, 0, 1},   {"ms", SECOND, 3, 1},
	{"us", SECOND, 6, 1},  {"ns", SECOND, 9, 1}, {"ps", SECOND, 12, 1}, {"fs", SECOND, 15, 1},
	{"as", SECOND, 18, 1},
};

struct date {
	wide year;
	unsigned month, day; /* from 1 on */
};

/* NULL: numpy's generic unit. */
static const struct unit *unit_of(const struct segfs_dtype *dtype)
{
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		if (strcmp(units[i].name, dtype->unit) == 0)
			return &units[i];
	}
	return NULL;
}

static wide floor_divide(wide number, wide by, wide *ret_rest)
{
	wide rest = number % by;

	if (rest < 0)
		rest += by;
	*ret_rest = rest;
	return (number - rest) / by;
}

/*
 * The date of a day, counted from 1970-01-01. Years are counted from March on here, so that a leap day is the
 * last of its year; 400 years have 146,097 days. From March on, five months have 153 days, again and again.
 */
static struct date date_of(wide day)
{
	wide of_era, era = floor_divide(day + 719468, 146097, &of_era);
	unsigned n = (unsigned)of_era;
	unsigned year = (n - n / 1460 + n / 36524 - n / 146096) / 365;
	unsigned of_year = n - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;

	return (struct date){
		.year = era * 400 + year + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = of_year - (153 * month + 2) / 5 + 1,
	};
}

/* At most 29 digits. */
static void put_year(struct segfs_text *out, wide year)
{
	char digits[40];
	size_t at = sizeof(digits);
	wide rest = year < 0 ? -year : year;
	size_t least = year < 0 ? 3 : 4;

	do {
		digits[--at] = (char)('0' + (int)(rest % 10));
		rest /= 10;
	} while (rest > 0 || sizeof(digits) - at < least);
	if (year < 0)
		digits[--at] = '-';
	segfs_text_put(out, digits + at, sizeof(digits) - at);
}

static void put_date(struct segfs_text *out, const struct date *date, enum depth depth)
{
	put_year(out, date->year);
	if (depth >= MONTH)
		segfs_text_printf(out, "-%02u", date->month);
	if (depth >= WEEK)
		segfs_text_printf(out, "-%02u", date->day);
}

static uint64_t power_of_10(int exponent)
{
	uint64_t power = 1;

	while (exponent-- > 0)
		power *= 10;
	return power;
}

/* `of_day` counts units since midnight. */
static void put_time(struct segfs_text *out, const struct unit *unit, wide of_day)
{
	uint64_t per_second = power_of_10(unit->decimals);
	unsigned seconds = (unsigned)(of_day / per_second) * unit->seconds;

	segfs_text_printf(out, "T%02u", seconds / 3600);
	if (unit->depth >= MINUTE)
		segfs_text_printf(out, ":%02u", seconds / 60 % 60);
	if (unit->depth >= SECOND)
		segfs_text_printf(out, ":%02u", seconds % 60);
	if (unit->decimals > 0)
		segfs_text_printf(out, ".%0*" PRIu64, unit->decimals, (uint64_t)(of_day % per_second));
}

static void put_months(struct segfs_text *out, const struct unit *unit, wide months)
{
	wide of_year, years = floor_divide(months, 12, &of_year);
	struct date date = {.year = 1970 + years, .month = (unsigned)of_year + 1};

	put_date(out, &date, unit->depth);
}

static void put_moment(struct segfs_text *out, const struct unit *unit, wide units_since_1970)
{
	wide per_day = (wide)86400 / unit->seconds * power_of_10(unit->decimals), of_day;
	struct date date = date_of(floor_divide(units_since_1970, per_day, &of_day));

	put_date(out, &date, unit->depth);
	put_time(out, unit, of_day);
}

static void put_datetime(struct segfs_text *out, const struct unit *unit, wide number)
{
	struct date date;

	switch (unit->depth) {
	case YEAR:
		put_months(out, unit, number * 12);
		break;
	case MONTH:
		put_months(out, unit, number);
		break;
	case WEEK:
	case DAY:
		date = date_of(unit->depth == WEEK ? number * 7 : number);
		put_date(out, &date, unit->depth);
		break;
	default:
		put_moment(out, unit, number);
	}
}

size_t segfs_datetime_format(const struct segfs_dtype *dtype, int64_t value, char *ret_text)
{
	const struct unit *unit = unit_of(dtype);
	char buf[SEGFS_DATETIME_TEXT_MAX + 1];
	struct segfs_text text = segfs_text_start(buf, sizeof(buf));

	if (value == NAT)
		segfs_text_put(&text, "NaT", 3);
	else if (!unit)
		segfs_text_printf(&text, "%" PRId64, value);
	else
		put_datetime(&text, unit, (wide)value * dtype->unit_count);
	assert(text.len < sizeof(buf));
	memcpy(ret_text, buf, text.len);
	return text.len;
}

/* The first and the last moment have the longest years. */
size_t segfs_datetime_width(const struct segfs_dtype *dtype)
{
	char text[SEGFS_DATETIME_TEXT_MAX];
	size_t first = segfs_datetime_format(dtype, NAT + 1, text);
	size_t last = segfs_datetime_format(dtype, INT64_MAX, text);

	return MAX(MAX(first, last), strlen("NaT"));
}
