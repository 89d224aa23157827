/* Any bytes written as text and as an attribute must be read back the same, as far as XML can hold them. */
#include "base/xml.h"

#include <assert.h>
#include <stdint.h>

static struct str written(struct arena *a, struct str text)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 8 << 20);
	buf_add_lit(&b, "<x y=\"");
	xml_put_attr(&b, text);
	buf_add_lit(&b, "\">");
	xml_put_text(&b, text);
	buf_add_lit(&b, "</x>");
	return arena_dup(a, buf_str(&b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct str input = str_of(data, size), error = STR_NONE;
	struct xml_node *tree = xml_parse(&a, input, &error);
	assert(tree || error.n);
	struct xml_node *one = xml_parse(&a, written(&a, input), &error);
	assert(one && str_eq(one->text, xml_attr(one, S("y"))));
	struct xml_node *two = xml_parse(&a, written(&a, one->text), &error);
	assert(two && str_eq(two->text, one->text));
	return 0;
}
