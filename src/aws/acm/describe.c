/* DescribeCertificate, GetCertificate, ListCertificates; and the end of a certificate. */
#include "rows.h"

#include "base/base64.h"

#include <stdlib.h>

enum { PAGE = 1000 };

static bool is_renewable(const struct acm_certificate_detail *d, const struct str_list *users)
{
	return str_is(d->type, "AMAZON_ISSUED") && str_is(d->status, "ISSUED") && users->n;
}

int acm_describe_certificate(struct call *c, const struct acm_describe_certificate_request *in,
                             struct acm_describe_certificate_response *out)
{
	struct state_acm_certificate_record r;
	if (!acm_load(c, in->certificate_arn, &r))
		return CALL_FAIL;
	struct acm_certificate_detail *d = r.detail;
	d->in_use_by = acm_users(call_txn(c), c->arena, d->certificate_arn);
	d->renewal_eligibility = is_renewable(d, &d->in_use_by) ? S("ELIGIBLE") : S("INELIGIBLE");
	d->status = acm_status(d, c->now_ms);
	d->key_algorithm = acm_algorithm_show(c->arena, d->key_algorithm);
	if (str_set(r.body))
		d->key_usages.set = d->extended_key_usages.set = true;
	out->certificate = d;
	return CALL_OK;
}

int acm_get_certificate(struct call *c, const struct acm_get_certificate_request *in, struct acm_get_certificate_response *out)
{
	struct state_acm_certificate_record r;
	if (!acm_load(c, in->certificate_arn, &r))
		return CALL_FAIL;
	if (!str_set(r.body))
		return call_fail(c, "RequestInProgressException", 0, "The certificate %.*s has not been issued.",
		                 STR_ARG(in->certificate_arn));
	out->certificate = r.body;
	out->certificate_chain = r.chain;
	return CALL_OK;
}

int acm_delete_certificate(struct call *c, const struct acm_delete_certificate_request *in, struct model_none *out)
{
	(void)out;
	struct state_acm_certificate_record r;
	if (!acm_load(c, in->certificate_arn, &r))
		return CALL_FAIL;
	if (acm_users(call_txn(c), c->arena, in->certificate_arn).n)
		return call_fail(c, "ResourceInUseException", 0, "Certificate %.*s in account %.*s is in use.",
		                 STR_ARG(in->certificate_arn), STR_ARG(c->account));
	acm_drop(c, in->certificate_arn);
	return CALL_OK;
}

/* AWS lets certificates of private authorities alone be renewed by hand, and there are none here. */
int acm_renew_certificate(struct call *c, const struct acm_renew_certificate_request *in, struct model_none *out)
{
	(void)out;
	struct state_acm_certificate_record r;
	if (!acm_load(c, in->certificate_arn, &r))
		return CALL_FAIL;
	if (str_is(r.detail->status, "PENDING_VALIDATION"))
		return call_fail(c, "RequestInProgressException", 0, "The certificate %.*s has not been issued.",
		                 STR_ARG(in->certificate_arn));
	return call_fail(c, "ValidationException", 0,
	                 "The certificate %.*s is not eligible for renewal: it is not an exported private "
	                 "certificate.",
	                 STR_ARG(in->certificate_arn));
}

/* --- lists */

static bool any_of(const struct str_list *wanted, struct str value)
{
	for (uint32_t i = 0; i < wanted->n; i++)
		if (str_eq(wanted->v[i], value))
			return true;
	return false;
}

static bool any_in(const struct str_list *wanted, const struct str_list *values)
{
	for (uint32_t i = 0; i < values->n; i++)
		if (any_of(wanted, values->v[i]))
			return true;
	return false;
}

/* Without a filter of their kind, only RSA keys of 1024 and 2048 bits are listed: as on AWS. What is not issued yet is listed by
 * the key that it will have. */
static bool passes(const struct acm_list_certificates_request *in, const struct acm_certificate_summary *s, struct str algorithm)
{
	const struct acm_filters *f = in->includes;
	if (in->certificate_statuses.n && !any_of(&in->certificate_statuses, s->status))
		return false;
	if (f && f->key_types.n ? !any_of(&f->key_types, algorithm)
	                        : !str_is(algorithm, "RSA_1024") && !str_is(algorithm, "RSA_2048"))
		return false;
	if (!f)
		return true;
	if ((f->key_usage.n && !any_in(&f->key_usage, &s->key_usages)) ||
	    (f->extended_key_usage.n && !any_in(&f->extended_key_usage, &s->extended_key_usages)))
		return false;
	return !str_set(f->managed_by) && (!str_set(f->export_option) || str_eq(f->export_option, s->export_option));
}

