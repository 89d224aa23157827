#include "engine/events/input.h"

#include <string.h>

/* --- paths */

enum step_kind { STEP_END, STEP_BAD, STEP_NAME, STEP_AT, STEP_ALL };
struct step {
	enum step_kind kind;
	struct str name;
	int64_t at;
};

static bool name_char(char c)
{
	return ascii_is_alnum(c) || c == '_' || c == '-' || c == '/' || c == '@' || (unsigned char)c >= 0x80;
}

static struct step bracket(struct str *rest)
{
	ptrdiff_t end = str_find_char(*rest, ']');
	struct step s = {.kind = STEP_BAD};
	if (end < 2)
		return s;
	struct str in = str_sub(*rest, 1, (size_t)end - 1);
	*rest = str_from_at(*rest, (size_t)end + 1);
	if (str_is(in, "*"))
		s.kind = STEP_ALL;
	else if (in.n > 2 && (in.p[0] == '\'' || in.p[0] == '"') && in.p[in.n - 1] == in.p[0])
		s = (struct step){STEP_NAME, str_sub(in, 1, in.n - 2), 0};
	else if (str_to_i64(in, &s.at) && s.at >= 0)
		s.kind = STEP_AT;
	return s;
}

static struct step next_step(struct str *rest)
{
	size_t n = 1;
	if (!rest->n)
		return (struct step){.kind = STEP_END};
	if (rest->p[0] == '[')
		return bracket(rest);
	while (rest->p[0] == '.' && n < rest->n && name_char(rest->p[n]))
		n++;
	if (rest->p[0] != '.' || n == 1)
		return (struct step){.kind = STEP_BAD};
	struct step s = {STEP_NAME, str_sub(*rest, 1, n - 1), 0};
	*rest = str_from_at(*rest, n);
	return s;
}

bool path_good(struct str path)
{
	struct str rest = str_from_at(path, 1);
	if (!str_starts(path, S("$")))
		return false;
	for (;;) {
		struct step s = next_step(&rest);
		if (s.kind == STEP_END || s.kind == STEP_BAD)
			return s.kind == STEP_END;
	}
}

/* Puts all that is there, with commas between. */
static unsigned put_below(struct str rest, const struct json_value *v, struct buf *out, unsigned before)
{
	struct step s = next_step(&rest);
	unsigned n = 0;
	if (!v || s.kind == STEP_BAD)
		return 0;
	if (s.kind == STEP_END) {
		if (before)
			buf_add_char(out, ',');
		json_put_value(out, v);
		return 1;
	}
	if (s.kind == STEP_NAME)
		return put_below(rest, json_get(v, s.name), out, before);
	if (v->kind != JSON_ARRAY)
		return 0;
	json_each(v, one)
	{
		if (s.kind == STEP_ALL)
			n += put_below(rest, one, out, before + n);
		else if (s.at-- == 0)
			return put_below(rest, one, out, before);
	}
	return n;
}

bool path_put(struct str path, const struct json_value *event, struct buf *out)
{
	bool many = str_find(path, S("[*]")) >= 0;
	size_t n = out->n;
	if (many)
		buf_add_char(out, '[');
	if (!put_below(str_from_at(path, 1), event, out, 0)) {
		out->n = n;
		return false;
	}
	if (many)
		buf_add_char(out, ']');
	return true;
}

/* --- transformers */

static const char *const predefined[] = {"aws.events.rule-arn", "aws.events.rule-name",  "aws.events.event.ingestion-time",
                                         "aws.events.event",    "aws.events.event.json", NULL};

/* The name in a <name> at the beginning; absent: it is none. */
static struct str placeholder(struct str at)
{
	size_t n = 1;
	while (n < at.n && (ascii_is_alnum(at.p[n]) || at.p[n] == '_' || at.p[n] == '-' || at.p[n] == '.'))
		n++;
	return at.n && at.p[0] == '<' && n > 1 && n < at.n && at.p[n] == '>' ? str_sub(at, 1, n - 1) : STR_NONE;
}

static bool known(const struct str_map *paths, struct str name)
{
	for (int i = 0; predefined[i]; i++)
		if (str_is(name, predefined[i]))
			return true;
	return str_set(str_map_get(paths, name));
}

