/* Percent-encoding, forms, paths and Base64: what is encoded decodes to itself, and normal forms stay as they are. */
#include "base/uri.h"
#include "base/base64.h"
#include "base/form.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena CLEAN_ARENA a = {0};
	struct str s = str_of(data, size);
	assert(str_eq(uri_decode(&a, uri_encode(&a, s, false)), s));
	assert(str_eq(uri_decode_form(&a, uri_encode(&a, s, true)), s));
	assert(str_eq(base64_decode(&a, base64_encode(&a, s)), s));
	assert(str_eq(base64url_decode(&a, base64url_encode(&a, s)), s));
	struct str bytes = base64_decode(&a, s);
	assert(!str_set(bytes) || str_eq(base64_encode(&a, bytes), s));
	struct str path = uri_normalize_path(&a, s);
	assert(str_eq(uri_normalize_path(&a, path), path));
	struct form f;
	if (!form_parse(&a, s, &f))
		return 0;
	struct buf CLEAN_BUF b;
	buf_init(&b, 8 << 20);
	for (size_t i = 0; i < f.n; i++)
		form_put(&b, f.v[i].name, f.v[i].value);
	struct form g;
	assert(form_parse(&a, buf_str(&b), &g) && g.n == f.n);
	for (size_t i = 0; i < f.n; i++)
		assert(str_eq(f.v[i].name, g.v[i].name) && str_eq(f.v[i].value, g.v[i].value));
	return 0;
}
