#include "canon.h"

#include "base/cbor.h"
#include "base/form.h"
#include "base/json.h"
#include "base/xml.h"

#include <stdlib.h>

static int text_order(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

static struct str joined(struct arena *a, struct str *parts, size_t n, bool sort)
{
	if (sort)
		qsort(parts, n, sizeof(*parts), text_order);
	struct str all = S("");
	for (size_t i = 0; i < n; i++)
		all = ARENA_CAT(a, all, parts[i], S(","));
	return all;
}

static struct str json_text(struct arena *a, const struct json_value *v)
{
	double d;
	size_t n = 0;
	struct str *parts = arena_array(a, v->count + 1u, sizeof(*parts));
	switch (v->kind) {
	case JSON_ARRAY:
		json_each(v, child) parts[n++] = json_text(a, child);
		return ARENA_CAT(a, S("["), joined(a, parts, n, false), S("]"));
	case JSON_OBJECT:
		json_each(v, child) parts[n++] = ARENA_CAT(a, child->key, S("="), json_text(a, child));
		return ARENA_CAT(a, S("{"), joined(a, parts, n, true), S("}"));
	case JSON_NUMBER:
		return json_to_double(v->text, &d) ? arena_printf(a, "%.17g", d) : S("!number");
	case JSON_STRING:
		return ARENA_CAT(a, S("\""), v->text, S("\""));
	default:
		return str_from(json_token_name(v->kind));
	}
}

struct str canon_json(struct arena *a, struct str text)
{
	struct json_value *v = json_parse(a, text, NULL);
	return v ? json_text(a, v) : ARENA_CAT(a, S("!"), text);
}

static struct str xml_text(struct arena *a, const struct xml_node *node)
{
	size_t n = 0;
	for (const struct xml_attr *x = node->attrs; x; x = x->next)
		n++;
	struct str *parts = arena_array(a, n + node->count + 1, sizeof(*parts));
	n = 0;
	for (const struct xml_attr *x = node->attrs; x; x = x->next)
		parts[n++] = ARENA_CAT(a, S("@"), x->name, S("="), x->value);
	xml_each(node, child) parts[n++] = xml_text(a, child);
	return ARENA_CAT(a, node->name, S("("), joined(a, parts, n, true), node->first ? S("") : node->text, S(")"));
}

struct str canon_xml(struct arena *a, struct str text)
{
	struct xml_node *node = xml_parse(a, text, NULL);
	size_t namespaces = 0;
	for (struct str rest = text; str_find(rest, S("xmlns")) >= 0; namespaces++)
		rest = str_from_at(rest, (size_t)str_find(rest, S("xmlns")) + 1);
	return node ? arena_printf(a, "%zu namespaces: %.*s", namespaces, STR_ARG(xml_text(a, node))) : ARENA_CAT(a, S("!"), text);
}

static struct str cbor_text(struct arena *a, struct cbor_reader *r, struct cbor_item item)
{
	switch (item.kind) {
	case CBOR_UINT:
		return arena_printf(a, "%.17g", (double)item.n);
	case CBOR_NINT:
		return arena_printf(a, "%.17g", -1 - (double)item.n);
	case CBOR_FLOAT:
		return arena_printf(a, "%.17g", item.d);
	case CBOR_BOOL:
		return item.n ? S("true") : S("false");
	case CBOR_NULL:
		return S("null");
	case CBOR_TEXT:
		return ARENA_CAT(a, S("\""), item.text, S("\""));
	case CBOR_BYTES:
		return ARENA_CAT(a, S("'"), item.text, S("'"));
	case CBOR_TAG: {
		uint64_t tag = item.n;
		struct str inner = cbor_text(a, r, cbor_next(r));
		return arena_printf(a, "%d(%.*s)", (int)tag, STR_ARG(inner));
	}
	case CBOR_ARRAY:
	case CBOR_MAP: {
		struct str parts[256];
		size_t n = 0;
		bool map = item.kind == CBOR_MAP;
		struct cbor_walk w = cbor_enter(r, &item);
		while (cbor_more(r, &w) && n < 256) {
			struct str first = cbor_text(a, r, cbor_next(r));
			parts[n++] = map ? ARENA_CAT(a, first, S("="), cbor_text(a, r, cbor_next(r))) : first;
		}
		return ARENA_CAT(a, map ? S("{") : S("["), joined(a, parts, n, map), map ? S("}") : S("]"));
	}
	default:
		return S("!");
	}
}

struct str canon_cbor(struct arena *a, struct str bytes)
{
	struct cbor_reader r;
	if (!bytes.n)
		return S("");
	cbor_reader_init(&r, a, bytes);
	struct str text = cbor_text(a, &r, cbor_next(&r));
	return cbor_done(&r) ? text : S("!cbor");
}

struct str canon_form(struct arena *a, struct str text)
{
	struct form f;
	if (!form_parse(a, text, &f))
		return ARENA_CAT(a, S("!"), text);
	struct str *parts = arena_array(a, f.n + 1, sizeof(*parts));
	for (size_t i = 0; i < f.n; i++)
		parts[i] = ARENA_CAT(a, f.v[i].name, S("="), f.v[i].value);
	return joined(a, parts, f.n, true);
}