/* Without detail: what <aws.events.event> is. */
static void put_event(const struct json_value *event, struct buf *out)
{
	struct json_out j = json_out(out);
	json_open(&j, '{');
	json_each(event, member)
	{
		struct buf CLEAN_BUF one = {0};
		if (str_is(member->key, "detail"))
			continue;
		buf_init(&one, INPUT_BYTES_MAX);
		json_put_value(&one, member);
		json_key(&j, member->key);
		json_raw(&j, buf_str(&one));
	}
	json_close(&j, '}');
}

static void put_named(const struct transform_event *e, const struct str_map *paths, struct str name, struct buf *out)
{
	struct str path = str_map_get(paths, name);
	if (str_is(name, "aws.events.rule-arn"))
		json_put_string(out, e->rule_arn);
	else if (str_is(name, "aws.events.rule-name"))
		json_put_string(out, e->rule_name);
	else if (str_is(name, "aws.events.event.ingestion-time"))
		json_put_string(out, e->ingested);
	else if (str_is(name, "aws.events.event"))
		put_event(e->event, out);
	else if (str_is(name, "aws.events.event.json"))
		buf_add_str(out, e->text);
	else
		path_put(path, e->event, out);
}

/* Inside of a string: a string's own characters, the JSON of all else; escaped as they have to be there. */
static void put_quoted(struct str json, struct buf *out)
{
	struct buf CLEAN_BUF b = {0};
	if (json.n && json.p[0] == '"') {
		buf_add(out, json.p + 1, json.n - 2);
		return;
	}
	buf_init(&b, INPUT_BYTES_MAX);
	json_put_string(&b, json);
	buf_add(out, b.p + 1, b.n - 2);
}

/* e NULL: something stands for each name, to see whether the text is right. */
static void fill(const struct transform_event *e, const struct str_map *paths, struct str template, struct buf *out)
{
	bool quoted = false;
	for (size_t i = 0; i < template.n; i++) {
		struct str name = placeholder(str_from_at(template, i));
		if (str_set(name) && known(paths, name)) {
			struct buf CLEAN_BUF value = {0};
			buf_init(&value, INPUT_BYTES_MAX);
			if (e)
				put_named(e, paths, name, &value);
			else
				buf_add_lit(&value, "0");
			if (quoted)
				put_quoted(buf_str(&value), out);
			else
				buf_add_str(out, value.n ? buf_str(&value) : S("\"\""));
			i += name.n + 1;
			continue;
		}
		if (template.p[i] == '\\' && i + 1 < template.n)
			buf_add_char(out, template.p[i++]);
		else if (template.p[i] == '"')
			quoted = !quoted;
		buf_add_char(out, template.p[i]);
	}
}

static bool is_text(struct str made)
{
	struct arena CLEAN_ARENA a = {0};
	struct str rest = made;
	if (json_parse(&a, made, NULL))
		return true;
	while (str_set(rest)) {
		struct str line = str_trim(str_cut(&rest, '\n'));
		if (line.n && !json_is(json_parse(&a, line, NULL), JSON_STRING))
			return false;
	}
	return made.n > 0;
}

struct str transform_wrong(struct arena *a, const struct str_map *paths, struct str template)
{
	struct buf CLEAN_BUF b = {0};
	if (paths->n > INPUT_PATHS_MAX)
		return S("InputPathsMap has too many entries.");
	for (uint32_t i = 0; i < paths->n; i++) {
		if (str_istarts(paths->v[i].key, S("aws")))
			return arena_printf(a, "Placeholder %.*s is not allowed: names must not begin with AWS.",
			                    STR_ARG(paths->v[i].key));
		if (!path_good(paths->v[i].value))
			return arena_printf(a, "Invalid JSONPath %.*s in InputPathsMap.", STR_ARG(paths->v[i].value));
	}
	for (size_t i = 0; i < template.n; i++) {
		struct str name = placeholder(str_from_at(template, i));
		if (str_set(name) && !known(paths, name))
			return arena_printf(a, "Invalid InputTemplate: there is no variable %.*s.", STR_ARG(name));
	}
	buf_init(&b, INPUT_BYTES_MAX);
	fill(NULL, paths, template, &b);
	return is_text(buf_str(&b)) ? STR_NONE : S("Invalid InputTemplate: it does not make JSON.");
}

bool transform_put(const struct transform_event *e, const struct str_map *paths, struct str template, struct buf *out)
{
	size_t n = out->n;
	fill(e, paths, template, out);
	return !out->overflow && is_text(str_from_at(buf_str(out), n));
}
