/* What clients send to functions is checked as AWS does it, whose parser (Jackson) speaks out of the errors. */
#include "aws/lambda/invocation.h"

#include "base/base64.h"
#include "base/json.h"

enum { CLIENT_CONTEXT_BYTES = 3583, NESTED_MAX = 1000 };

/* The word that begins at `at`, as far as it goes. */
static struct str word_at(struct str text, size_t at)
{
	size_t n = 0;
	while (at + n < text.n && n < 256 &&
	       (ascii_is_alpha(text.p[at + n]) || ascii_is_digit(text.p[at + n]) || text.p[at + n] == '_'))
		n++;
	return str_sub(text, at, n);
}

#define VALUES "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"

static struct str what_is_wrong(struct arena *a, const struct json_reader *r, struct str text)
{
	const char *entries = r->depth && r->objects[(r->depth - 1) / 64] >> ((r->depth - 1) % 64) & 1 ? "Object" : "Array";
	struct str error = str_from(r->error), word = word_at(text, r->at);
	if (r->at >= text.n) {
		if (str_is(error, "string without an end"))
			return S("Unexpected end-of-input: was expecting closing quote for a string value");
		return r->depth ? arena_printf(a, "Unexpected end-of-input within/between %s entries", entries)
		                : S("No content to map due to end-of-input");
	}
	unsigned char bad = (unsigned char)text.p[r->at];
	if (str_is(error, "nested too deeply"))
		return arena_printf(
		        a,
		        "Document nesting depth (%d) exceeds the maximum allowed (%d, from `StreamReadConstraints.getMaxNestingDepth()`)",
		        NESTED_MAX + 1, NESTED_MAX);
	if (bad >= 0x80)
		return arena_printf(a, "Invalid UTF-8 start byte 0x%x", bad);
	if (bad < 0x20)
		return arena_printf(
		        a,
		        "Illegal unquoted character ((CTRL-CHAR, code %d)): has to be escaped using backslash to be included in string value",
		        bad);
	const char *expected = "expected a valid value " VALUES;
	if (str_is(error, "unexpected character") && word.n)
		return arena_printf(a, "Unrecognized token '%.*s': was expecting " VALUES, STR_ARG(word));
	if (str_is(error, "expected a member name"))
		expected = "was expecting double-quote to start field name";
	else if (str_is(error, "expected ':'"))
		expected = "was expecting a colon to separate field name and value";
	else if (str_starts(error, S("expected ',' or")))
		expected = arena_printf(a, "was expecting comma to separate %s entries", entries).p;
	return arena_printf(a, "Unexpected character ('%c' (code %d)): %s", bad, bad, expected);
}

static int refuse(struct call *c, const struct json_reader *r, struct str text)
{
	size_t line = 1, column = 1;
	for (size_t i = 0; i < r->at && i < text.n; i++) {
		column++;
		if (text.p[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return call_fail(c, "InvalidRequestContentException", 400,
	                 "Could not parse request body into json: Could not parse payload into json: %.*s\n at [Source: REDACTED "
	                 "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: %zu, column: %zu]",
	                 STR_ARG(what_is_wrong(c->arena, r, text)), line, column);
}

int payload_check(struct call *c, struct str *payload, size_t limit, const char *type)
{
	if (payload->n > limit) {
		return call_fail(c, "RequestTooLargeException", 413,
		                 "%zu byte payload is too large for the %s invocation type (limit %zu bytes)", payload->n, type,
		                 limit);
	}
	if (!str_set(*payload) || str_empty(*payload)) {
		*payload = S("{}");
		return CALL_OK;
	}
	struct json_reader r;
	json_reader_init(&r, c->arena, *payload, NESTED_MAX);
	for (;;) {
		enum json_token t = json_next(&r);
		if (t == JSON_END)
			return CALL_OK;
		if (t == JSON_ERROR)
			return refuse(c, &r, *payload);
	}
}

int payload_client_context(struct call *c, struct str given, struct str *ret)
{
	*ret = STR_NONE;
	if (!str_set(given) || str_empty(given))
		return CALL_OK;
	struct str text = given.n <= CLIENT_CONTEXT_BYTES + 1 ? base64_decode(c->arena, given) : STR_NONE;
	const struct json_value *v = str_set(text) ? json_parse(c->arena, text, NULL) : NULL;
	if (!json_is(v, JSON_OBJECT)) {
		return call_fail(c, "InvalidRequestContentException", 400,
		                 "Client context must be a valid Base64-encoded JSON object.");
	}
	/* It travels on in a header, which has no room for line ends. */
	struct buf CLEAN_BUF line;
	buf_init(&line, 4 * CLIENT_CONTEXT_BYTES);
	json_put_value(&line, v);
	*ret = arena_dup(c->arena, buf_str(&line));
	return CALL_OK;
}
