/* Certificates of listeners, beside the default one: AddListenerCertificates, RemoveListenerCertificates,
 * DescribeListenerCertificates. */
#include "rows.h"

/* Nothing in the cloud issues or takes in certificates yet. */
int elb_certificate_check(struct call *c, struct str arn)
{
	return call_fail(c, "CertificateNotFound", 0, "Certificate '%.*s' not found", STR_ARG(arn));
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
