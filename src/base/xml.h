/* XML as the AWS protocols use it: a reader that makes a small tree, and a writer.
 *
 * The reader takes one document of bounded size, depth and number of elements; a document type, and with it
 * every entity but the five of XML, is refused. Element names lose their prefix; namespace declarations are
 * dropped; attributes keep their spelling ("xsi:type"). Everything lives in the arena. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum { XML_DEPTH_MAX = 64, XML_NODES_MAX = 200000 };

struct xml_attr {
	struct str name, value;
	struct xml_attr *next;
};
struct xml_node {
	struct str name; /* local name */
	struct str text; /* all character data directly inside, "" when there is none */
	struct xml_attr *attrs;
	struct xml_node *first, *next; /* children in order; the next sibling */
	uint32_t count;                /* children */
};

/* The root element, or NULL: malformed, or beyond a limit; *ret_error, if given, says what and at which line. */
struct xml_node *xml_parse(struct arena *a, struct str text, struct str *ret_error);
/* The first child of that name; NULL: none (node may be NULL). */
const struct xml_node *xml_child(const struct xml_node *node, struct str name);
struct str xml_attr(const struct xml_node *node, struct str name); /* STR_NONE: absent */
#define xml_each(node, var) for (const struct xml_node *var = (node) ? (node)->first : NULL; var; var = var->next)

/* Character data: & < > and carriage returns escaped; bytes that XML cannot hold at all become U+FFFD. */
void xml_put_text(struct buf *b, struct str s);
/* The same for a value between double quotes. */
void xml_put_attr(struct buf *b, struct str s);
void xml_put_open(struct buf *b, struct str name);  /* <name> */
void xml_put_close(struct buf *b, struct str name); /* </name> */
/* <name>text</name> */
void xml_put_element(struct buf *b, struct str name, struct str text);
