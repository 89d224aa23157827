/* Certificates of listeners: ACM's and IAM's. Beside the default one: AddListenerCertificates, RemoveListenerCertificates,
 * DescribeListenerCertificates. A certificate is used by the balancer, as long as any of its listeners has it. */
#include "rows.h"

#include "aws/acm/acm.h"
#include "aws/iam/iam.h"

/* ACM's are of one region; IAM's of an account. */
static bool is_ours(const struct elb_scope *s, struct str arn)
{
	return str_starts(arn, ARENA_CAT(s->arena, S("arn:aws:acm:"), s->region, S(":"), s->account, S(":certificate/"))) ||
	       str_starts(arn, ARENA_CAT(s->arena, S("arn:aws:iam::"), s->account, S(":server-certificate/")));
}

bool elb_certificate_find(const struct elb_scope *s, struct str arn, struct cert_bundle *ret)
{
	struct acm_certificate acm;
	struct iam_certificate iam;
	if (!is_ours(s, arn))
		return false;
	if (str_starts(arn, S("arn:aws:acm:"))) {
		if (!acm_find(s->cloud, s->txn, s->arena, arn, &acm))
			return false;
		*ret = acm.pem;
		return true;
	}
	if (!iam_certificate_find(s->cloud, s->txn, s->arena, arn, &iam))
		return false;
	*ret = iam.pem;
	return true;
}

int elb_certificate_check(struct call *c, struct str arn)
{
	struct elb_scope s = elb_scope(c);
	struct cert_bundle pem;
	if (!elb_certificate_find(&s, arn, &pem))
		return call_fail(c, "CertificateNotFound", 0, "Certificate '%.*s' not found", STR_ARG(arn));
	return str_set(pem.key) ? CALL_OK : call_broken(c, "a certificate's private key cannot be read");
}

/* --- who uses what */

struct str_list elb_certificates_of(const struct elb_scope *s, struct str balancer)
{
	struct elb_listeners all = elb_listeners_of(s, balancer);
	struct str_list ret = {0};
	for (uint32_t i = 0; i < all.n; i++) {
		const struct elbv2_certificate_list *lists[] = {&all.v[i].listener->certificates, &all.v[i].certificates};
		for (size_t k = 0; k < 2; k++)
			for (uint32_t j = 0; j < lists[k]->n; j++)
				if (!elb_among(&ret, lists[k]->v[j].certificate_arn))
					*LIST_ADD(s->arena, &ret) = lists[k]->v[j].certificate_arn;
	}
	return ret;
}

static void note(const struct elb_scope *s, struct str arn, struct str by, bool use)
{
	struct iam_certificate iam;
	if (str_starts(arn, S("arn:aws:acm:"))) {
		if (use)
			acm_use(s->txn, s->arena, arn, by);
		else
			acm_unuse(s->txn, s->arena, arn, by);
	} else if (iam_certificate_find(s->cloud, s->txn, s->arena, arn, &iam)) {
		if (use)
			iam_certificate_use(s->txn, s->arena, s->account, iam.id, by);
		else
			iam_certificate_unuse(s->txn, s->arena, s->account, iam.id, by);
	}
}

void elb_certificates_note(const struct elb_scope *s, const struct elb_name *at, const struct str_list *before)
{
	struct elb_name balancer = *at;
	balancer.kind = ELB_BALANCER;
	struct str by = elb_arn(s, &balancer);
	struct str_list after = elb_certificates_of(s, at->name);
	for (uint32_t i = 0; i < after.n; i++)
		if (!elb_among(before, after.v[i]))
			note(s, after.v[i], by, true);
	for (uint32_t i = 0; i < before->n; i++)
		if (!elb_among(&after, before->v[i]))
			note(s, before->v[i], by, false);
}

static int load(struct call *c, struct str arn, struct elb_name *ret_at, struct state_elbv2_listener_record *ret)
{
	if (elb_listener_get(c, arn, ret_at, ret) != CALL_OK)
		return CALL_FAIL;
	if (!str_is(ret->listener->protocol, "HTTPS") && !str_is(ret->listener->protocol, "TLS"))
		return elb_invalid(c, "Certificates are not supported for listeners with protocol '%.*s'",
		                   STR_ARG(ret->listener->protocol));
	return CALL_OK;
}

