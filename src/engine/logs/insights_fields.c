/* What events have without being told to: the fields of JSON, and of the lines that Lambda writes of its invocations. */
#include "insights_tree.h"

#include "base/list.h"

#define REQUEST S(" RequestId: ")

enum { DEPTH_MAX = 20, ID_CHARS = 36, REQUEST_PARTS = 3 };

/* --- lines of Lambda, whose parts stand between tabs */

static const struct {
	const char *field, *label;
	double factor;
} reported[] = {{"@duration", "Duration: ", 1},
                {"@billedDuration", "Billed Duration: ", 1},
                {"@initDuration", "Init Duration: ", 1},
                {"@memorySize", "Memory Size: ", 1e6},
                {"@maxMemoryUsed", "Max Memory Used: ", 1e6}};
enum { REPORTED = sizeof(reported) / sizeof(*reported) };

/* "START", "END" or "REPORT"; *ret_rest: what comes behind it, beginning with the request. */
static struct str platform_word(struct str line, struct str *ret_rest)
{
	static const char *const words[] = {"START", "END", "REPORT"};
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		struct str word = str_from(words[i]);
		if (str_starts(line, word) && str_starts(str_from_at(line, word.n), REQUEST)) {
			*ret_rest = str_from_at(line, word.n + REQUEST.n);
			return word;
		}
	}
	return STR_NONE;
}

static bool is_id(struct str s)
{
	if (s.n != ID_CHARS)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s.p[i] != '-' : !ascii_is_alnum(s.p[i]))
			return false;
	return true;
}

static struct str request_of(struct str line)
{
	struct str rest;
	if (str_set(platform_word(line, &rest))) {
		struct str id = str_sub(rest, 0, rest.n < ID_CHARS ? rest.n : ID_CHARS);
		return is_id(id) ? id : STR_NONE;
	}
	rest = line;
	for (unsigned i = 0; i < REQUEST_PARTS && str_set(rest); i++) {
		struct str part = str_cut(&rest, '\t');
		if (is_id(part))
			return part;
	}
	return STR_NONE;
}

static bool report_of(struct str line, const char *label, double *ret)
{
	struct str rest = line;
	while (str_set(rest)) {
		struct str part = str_cut(&rest, '\t');
		if (str_starts(part, str_from(label))) {
			struct str number = str_from_at(part, strlen(label));
			return str_to_double(str_cut(&number, ' '), ret);
		}
	}
	return false;
}

struct value insights_line_value(struct str line, struct str name)
{
	struct str rest, found = STR_NONE, word = platform_word(line, &rest);
	double x;
	if (str_is(name, "@type"))
		found = word;
	else if (str_is(name, "@requestId"))
		found = request_of(line);
	for (unsigned i = 0; i < REPORTED && str_is(word, "REPORT"); i++)
		if (str_is(name, reported[i].field) && report_of(line, reported[i].label, &x))
			return (struct value){.kind = VALUE_NUMBER, .number = x * reported[i].factor};
	return str_set(found) ? (struct value){.kind = VALUE_TEXT, .text = found} : (struct value){0};
}

/* --- all that an event has */

struct found {
	struct arena *arena;
	struct insights_field *v;
	uint32_t n, room;
};

static void add(struct found *f, struct str name, struct value v)
{
	struct str text = insights_text(f->arena, v);
	if (str_set(text) && f->n < f->room)
		f->v[f->n++] = (struct insights_field){name, text};
}

static void add_json(struct found *f, const struct json_value *v, struct str name, unsigned depth)
{
	uint32_t at = 0;
	if (!json_is(v, JSON_OBJECT) && !json_is(v, JSON_ARRAY)) {
		if (json_is(v, JSON_TRUE) || json_is(v, JSON_FALSE))
			add(f, name, (struct value){.kind = VALUE_BOOL, .number = json_is(v, JSON_TRUE)});
		else if (!json_is(v, JSON_NULL))
			add(f, name, (struct value){.kind = VALUE_TEXT, .text = v->text});
		return;
	}
	for (const struct json_value *k = depth < DEPTH_MAX ? v->first : NULL; k && f->n < f->room; k = k->next, at++) {
		struct str own = json_is(v, JSON_ARRAY) ? arena_printf(f->arena, "%u", at) : k->key;
		add_json(f, k, name.n ? ARENA_CAT(f->arena, name, S("."), own) : own, depth + 1);
	}
}

uint32_t insights_fields(struct arena *a, struct str message, struct insights_field *ret, uint32_t room)
{
	static const char *const of_lines[] = {"@type", "@requestId"};
	struct found f = {a, ret, 0, room};
	struct str text = str_trim(message);
	const struct json_value *json = str_starts(text, S("{")) ? json_parse(a, text, NULL) : NULL;
	if (json)
		add_json(&f, json, S(""), 0);
	for (size_t i = 0; i < sizeof(of_lines) / sizeof(*of_lines); i++)
		add(&f, str_from(of_lines[i]), insights_line_value(message, str_from(of_lines[i])));
	for (unsigned i = 0; i < REPORTED; i++)
		add(&f, str_from(reported[i].field), insights_line_value(message, str_from(reported[i].field)));
	return f.n;
}
