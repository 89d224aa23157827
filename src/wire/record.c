#include "wire/codec.h"

bool wire_record_read(struct arena *a, const struct api *api, const struct shape *s, struct str bytes, void *ret)
{
	struct wire_in in = {.arena = a, .api = api, .protocol = PROTOCOL_CBOR};
	return wire_cbor_read(&in, s, bytes, ret);
}

void wire_record_write(struct arena *a, const struct api *api, const struct shape *s, const void *value, struct buf *out)
{
	struct wire_out o = {.arena = a, .api = api, .protocol = PROTOCOL_CBOR, .body = out};
	wire_cbor_write(&o, s, value);
}
