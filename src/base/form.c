#include "base/form.h"

#include "base/uri.h"

bool form_parse(struct arena *a, struct str text, struct form *ret)
{
	size_t count = 0;
	struct str rest = text;
	struct uri_part part;
	while (uri_next_part(&rest, &part))
		count++;
	if (count > FORM_PAIRS_MAX)
		return false;
	struct form f = {.v = arena_array(a, count ? count : 1, sizeof(struct form_pair))};
	rest = text;
	while (uri_next_part(&rest, &part)) {
		struct form_pair *p = &f.v[f.n++];
		p->name = uri_decode_form(a, part.name);
		p->value = uri_decode_form(a, part.value);
		if (!str_set(p->name) || !str_set(p->value))
			return false;
	}
	*ret = f;
	return true;
}

struct str form_get(const struct form *f, struct str name)
{
	for (size_t i = 0; i < f->n; i++)
		if (str_eq(f->v[i].name, name))
			return f->v[i].value;
	return STR_NONE;
}

void form_put(struct buf *b, struct str name, struct str value)
{
	if (b->n)
		buf_add_char(b, '&');
	uri_put(b, name, false);
	buf_add_char(b, '=');
	uri_put(b, value, false);
}
