/* Numbers and times: exact in integers, no strtod(), no locale. */
#include "ingest/table-private.h"

#include "base/units.h"

static const uint64_t powers[] = {UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000),
	UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000), UINT64_C(10000000),
	UINT64_C(100000000), UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
	UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000),
	UINT64_C(1000000000000000), UINT64_C(10000000000000000), UINT64_C(100000000000000000),
	UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)};

/* digits * 10^exponent; of the digits, the first 19 that count. What is cut off of an integer part
 * leaves a number above 10^19, so that rounding down stays right for all that fits. */
struct decimal {
	uint64_t digits;
	int exponent;
	bool negative;
};

static bool is_nan(const char *p, size_t n)
{
	static const char *const names[] = {"nan", "inf", "infinity"};
	char low[9];

	if (n && (*p == '+' || *p == '-')) {
		p++;
		n--;
	}
	if (n >= sizeof(low))
		return false;
	for (size_t i = 0; i < n; i++)
		low[i] = (char)(p[i] | 0x20);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (table_span_is(low, n, names[i]))
			return true;
	return false;
}

/* 0, TABLE_BAD_NAN or TABLE_BAD_NUMBER. */
static int decimal_parse(const char *p, size_t n, struct decimal *ret)
{
	const char *end = p + n, *start = p, *first;
	struct decimal d = {0};
	size_t seen = 0;
	int kept = 0;

	if (n > TABLE_NUMBER_BYTES)
		return TABLE_BAD_NUMBER;
	if (p < end && (*p == '-' || *p == '+'))
		d.negative = *p++ == '-';
	for (first = p; p < end && table_is_digit(*p); p++) {
		if (kept < 19) {
			d.digits = d.digits * 10 + (uint64_t)(*p - '0');
			kept += d.digits != 0;
		} else {
			d.exponent++;
		}
	}
	seen = (size_t)(p - first);
	if (p < end && *p == '.') {
		for (first = ++p; p < end && table_is_digit(*p); p++) {
			if (kept < 19) {
				d.digits = d.digits * 10 + (uint64_t)(*p - '0');
				kept += d.digits != 0;
				d.exponent--;
			}
		}
		seen += (size_t)(p - first);
	}
	if (!seen)
		return is_nan(start, n) ? TABLE_BAD_NAN : TABLE_BAD_NUMBER;
	if (p < end && (*p == 'e' || *p == 'E')) {
		bool down = false;
		int e = 0;

		if (++p < end && (*p == '-' || *p == '+'))
			down = *p++ == '-';
		for (first = p; p < end && table_is_digit(*p); p++)
			if (e < 10000)
				e = e * 10 + (*p - '0');
		if (p == first)
			return TABLE_BAD_NUMBER;
		d.exponent += down ? -e : e;
	}
	if (p != end)
		return TABLE_BAD_NUMBER;
	*ret = d;
	return 0;
}

/* The decimal times 10^shift, rounded down. 0, TABLE_BAD_NEGATIVE or TABLE_BAD_OVERFLOW. */
static int decimal_floor(const struct decimal *d, int shift, uint64_t *ret)
{
	int e = d->exponent + shift;

	*ret = 0;
	if (d->digits == 0)
		return 0;
	if (d->negative)
		return TABLE_BAD_NEGATIVE;
	if (e < 0)
		*ret = e < -19 ? 0 : d->digits / powers[-e];
	else if (e > 19 || __builtin_mul_overflow(d->digits, powers[e], ret))
		return TABLE_BAD_OVERFLOW;
	return 0;
}

/* Bytes as whole ones, at most 2^63. */
int table_parse_bytes(const char *p, size_t n, uint64_t *ret)
{
	struct decimal d;
	uint64_t v;
	int kind;

	if (!n)
		return TABLE_BAD_MISSING;
	kind = decimal_parse(p, n, &d);
	if (kind == 0)
		kind = decimal_floor(&d, 0, &v);
	if (kind == 0 && v > UINT64_C(1) << 63)
		kind = TABLE_BAD_OVERFLOW;
	if (kind == 0)
		*ret = v;
	return kind;
}

