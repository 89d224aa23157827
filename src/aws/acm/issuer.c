/* Takes requested certificates from validation to their issue, and renews them before they end. One round looks at all of them and
 * does what is due, in one transaction: it comes when a certificate, a use or a record set of Route 53 has changed, once a minute
 * while something waits, and twice a day. Keys and signatures are made on a thread; what is made waits here for the next round,
 * which writes it down, so that a crash in between costs nothing but the work. */
#include "rows.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

enum { SOON_US = 20 * 1000, MINUTE_US = 60 * 1000000, DAY_S = 86400, VALID_DAYS = 198, RENEW_DAYS = 45, TIMEOUT_H = 72 };
static const int64_t half_day_us = 12LL * 3600 * 1000000, day_ms = 1000LL * DAY_S, timeout_ms = TIMEOUT_H * 3600 * 1000LL;

/* One certificate that is being made. */
struct job {
	struct list node;
	struct acm_issuer *issuer;
	struct arena arena;
	struct str key; /* of the record */
	const char *data_dir;
	struct cert_wish wish;
	struct cert_bundle made;
	struct str why;
	bool good, finished, written;
};

struct acm_issuer {
	struct cloud *cloud;
	struct store_watch *own, *zones;
	struct loop_timer *soon, *later;
	struct map jobs; /* by the record's key */
	struct list all;
	bool busy, dirty;
};

struct round {
	struct acm_issuer *issuer;
	struct arena arena;
	struct store_txn *txn;
	int64_t now_ms;
	unsigned waiting, count;
	bool changed; /* of the record that is looked at */
};

/* --- jobs */

static void mark(struct acm_issuer *i);

static void job_run(void *ctx)
{
	struct job *j = ctx;
	j->good = acm_authority_issue(&j->arena, j->data_dir, &j->wish, &j->made, &j->why);
}

static void job_drop(struct job *j)
{
	map_remove(&j->issuer->jobs, j->key);
	list_remove(&j->node);
	arena_done(&j->arena);
	free(j);
}

static void job_done(void *ctx)
{
	struct job *j = ctx;
	j->finished = true;
	if (j->good) {
		mark(j->issuer);
		return;
	}
	log_error("acm: a certificate is not issued, and is tried again in a minute: %.*s", STR_ARG(j->why));
	job_drop(j);
}

static void job_start(struct round *r, struct str key, const struct acm_certificate_detail *d)
{
	struct acm_issuer *i = r->issuer;
	struct job *j = calloc(1, sizeof(*j));
	if (!j)
		abort();
	struct str names = STR_NONE;
	for (uint32_t k = 0; k < d->subject_alternative_names.n; k++)
		names = ARENA_CAT(&j->arena, str_set(names) ? names : S(""), k ? S(",DNS:") : S("DNS:"),
		                  d->subject_alternative_names.v[k]);
	j->issuer = i;
	j->key = arena_dup(&j->arena, key);
	j->data_dir = i->cloud->data_dir;
	j->wish = (struct cert_wish){.common_name = arena_dup(&j->arena, d->domain_name),
	                             .names = arena_dupz(&j->arena, names),
	                             .algorithm = arena_dupz(&j->arena, d->key_algorithm),
	                             .from_s = r->now_ms / 1000 - 60,
	                             .until_s = r->now_ms / 1000 + (int64_t)VALID_DAYS * DAY_S};
	list_push(&i->all, &j->node);
	map_put(&i->jobs, j->key, j);
	work_add(i->cloud->work, job_run, job_done, j);
}

/* The certificate of a record that is to have one now. False: it is being made. */
static bool take(struct round *r, struct str key, struct state_acm_certificate_record *c)
{
	struct job *j = map_get(&r->issuer->jobs, key);
	if (!j)
		job_start(r, key, c->detail);
	if (!j || !j->finished)
		return false;
	j->written = true;
	if (!acm_fill(r->issuer->cloud, &r->arena, c, &j->made)) {
		log_error("acm: the private key of a certificate cannot be sealed");
		return false;
	}
	return r->changed = true;
}

/* --- one certificate */

static bool all_hold(struct round *r, struct acm_domain_validation_list *options)
{
	bool all = true;
	for (uint32_t i = 0; i < options->n; i++) {
		struct acm_domain_validation *o = &options->v[i];
		if (str_is(o->validation_status, "SUCCESS"))
			continue;
		if (acm_option_holds(r->issuer->cloud, &r->arena, o)) {
			o->validation_status = S("SUCCESS");
			r->changed = true;
		} else {
			all = false;
		}
	}
	return all;
}

static void step_request(struct round *r, struct str key, struct state_acm_certificate_record *c)
{
	struct acm_certificate_detail *d = c->detail;
	r->waiting++;
	if (all_hold(r, &d->domain_validation_options)) {
		if (take(r, key, c))
			d->issued_at = OPT_TIME(r->now_ms);
	} else if (r->now_ms - d->created_at.ms >= timeout_ms) {
		d->status = S("VALIDATION_TIMED_OUT");
		r->changed = true;
	}
}

