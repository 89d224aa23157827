#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static struct {
	bool on;
	int64_t wall_ms, mono_us;
} fake;
static int64_t wall_offset_ms;

int64_t clock_machine_ms(void)
{
	if (fake.on)
		return fake.wall_ms;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_wall_ms(void)
{
	return clock_machine_ms() + wall_offset_ms;
}

int64_t clock_mono_us(void)
{
	if (fake.on)
		return fake.mono_us;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void clock_shift_ms(int64_t offset_ms)
{
	wall_offset_ms = offset_ms;
}

void clock_fake(int64_t wall_ms, int64_t mono_us)
{
	fake.on = true;
	fake.wall_ms = wall_ms;
	fake.mono_us = mono_us;
}

static const char day_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

size_t time_format_to(char out[static 40], int64_t ms, enum time_format format)
{
	int64_t sec = ms / 1000;
	int milli = (int)(ms % 1000);
	if (milli < 0)
		milli += 1000, sec--;
	if (format == TIME_EPOCH)
		return (size_t)(milli ? snprintf(out, 40, "%lld.%03d", (long long)sec, milli)
		                      : snprintf(out, 40, "%lld", (long long)sec));
	/* Years beyond 9999 have no ISO spelling. */
	if (sec > 253402300799)
		sec = 253402300799;
	if (sec < -62135596800)
		sec = -62135596800;
	time_t t = (time_t)sec;
	struct tm tm;
	gmtime_r(&t, &tm);
	int y = tm.tm_year + 1900, mo = tm.tm_mon + 1;
	int n = 0;
	switch (format) {
	case TIME_RFC822:
		n = snprintf(out, 40, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[tm.tm_wday], tm.tm_mday,
		             month_names[tm.tm_mon], y, tm.tm_hour, tm.tm_min, tm.tm_sec);
		break;
	case TIME_BASIC:
		n = snprintf(out, 40, "%04d%02d%02dT%02d%02d%02dZ", y, mo, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		break;
	case TIME_LAMBDA:
		n = snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%03d+0000", y, mo, tm.tm_mday, tm.tm_hour, tm.tm_min,
		             tm.tm_sec, milli);
		break;
	case TIME_ISO8601:
		if (milli == 0) {
			n = snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02dZ", y, mo, tm.tm_mday, tm.tm_hour, tm.tm_min,
			             tm.tm_sec);
			break;
		}
		__attribute__((fallthrough));
	default:
		n = snprintf(out, 40, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", y, mo, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		             milli);
	}
	return (size_t)n;
}

struct str time_format(struct arena *a, int64_t ms, enum time_format format)
{
	char out[40];
	size_t n = time_format_to(out, ms, format);
	return arena_dup(a, str_of(out, n));
}

/* Takes exactly n digits off the front. */
static bool take_digits(struct str *s, size_t n, int *ret)
{
	int v = 0;
	if (s->n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!ascii_is_digit(s->p[i]))
			return false;
		v = v * 10 + (s->p[i] - '0');
	}
	*s = str_from_at(*s, n);
	*ret = v;
	return true;
}

static bool take_char(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_from_at(*s, 1);
	return true;
}

static bool date_valid(int y, int mo, int d, int h, int mi, int s)
{
	static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (mo < 1 || mo > 12 || d < 1 || h > 23 || mi > 59 || s > 60)
		return false;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	return d <= days[mo - 1] + (mo == 2 && leap);
}

static int64_t date_ms(int y, int mo, int d, int h, int mi, int s)
{
	struct tm tm = {.tm_year = y - 1900, .tm_mon = mo - 1, .tm_mday = d, .tm_hour = h, .tm_min = mi, .tm_sec = s};
	return (int64_t)timegm(&tm) * 1000;
}

static bool parse_rfc822(struct str s, int64_t *ret_ms)
{
	int d, mo = 0, y, h, mi, se;
	s = str_from_at(s, 4);
	while (take_char(&s, ' '))
		;
	if (!take_digits(&s, 2, &d) || !take_char(&s, ' ') || s.n < 4)
		return false;
	for (int i = 0; i < 12; i++)
		if (str_starts(s, str_from(month_names[i])))
			mo = i + 1;
	s = str_from_at(s, 3);
	if (!mo || !take_char(&s, ' ') || !take_digits(&s, 4, &y) || !take_char(&s, ' ') || !take_digits(&s, 2, &h) ||
	    !take_char(&s, ':') || !take_digits(&s, 2, &mi) || !take_char(&s, ':') || !take_digits(&s, 2, &se))
		return false;
	int milli = 0;
	if (take_char(&s, '.')) {
		double f = 0, scale = 0.1;
		for (int one; take_digits(&s, 1, &one); scale /= 10)
			f += one * scale;
		milli = (int)lround(f * 1000);
	}
	if (!(str_is(s, " GMT") || str_is(s, " UTC") || str_is(s, " +0000")) || !date_valid(y, mo, d, h, mi, se))
		return false;
	*ret_ms = date_ms(y, mo, d, h, mi, se) + milli;
	return true;
}

static bool parse_iso(struct str s, int64_t *ret_ms)
{
	int y, mo, d, h = 0, mi = 0, se = 0, milli = 0, offset_min = 0;
	if (!take_digits(&s, 4, &y))
		return false;
	bool dashes = take_char(&s, '-');
	if (!take_digits(&s, 2, &mo) || (dashes && !take_char(&s, '-')) || !take_digits(&s, 2, &d))
		return false;
	if (s.n) {
		if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' '))
			return false;
		if (!take_digits(&s, 2, &h))
			return false;
		bool colons = take_char(&s, ':');
		if (!take_digits(&s, 2, &mi))
			return false;
		if (s.n && (colons ? take_char(&s, ':') : ascii_is_digit(s.p[0])))
			if (!take_digits(&s, 2, &se))
				return false;
		if (take_char(&s, '.')) {
			int scale = 100, one;
			while (take_digits(&s, 1, &one))
				milli += one * scale, scale /= 10;
		}
		if (take_char(&s, 'Z') || take_char(&s, 'z')) {
		} else if (s.n && (s.p[0] == '+' || s.p[0] == '-')) {
			int sign = s.p[0] == '-' ? -1 : 1, oh, om = 0;
			s = str_from_at(s, 1);
			if (!take_digits(&s, 2, &oh))
				return false;
			take_char(&s, ':');
			if (s.n && !take_digits(&s, 2, &om))
				return false;
			offset_min = sign * (oh * 60 + om);
		}
	}
	if (s.n || !date_valid(y, mo, d, h, mi, se))
		return false;
	*ret_ms = date_ms(y, mo, d, h, mi, se) + milli - (int64_t)offset_min * 60000;
	return true;
}

static bool parse_epoch(struct str s, int64_t *ret_ms)
{
	double v;
	if (!str_to_double(s, &v) || !isfinite(v) || fabs(v) > 9e15)
		return false;
	*ret_ms = (int64_t)llround(v * 1000);
	return true;
}

bool time_parse(struct str s, int64_t *ret_ms)
{
	s = str_trim(s);
	if (s.n > 64)
		return false;
	if (s.n > 20 && s.p[3] == ',')
		return parse_rfc822(s, ret_ms);
	/* Eight digits are a date, any other bare number is an epoch. */
	bool number = s.n > 0;
	for (size_t i = 0; i < s.n; i++)
		number = number && (ascii_is_digit(s.p[i]) || s.p[i] == '.' || s.p[i] == 'e' || s.p[i] == 'E' || s.p[i] == '+' ||
		                    (s.p[i] == '-' && i == 0));
	if (number && s.n != 8)
		return parse_epoch(s, ret_ms);
	return parse_iso(s, ret_ms);
}