/* Within some units in the last place of a double, so right to a float but for ties. */
int table_parse_float(const char *p, size_t n, float *ret)
{
	struct decimal d;
	double v;
	int kind = decimal_parse(p, n, &d);

	if (kind)
		return kind;
	if (d.negative && d.digits)
		return TABLE_BAD_NEGATIVE;
	v = (double)d.digits;
	if (d.digits && d.exponent > 60)
		return TABLE_BAD_OVERFLOW;
	for (; d.exponent > 0 && d.digits; d.exponent--)
		v *= 10;
	for (; d.exponent < 0 && v > 0; d.exponent += d.exponent > -19 ? -d.exponent : 19)
		v /= (double)powers[d.exponent > -19 ? -d.exponent : 19];
	if (v > 3.4028234663852886e38)
		return TABLE_BAD_OVERFLOW;
	*ret = (float)v;
	return 0;
}

/* Days since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t)doe - 719468;
}

static bool two_digits(const char *p, unsigned max, unsigned *ret)
{
	if (!table_is_digit(p[0]) || !table_is_digit(p[1]))
		return false;
	*ret = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
	return *ret <= max;
}

static unsigned month_days(unsigned y, unsigned m)
{
	static const unsigned char n[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0) ? 29 : n[m - 1];
}

/* 2026-11-21T03:47:27.728+01:00. A space may stand for the T; a leap second is the next one. */
static int parse_rfc3339(const char *p, size_t n, uint64_t *ret_ns)
{
	unsigned century, year, month, day, hour, minute, second, off_hour = 0, off_minute = 0;
	uint64_t ns = 0, place = 100000000;
	int64_t s, off;
	size_t i = 19;

	if (n < 20 || !two_digits(p, 99, &century) || !two_digits(p + 2, 99, &year) ||
		p[4] != '-' || !two_digits(p + 5, 12, &month) || p[7] != '-' ||
		!two_digits(p + 8, 31, &day) || (p[10] != 'T' && p[10] != 't' && p[10] != ' ') ||
		!two_digits(p + 11, 23, &hour) || p[13] != ':' ||
		!two_digits(p + 14, 59, &minute) || p[16] != ':' ||
		!two_digits(p + 17, 60, &second))
		return TABLE_BAD_TIME;
	year += century * 100;
	if (month == 0 || day == 0 || day > month_days(year, month))
		return TABLE_BAD_TIME;
	if (p[i] == '.') {
		for (i++; i < n && table_is_digit(p[i]); i++, place /= 10)
			ns += place * (uint64_t)(p[i] - '0');
		if (i == 20)
			return TABLE_BAD_TIME;
	}
	if (n - i == 6 && (p[i] == '+' || p[i] == '-')) {
		if (!two_digits(p + i + 1, 23, &off_hour) || p[i + 3] != ':' ||
			!two_digits(p + i + 4, 59, &off_minute))
			return TABLE_BAD_TIME;
	} else if (n - i != 1 || (p[i] != 'Z' && p[i] != 'z')) {
		return TABLE_BAD_TIME;
	}
	off = (int64_t)off_hour * 3600 + off_minute * 60;
	s = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
		(p[i] == '-' ? -off : off);
	if (s < 0 || (uint64_t)s > TABLE_TIME_MAX_NS / NSEC_PER_SEC)
		return TABLE_BAD_TIME_RANGE;
	*ret_ns = (uint64_t)s * NSEC_PER_SEC + ns;
	return *ret_ns > TABLE_TIME_MAX_NS ? TABLE_BAD_TIME_RANGE : 0;
}

int table_parse_time(const char *p, size_t n, uint64_t *ret_ns)
{
	struct decimal d;
	uint64_t ns;

	if (!n)
		return TABLE_BAD_MISSING;
	if (n > 4 && p[4] == '-' && table_is_digit(p[3]))
		return parse_rfc3339(p, n, ret_ns);
	if (decimal_parse(p, n, &d))
		return TABLE_BAD_TIME;
	if (decimal_floor(&d, 9, &ns) || ns > TABLE_TIME_MAX_NS)
		return TABLE_BAD_TIME_RANGE;
	*ret_ns = ns;
	return 0;
}

bool table_is_number(const char *p, size_t n)
{
	struct decimal d;

	return decimal_parse(p, n, &d) != TABLE_BAD_NUMBER;
}