/* Only what somebody uses is renewed, and its owner has to show the names again; the address of an e-mail shows nothing here. */
static void step_renewal(struct round *r, struct str key, struct state_acm_certificate_record *c)
{
	struct acm_certificate_detail *d = c->detail;
	struct acm_renewal_summary *s = d->renewal_summary;
	if (d->not_after.ms <= r->now_ms || d->not_after.ms - r->now_ms > RENEW_DAYS * day_ms ||
	    !acm_users(r->txn, &r->arena, d->certificate_arn).n)
		return;
	r->waiting++;
	if (!s || str_is(s->renewal_status, "SUCCESS")) {
		s = d->renewal_summary = arena_new(&r->arena, struct acm_renewal_summary);
		*s = (struct acm_renewal_summary){.renewal_status = S("PENDING_VALIDATION"), .updated_at = OPT_TIME(r->now_ms)};
		s->domain_validation_options.set = true;
		for (uint32_t i = 0; i < d->domain_validation_options.n; i++) {
			struct acm_domain_validation *o = LIST_ADD(&r->arena, &s->domain_validation_options);
			*o = d->domain_validation_options.v[i];
			o->validation_status = S("PENDING_VALIDATION");
		}
		r->changed = true;
	}
	if (all_hold(r, &s->domain_validation_options) && take(r, key, c)) {
		s->renewal_status = S("SUCCESS");
		s->updated_at = OPT_TIME(r->now_ms);
		d->issued_at = OPT_TIME(r->now_ms);
	}
}

static void step(struct round *r, struct str key, struct str value)
{
	struct state_acm_certificate_record c;
	if (!record_read(&r->arena, value, &acm_certificate_row, &c) || !c.detail || !str_is(c.detail->type, "AMAZON_ISSUED"))
		return;
	r->changed = false;
	r->count++;
	if (str_is(c.detail->status, "PENDING_VALIDATION"))
		step_request(r, key, &c);
	else if (str_is(c.detail->status, "ISSUED"))
		step_renewal(r, key, &c);
	if (r->changed)
		record_put(r->txn, &r->arena, key, &acm_certificate_row, &c);
}

/* --- rounds */

static void run_round(void *ctx);

static void later_comes(void *ctx)
{
	struct acm_issuer *i = ctx;
	i->later = NULL;
	mark(i);
}

static void mark(struct acm_issuer *i)
{
	i->dirty = true;
	if (!i->soon && !i->busy)
		i->soon = loop_add_timer(i->cloud->loop, SOON_US, run_round, i);
}

/* What was made is written, or belongs to what is there no more. */
static void drop_jobs(struct acm_issuer *i)
{
	list_each (&i->all, struct job, node, j)
		if (j->written)
			job_drop(j);
}

static void round_ends(void *ctx, int result, uint64_t revision)
{
	struct round *r = ctx;
	struct acm_issuer *i = r->issuer;
	(void)revision;
	i->busy = false;
	if (result == 0)
		drop_jobs(i);
	else if (result != -EAGAIN)
		log_error("acm: certificates could not be written, and that is tried again: %s", strerror(-result));
	loop_remove_timer(i->cloud->loop, i->later);
	i->later = NULL;
	if (r->count || result < 0)
		i->later = loop_add_clock_timer(i->cloud->loop, r->waiting || result < 0 ? MINUTE_US : half_day_us, later_comes, i);
	if (i->dirty || result == -EAGAIN)
		mark(i);
	arena_done(&r->arena);
	free(r);
}

static void run_round(void *ctx)
{
	struct acm_issuer *i = ctx;
	struct round *r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	struct str under = KEY_UNDER(&r->arena, S("acm"), S("certificate")), key;
	struct store_value v;
	i->soon = NULL;
	i->busy = true;
	i->dirty = false;
	r->issuer = i;
	r->now_ms = clock_wall_ms();
	r->txn = store_begin(i->cloud->store, &r->arena);
	list_each (&i->all, struct job, node, j)
		j->written = j->finished; /* unless its record is not there any more, this round writes it */
	struct store_iter *iter = store_scan(r->txn, under, store_prefix_end(&r->arena, under), false);
	while (store_next(iter, &key, &v))
		step(r, arena_dup(&r->arena, key), v.value);
	store_commit(r->txn, round_ends, r);
}

static void changed(void *ctx, const struct store_event *e)
{
	(void)e;
	mark(ctx);
}

/* Zones change often, and that matters only while something waits for a record. */
static void zones_changed(void *ctx, const struct store_event *e)
{
	struct acm_issuer *i = ctx;
	(void)e;
	if (i->later)
		mark(i);
}

struct acm_issuer *acm_issuer_new(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct acm_issuer *i = calloc(1, sizeof(*i));
	if (!i)
		abort();
	struct str own = KEY_UNDER(&a, S("acm")), zones = KEY_UNDER(&a, S("route53"), S("set"));
	uint64_t now = store_revision(cloud->store);
	i->cloud = cloud;
	list_init(&i->all);
	i->own = store_watch(cloud->store, own, store_prefix_end(&a, own), now, changed, i);
	i->zones = store_watch(cloud->store, zones, store_prefix_end(&a, zones), now, zones_changed, i);
	mark(i);
	return i;
}

/* A job that a thread is at ends with the role's threads, after this. */
void acm_issuer_free(struct acm_issuer *i)
{
	if (!i)
		return;
	store_unwatch(i->own);
	store_unwatch(i->zones);
	loop_remove_timer(i->cloud->loop, i->soon);
	loop_remove_timer(i->cloud->loop, i->later);
	list_each (&i->all, struct job, node, j)
		if (j->finished)
			job_drop(j);
	map_done(&i->jobs);
	free(i);
}
