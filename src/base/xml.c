#include "base/xml.h"

#include <expat.h>

struct xml_open {
	struct xml_node *node, **tail;
	struct xml_attr **attr_tail;
	struct buf text;
};
struct parse {
	struct arena *arena;
	XML_Parser expat;
	struct xml_node *root;
	struct xml_open open[XML_DEPTH_MAX];
	uint32_t depth, nodes;
	const char *error;
};

static void parse_stop(struct parse *p, const char *why)
{
	if (!p->error)
		p->error = why;
	XML_StopParser(p->expat, XML_FALSE);
}

static void on_doctype(void *data, const char *name, const char *sysid, const char *pubid, int subset)
{
	(void)name, (void)sysid, (void)pubid, (void)subset;
	parse_stop(data, "document types are not accepted");
}

static void on_start(void *data, const char *name, const char **attrs)
{
	struct parse *p = data;
	if (p->error)
		return;
	if (p->depth == XML_DEPTH_MAX || p->nodes == XML_NODES_MAX) {
		parse_stop(p, p->depth == XML_DEPTH_MAX ? "nested too deeply" : "too many elements");
		return;
	}
	p->nodes++;
	struct xml_node *node = arena_new(p->arena, struct xml_node);
	struct str full = str_from(name);
	node->name = arena_dup(p->arena, str_from_at(full, (size_t)(str_find_char(full, ':') + 1)));
	node->text = S("");
	struct xml_attr **tail = &node->attrs;
	for (; *attrs; attrs += 2) {
		struct str attr = str_from(attrs[0]);
		if (str_is(attr, "xmlns") || str_starts(attr, S("xmlns:")))
			continue;
		struct xml_attr *x = arena_new(p->arena, struct xml_attr);
		*x = (struct xml_attr){.name = arena_dup(p->arena, attr), .value = arena_dup(p->arena, str_from(attrs[1]))};
		*tail = x;
		tail = &x->next;
	}
	if (p->depth) {
		struct xml_open *parent = &p->open[p->depth - 1];
		*parent->tail = node;
		parent->tail = &node->next;
		parent->node->count++;
	} else {
		p->root = node;
	}
	struct xml_open *o = &p->open[p->depth++];
	o->node = node;
	o->tail = &node->first;
	buf_clear(&o->text);
}

static void on_text(void *data, const char *s, int n)
{
	struct parse *p = data;
	if (p->depth && !p->error)
		buf_add(&p->open[p->depth - 1].text, s, (size_t)n);
}

static void on_end(void *data, const char *name)
{
	(void)name;
	struct parse *p = data;
	if (p->error)
		return;
	struct xml_open *o = &p->open[--p->depth];
	if (o->text.n)
		o->node->text = arena_dup(p->arena, buf_str(&o->text));
}

struct xml_node *xml_parse(struct arena *a, struct str text, struct str *ret_error)
{
	struct parse p = {.arena = a, .expat = XML_ParserCreate(NULL)};
	bool ok = false;
	if (p.expat && text.n < INT32_MAX) {
		for (size_t i = 0; i < XML_DEPTH_MAX; i++)
			buf_init(&p.open[i].text, text.n);
		XML_SetUserData(p.expat, &p);
		XML_SetElementHandler(p.expat, on_start, on_end);
		XML_SetCharacterDataHandler(p.expat, on_text);
		XML_SetStartDoctypeDeclHandler(p.expat, on_doctype);
		ok = XML_Parse(p.expat, text.p ? text.p : "", (int)text.n, 1) == XML_STATUS_OK && !p.error;
		if (!ok && ret_error)
			*ret_error =
			        arena_printf(a, "%s at line %lu", p.error ? p.error : XML_ErrorString(XML_GetErrorCode(p.expat)),
			                     (unsigned long)XML_GetCurrentLineNumber(p.expat));
		for (size_t i = 0; i < XML_DEPTH_MAX; i++)
			buf_done(&p.open[i].text);
	} else if (ret_error) {
		*ret_error = S("too large");
	}
	if (p.expat)
		XML_ParserFree(p.expat);
	return ok ? p.root : NULL;
}

const struct xml_node *xml_child(const struct xml_node *node, struct str name)
{
	xml_each(node, child) if (str_eq(child->name, name)) return child;
	return NULL;
}

struct str xml_attr(const struct xml_node *node, struct str name)
{
	for (const struct xml_attr *x = node ? node->attrs : NULL; x; x = x->next)
		if (str_eq(x->name, name))
			return x->value;
	return STR_NONE;
}

/* Length of the well-formed sequence of several bytes at `at` whose character XML allows, or 0. */
static size_t sequence(struct str s, size_t at)
{
	for (size_t n = 2; n <= 4 && at + n <= s.n; n++) {
		struct str one = str_sub(s, at, n);
		if (str_is_utf8(one))
			return str_eq(one, S("\xef\xbf\xbe")) || str_eq(one, S("\xef\xbf\xbf")) ? 0 : n;
	}
	return 0;
}

static void put_escaped(struct buf *b, struct str s, bool attr)
{
	size_t plain = 0;
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		struct str as;
		switch (c) {
		case '&':
			as = S("&amp;");
			break;
		case '<':
			as = S("&lt;");
			break;
		case '>':
			as = S("&gt;");
			break;
		case '\r':
			as = S("&#xD;");
			break;
		case '"':
			as = attr ? S("&quot;") : STR_NONE;
			break;
		case '\n':
			as = attr ? S("&#xA;") : STR_NONE;
			break;
		case '\t':
			as = attr ? S("&#x9;") : STR_NONE;
			break;
		default:
			as = c < 0x20 ? S("\xef\xbf\xbd") : STR_NONE;
			break;
		}
		size_t n = 1;
		if (c >= 0x80) {
			n = sequence(s, i);
			if (!n) {
				n = 1;
				as = S("\xef\xbf\xbd");
			}
		}
		if (!str_set(as)) {
			i += n;
			continue;
		}
		buf_add(b, s.p + plain, i - plain);
		buf_add_str(b, as);
		i += n;
		plain = i;
	}
	if (s.n > plain)
		buf_add(b, s.p + plain, s.n - plain);
}

void xml_put_text(struct buf *b, struct str s)
{
	put_escaped(b, s, false);
}

void xml_put_attr(struct buf *b, struct str s)
{
	put_escaped(b, s, true);
}

void xml_put_open(struct buf *b, struct str name)
{
	buf_add_char(b, '<');
	buf_add_str(b, name);
	buf_add_char(b, '>');
}

void xml_put_close(struct buf *b, struct str name)
{
	buf_add_lit(b, "</");
	buf_add_str(b, name);
	buf_add_char(b, '>');
}

void xml_put_element(struct buf *b, struct str name, struct str text)
{
	xml_put_open(b, name);
	xml_put_text(b, text);
	xml_put_close(b, name);
}
