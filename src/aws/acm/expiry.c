/* The metric DaysToExpiry of every certificate that is good, as AWS publishes it: twice a day, whole days, until it ends. */
#include "rows.h"

#include "base/clock.h"
#include "engine/metrics/metrics.h"

#include <stdlib.h>

enum { FIRST_US = 60 * 1000000 };
static const int64_t half_day_us = 12LL * 3600 * 1000000, day_ms = 24LL * 3600 * 1000;

struct acm_expiry {
	struct cloud *cloud;
	struct loop_timer *timer;
};

static void publish(struct cloud *cloud, const struct str_list *key, const struct acm_certificate_detail *d, int64_t now_ms)
{
	const struct metric_dimension by[] = {{S("CertificateArn"), d->certificate_arn}};
	const struct metric m = {.account = key->v[2],
	                         .region = key->v[3],
	                         .space = S("AWS/CertificateManager"),
	                         .name = S("DaysToExpiry"),
	                         .unit = S("None"),
	                         .dimensions = by,
	                         .dimension_count = 1};
	metrics_add(cloud->metrics, &m, (double)((d->not_after.ms - now_ms) / day_ms));
}

static void look(void *ctx)
{
	struct acm_expiry *e = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str under = KEY_UNDER(&a, S("acm"), S("certificate")), key;
	struct state_acm_certificate_record r;
	struct store_value v;
	int64_t now_ms = clock_wall_ms();
	struct store_txn *t = store_begin(e->cloud->store, &a);
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&a, key);
		if (record_read(&a, v.value, &acm_certificate_row, &r) && r.detail &&
		    str_is(acm_status(r.detail, now_ms), "ISSUED"))
			publish(e->cloud, &parts, r.detail, now_ms);
	}
	store_abort(t);
	e->timer = loop_add_clock_timer(e->cloud->loop, half_day_us, look, e);
}

struct acm_expiry *acm_expiry_new(struct cloud *cloud)
{
	struct acm_expiry *e = calloc(1, sizeof(*e));
	if (!e)
		abort();
	e->cloud = cloud;
	e->timer = loop_add_clock_timer(cloud->loop, FIRST_US, look, e);
	return e;
}

void acm_expiry_free(struct acm_expiry *e)
{
	if (e)
		loop_remove_timer(e->cloud->loop, e->timer);
	free(e);
}
