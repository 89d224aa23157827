/* Commitments, ("meter", "commitment", account, id): kept for ever, as bills of their time need them. */
#include "core/meter_rows.h"

#include <stdlib.h>

void meter_commit(struct store_txn *t, struct arena *a, struct str account, const struct meter_commitment *c)
{
	const struct state_meter_commitment_record r = {.region = c->region,
	                                                .instance_type = c->instance_type,
	                                                .count = OPT_INT(c->count),
	                                                .price_e12 = OPT_INT(c->price_e12),
	                                                .from = OPT_TIME(c->from_ms),
	                                                .to = OPT_TIME(c->to_ms)};
	record_put(t, a, KEY(a, S("meter"), S("commitment"), account, c->id), METER_ROW("Commitment"), &r);
}

static int by_beginning(const void *x, const void *y)
{
	const struct meter_commitment *a = x, *b = y;
	return a->from_ms != b->from_ms ? (a->from_ms < b->from_ms ? -1 : 1) : str_cmp(a->id, b->id);
}

struct meter_commitments meter_commitments(struct store_txn *t, struct arena *a, struct str account)
{
	struct meter_commitments all = {0};
	struct str under = KEY_UNDER(a, S("meter"), S("commitment"), account), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(a, under), false);
	struct store_value v;
	struct state_meter_commitment_record r;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(a, key);
		if (parts.n == 4 && record_read(a, v.value, METER_ROW("Commitment"), &r))
			*LIST_ADD(a, &all) = (struct meter_commitment){.id = parts.v[3],
			                                               .region = r.region,
			                                               .instance_type = r.instance_type,
			                                               .count = r.count.v,
			                                               .price_e12 = r.price_e12.v,
			                                               .from_ms = r.from.ms,
			                                               .to_ms = r.to.ms};
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_beginning);
	return all;
}
