/* Events of several lines: which line begins one, by the options awslogs-multiline-pattern and awslogs-datetime-format. */
#include "journal.h"

#include "base/buf.h"

enum { PATTERN_BYTES = 8192 };

/* What strftime(3) writes for these, as expressions. */
static const struct {
	char letter;
	const char *pattern;
} times[] = {
        {'a', "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"},
        {'A', "(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"},
        {'b', "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"},
        {'B', "(?:January|February|March|April|May|June|July|August|September|October|November|December)"},
        {'d', "(?:0[1-9]|[12][0-9]|3[01])"},
        {'f', "[0-9]{6}"},
        {'H', "(?:[01][0-9]|2[0-3])"},
        {'I', "(?:0[0-9]|1[0-2])"},
        {'j', "[0-3][0-9]{2}"},
        {'L', "\\.[0-9]{3}"},
        {'m', "(?:0[1-9]|1[0-2])"},
        {'M', "[0-5][0-9]"},
        {'p', "[AP]M"},
        {'S', "[0-5][0-9]"},
        {'w', "[0-6]"},
        {'y', "[0-9]{2}"},
        {'Y', "[0-9]{4}"},
        {'z', "[+-][0-9]{4}"},
        {'Z', "[A-Z]{1,4}T"},
};

static void add_time(struct buf *b, char letter)
{
	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		if (times[i].letter == letter) {
			buf_add_str(b, str_from(times[i].pattern));
			return;
		}
	buf_add_char(b, '%');
	buf_add_char(b, letter);
}

/* What is no conversion is an expression already, as the driver of Docker has it: brackets are written with a backslash. */
static void add_format(struct buf *b, struct str format)
{
	for (size_t i = 0; i < format.n; i++) {
		if (format.p[i] == '%' && i + 1 < format.n) {
			add_time(b, format.p[++i]);
			continue;
		}
		buf_add_char(b, format.p[i]);
	}
}

bool journal_begins(struct arena *a, const struct str_map *options, const struct pattern **ret, const char **ret_why)
{
	struct str pattern = str_map_get(options, S("awslogs-multiline-pattern")),
	           format = str_map_get(options, S("awslogs-datetime-format"));
	struct buf CLEAN_BUF b = {0};
	*ret = NULL;
	if (!pattern.n && !format.n)
		return true;
	if (pattern.n && format.n) {
		*ret_why = "there is one of awslogs-datetime-format and awslogs-multiline-pattern at most.";
		return false;
	}
	/* Somewhere in the line: patterns mean the whole text. */
	buf_init(&b, PATTERN_BYTES);
	buf_add_lit(&b, "[\\s\\S]*(?:");
	if (pattern.n)
		buf_add_str(&b, pattern);
	else
		add_format(&b, format);
	buf_add_lit(&b, ")[\\s\\S]*");
	*ret_why = "the pattern is too long.";
	if (!b.overflow)
		*ret = pattern_compile(a, arena_dup(a, buf_str(&b)), ret_why);
	return *ret;
}
