/* A command line taken apart as a shell does it, quotes and backslashes and no more: nothing is expanded and no shell is run. */
#include "ssm.h"

#include "base/buf.h"

enum { LINE_MAX_BYTES = 65536, WORDS_MAX = 200 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word from *at on, which is behind it afterwards. False: something is open at the end. */
static bool take_word(struct str line, size_t *at, struct buf *word)
{
	char quote = 0;
	for (; *at < line.n && (quote || !is_blank(line.p[*at])); (*at)++) {
		char c = line.p[*at];
		if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? 0 : c;
			continue;
		}
		if (c == '\\' && quote != '\'') {
			if (++*at == line.n)
				return false;
			char next = line.p[*at];
			if (quote && next != '"' && next != '\\' && next != '$' && next != '`')
				buf_add_char(word, '\\');
			c = next;
		}
		buf_add_char(word, c);
	}
	return !quote;
}

bool ssm_words(struct arena *a, struct str line, struct str_list *ret)
{
	size_t at = 0;
	if (line.n > LINE_MAX_BYTES || str_find_char(line, 0) >= 0)
		return false;
	for (;;) {
		struct buf CLEAN_BUF word;
		buf_init(&word, LINE_MAX_BYTES);
		while (at < line.n && is_blank(line.p[at]))
			at++;
		if (at == line.n)
			return ret->n > 0;
		if (ret->n == WORDS_MAX || !take_word(line, &at, &word))
			return false;
		*LIST_ADD(a, ret) = arena_dup(a, buf_str(&word));
	}
}
