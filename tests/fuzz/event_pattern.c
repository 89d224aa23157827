/* Input: an event pattern, a newline, an event. Any pattern compiles or is refused with words; an index finds exactly what the
 * pattern itself matches, and the text of a transformer is JSON. */
#include "engine/events/input.h"
#include "engine/events/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void found(void *ctx, void *owner)
{
	(void)owner;
	++*(int *)ctx;
}

static void try_transformer(struct arena *a, struct str text, struct str event_text, const struct json_value *event)
{
	struct str_map_entry entries[] = {{S("a"), S("$.detail.a")}, {S("b"), text}};
	const struct str_map paths = {.v = entries, .n = path_good(text) ? 2 : 1};
	const struct transform_event e = {
	        .event = event, .text = event_text, .rule_arn = S("arn"), .rule_name = S("r"), .ingested = S("t")};
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, INPUT_BYTES_MAX);
	if (path_good(text) && path_put(text, event, &b) && !json_parse(a, buf_str(&b), NULL))
		__builtin_trap();
	buf_clear(&b);
	if (!str_set(transform_wrong(a, &paths, text)))
		transform_put(&e, &paths, text, &b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a CLEAN_ARENA = {0};
	struct str text = str_of(data, size < 8192 ? size : 8192);
	struct str pattern_text = str_sub(str_cut(&text, '\n'), 0, PATTERN_MAX), why = STR_NONE;
	struct pattern_index index = {0};
	int count = 0;
	arena_init(&a, 0);
	const struct json_value *event = json_parse(&a, text, NULL);
	if (event)
		try_transformer(&a, pattern_text, text, event);
	const struct event_pattern *p = event_pattern_compile(&a, pattern_text, &why);
	if (!p != str_set(why))
		__builtin_trap();
	if (!p || !event)
		return 0;
	struct pattern_entry entry = {.pattern = p};
	pattern_index_add(&index, &entry);
	pattern_index_match(&index, event, found, &count);
	if (count != (event->kind == JSON_OBJECT && event_pattern_match(p, event)))
		__builtin_trap();
	pattern_index_remove(&index, &entry);
	if (index.under.count)
		__builtin_trap();
	pattern_index_match(&index, event, found, &count);
	if (count > 1)
		__builtin_trap();
	pattern_index_done(&index);
	return 0;
}