static uint32_t find(const struct elbv2_certificate_list *l, struct str arn)
{
	uint32_t i = 0;
	while (i < l->n && !str_eq(l->v[i].certificate_arn, arn))
		i++;
	return i;
}

static uint32_t count(const struct elb_scope *s, struct str balancer)
{
	struct elb_listeners all = elb_listeners_of(s, balancer);
	uint32_t n = 0;
	for (uint32_t i = 0; i < all.n; i++)
		n += all.v[i].certificates.n;
	return n;
}

int elbv2_add_listener_certificates(struct call *c, const struct elbv2_add_listener_certificates_input *in,
                                    struct elbv2_add_listener_certificates_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_listener_record r;
	struct elb_name at;
	if (load(c, in->listener_arn, &at, &r) != CALL_OK)
		return CALL_FAIL;
	struct str_list before = elb_certificates_of(&s, at.name);
	out->certificates.set = true;
	for (uint32_t i = 0; i < in->certificates.n; i++) {
		struct str arn = in->certificates.v[i].certificate_arn;
		if (in->certificates.v[i].is_default.set)
			return elb_invalid(c, "IsDefault cannot be specified");
		if (elb_certificate_check(c, arn) != CALL_OK)
			return CALL_FAIL;
		if (find(&r.certificates, arn) == r.certificates.n && !str_eq(r.listener->certificates.v[0].certificate_arn, arn))
			*LIST_ADD(c->arena, &r.certificates) = (struct elbv2_certificate){.certificate_arn = arn};
		*LIST_ADD(c->arena, &out->certificates) = (struct elbv2_certificate){arn, OPT_BOOL(false)};
	}
	elb_listener_put(&s, &at, &r);
	elb_certificates_note(&s, &at, &before);
	if (count(&s, at.name) > ELB_CERTIFICATES_MAX)
		return call_fail(c, "TooManyCertificates", 0,
		                 "The maximum number of certificates of a load balancer, '%d', has been reached",
		                 ELB_CERTIFICATES_MAX);
	return CALL_OK;
}

int elbv2_remove_listener_certificates(struct call *c, const struct elbv2_remove_listener_certificates_input *in,
                                       struct elbv2_remove_listener_certificates_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_listener_record r;
	struct elb_name at;
	(void)out;
	if (load(c, in->listener_arn, &at, &r) != CALL_OK)
		return CALL_FAIL;
	struct str_list before = elb_certificates_of(&s, at.name);
	for (uint32_t i = 0; i < in->certificates.n; i++) {
		struct str arn = in->certificates.v[i].certificate_arn;
		if (str_eq(r.listener->certificates.v[0].certificate_arn, arn))
			return call_fail(c, "OperationNotPermitted", 0, "Default certificate '%.*s' cannot be removed",
			                 STR_ARG(arn));
		uint32_t k = find(&r.certificates, arn);
		if (k == r.certificates.n)
			continue;
		r.certificates.n--;
		for (; k < r.certificates.n; k++)
			r.certificates.v[k] = r.certificates.v[k + 1];
	}
	elb_listener_put(&s, &at, &r);
	elb_certificates_note(&s, &at, &before);
	return CALL_OK;
}

int elbv2_describe_listener_certificates(struct call *c, const struct elbv2_describe_listener_certificates_input *in,
                                         struct elbv2_describe_listener_certificates_output *out)
{
	struct state_elbv2_listener_record r;
	struct elb_name at;
	uint32_t from, to;
	if (load(c, in->listener_arn, &at, &r) != CALL_OK ||
	    elb_page_of(c, in->marker, in->page_size, r.certificates.n + 1, &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	out->certificates.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->certificates) =
		        i ? (struct elbv2_certificate){r.certificates.v[i - 1].certificate_arn, OPT_BOOL(false)}
		          : (struct elbv2_certificate){r.listener->certificates.v[0].certificate_arn, OPT_BOOL(true)};
	return CALL_OK;
}
