#include "unit.h"

#include "base/xml.h"

static void print(struct buf *b, const struct xml_node *n)
{
	buf_printf(b, "%.*s", STR_ARG(n->name));
	for (const struct xml_attr *x = n->attrs; x; x = x->next)
		buf_printf(b, " %.*s='%.*s'", STR_ARG(x->name), STR_ARG(x->value));
	if (n->first) {
		buf_add_char(b, '(');
		xml_each(n, c)
		{
			if (c != n->first)
				buf_add_char(b, ',');
			print(b, c);
		}
		buf_add_char(b, ')');
	} else {
		buf_printf(b, "=%.*s", STR_ARG(n->text));
	}
}

static void reads(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str error = STR_NONE;
	struct xml_node *n = xml_parse(
	        &a,
	        S("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:A xmlns:s=\"u\" xmlns=\"v\" x:t=\"1\" xmlns:x=\"y\"> <B>1 &lt;&#65;<!-- c --><![CDATA[<&]]></B>\n"
	          " <C/><B>2</B><D><E> e </E></D></s:A>"),
	        &error);
	assert_non_null(n);
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	print(&b, n);
	assert_str(buf_str(&b), "A x:t='1'(B=1 <A<&,C=,B=2,D(E= e ))");
	assert_int_equal(n->count, 4);
	assert_str(xml_child(n, S("B"))->text, "1 <A<&");
	assert_null(xml_child(n, S("E")));
	assert_str(xml_attr(n, S("x:t")), "1");
	assert_false(str_set(xml_attr(n, S("xmlns"))));
}

static void refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {
	        "",
	        "x",
	        "<a>",
	        "<a></b>",
	        "<a><b></a></b>",
	        "<a/><b/>",
	        "<a b=1/>",
	        "<a>&nbsp;</a>",
	        "<!DOCTYPE a><a/>",
	        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
	        "<!DOCTYPE a SYSTEM \"/etc/passwd\"><a/>",
	        "<a>\x01</a>",
	        "<a>\xff</a>",
	        "<a b='1' b='2'/>",
	};
	struct arena CLEAN_ARENA a = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct str error = STR_NONE;
		if (xml_parse(&a, str_from(bad[i]), &error))
			fail_msg("%s was read", bad[i]);
		assert_true(error.n > 0);
	}
}

static void bounds_depth(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	for (int i = 0; i < XML_DEPTH_MAX; i++)
		buf_add_lit(&b, "<a>");
	for (int i = 0; i < XML_DEPTH_MAX; i++)
		buf_add_lit(&b, "</a>");
	assert_non_null(xml_parse(&a, buf_str(&b), NULL));
	struct str deeper = ARENA_CAT(&a, S("<a>"), buf_str(&b), S("</a>")), error = STR_NONE;
	assert_null(xml_parse(&a, deeper, &error));
	assert_str(error, "nested too deeply at line 1");
}

static void writes_what_it_reads(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF b;
	buf_init(&b, 4096);
	struct str text = S("a<b>&\"'\r\n\t\xc3\xa9]]>");
	buf_add_lit(&b, "<x y=\"");
	xml_put_attr(&b, text);
	buf_add_lit(&b, "\">");
	xml_put_text(&b, text);
	buf_add_lit(&b, "</x>");
	struct xml_node *n = xml_parse(&a, buf_str(&b), NULL);
	assert_non_null(n);
	assert_true(str_eq(n->text, text));
	assert_true(str_eq(xml_attr(n, S("y")), text));
	buf_clear(&b);
	xml_put_element(&b, S("e"), S("\x01\xff\xef\xbf\xbfz"));
	assert_str(buf_str(&b), "<e>\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz</e>");
	assert_non_null(xml_parse(&a, buf_str(&b), NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(refuses), cmocka_unit_test(bounds_depth),
	                                   cmocka_unit_test(writes_what_it_reads)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