static void summarize(struct call *c, const struct acm_certificate_detail *d, struct acm_certificate_summary *s)
{
	struct str_list users = acm_users(call_txn(c), c->arena, d->certificate_arn);
	*s = (struct acm_certificate_summary){
	        .certificate_arn = d->certificate_arn,
	        .domain_name = d->domain_name,
	        .subject_alternative_name_summaries = d->subject_alternative_names,
	        .has_additional_subject_alternative_names = OPT_BOOL(d->subject_alternative_names.n > 100),
	        .status = acm_status(d, c->now_ms),
	        .type = d->type,
	        .key_algorithm = acm_algorithm_show(c->arena, d->key_algorithm),
	        .export_option = d->options ? d->options->export : STR_NONE,
	        .in_use = OPT_BOOL(users.n > 0),
	        .renewal_eligibility = is_renewable(d, &users) ? S("ELIGIBLE") : S("INELIGIBLE"),
	        .not_before = d->not_before,
	        .not_after = d->not_after,
	        .created_at = d->created_at,
	        .issued_at = d->issued_at,
	        .imported_at = d->imported_at,
	};
	if (s->subject_alternative_name_summaries.n > 100)
		s->subject_alternative_name_summaries.n = 100;
	s->key_usages.set = s->extended_key_usages.set = true;
	for (uint32_t i = 0; i < d->key_usages.n; i++)
		*LIST_ADD(c->arena, &s->key_usages) = d->key_usages.v[i].name;
	for (uint32_t i = 0; i < d->extended_key_usages.n; i++)
		*LIST_ADD(c->arena, &s->extended_key_usages) = d->extended_key_usages.v[i].name;
}

static int by_time(const void *x, const void *y)
{
	const struct acm_certificate_summary *a = x, *b = y;
	return a->created_at.ms != b->created_at.ms ? (a->created_at.ms < b->created_at.ms ? -1 : 1)
	                                            : str_cmp(a->certificate_arn, b->certificate_arn);
}

static int by_time_backwards(const void *x, const void *y)
{
	return by_time(y, x);
}

/* A page begins behind the last one's end, whatever was made or deleted meanwhile: the token says its time and ARN. */
static bool token_read(struct call *c, struct str token, struct acm_certificate_summary *ret)
{
	struct str text = base64url_decode(c->arena, token), ms = str_cut(&text, ' ');
	if (!str_set(text) || !str_to_i64(ms, &ret->created_at.ms))
		return false;
	ret->certificate_arn = text;
	return true;
}

int acm_list_certificates(struct call *c, const struct acm_list_certificates_request *in,
                          struct acm_list_certificates_response *out)
{
	struct str under = acm_under(c->arena, c->account, c->region), key;
	struct state_acm_certificate_record r;
	struct acm_certificate_summary_list all = {0};
	struct acm_certificate_summary after = {0};
	struct store_value v;
	int (*order)(const void *, const void *) = str_is(in->sort_order, "ASCENDING") ? by_time : by_time_backwards;
	uint32_t limit = in->max_items.set ? (uint32_t)in->max_items.v : PAGE;
	if (str_set(in->sort_by) != str_set(in->sort_order))
		return call_fail(c, "InvalidArgsException", 0, "SortBy and SortOrder must be given together.");
	if (str_set(in->next_token) && !token_read(c, in->next_token, &after))
		return call_fail(c, "InvalidArgsException", 0, "The next token is not valid.");
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v) && record_read(c->arena, v.value, &acm_certificate_row, &r)) {
		struct acm_certificate_summary s;
		summarize(c, r.detail, &s);
		if (passes(in, &s, r.detail->key_algorithm) && (!str_set(in->next_token) || order(&after, &s) < 0))
			*LIST_ADD(c->arena, &all) = s;
	}
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), order);
	if (all.n > limit) {
		all.n = limit;
		const struct acm_certificate_summary *last = &all.v[limit - 1];
		out->next_token = base64url_encode(c->arena, arena_printf(c->arena, "%lld %.*s", (long long)last->created_at.ms,
		                                                          STR_ARG(last->certificate_arn)));
	}
	out->certificate_summary_list = all;
	out->certificate_summary_list.set = true;
	return CALL_OK;
}
