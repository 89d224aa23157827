/* Mutual authentication: what a TLS listener makes of its clients' certificates. "passthrough" tells targets of them, whatever they
 * are; "verify" lets in who has one that the trust store vouches for. Of what AWS has, network load balancers have "verify" alone.
 */
#include "rows.h"

static int check_verify(struct call *c, struct elbv2_mutual_authentication_attributes *m)
{
	struct state_elbv2_trust_record r;
	if (!str_set(m->trust_store_arn))
		return elb_invalid(c, "A trust store ARN must be specified for mutual authentication mode 'verify'");
	if (elb_trust_get(c, m->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	if (!m->ignore_client_certificate_expiry.set)
		m->ignore_client_certificate_expiry = OPT_BOOL(false);
	if (!str_set(m->advertise_trust_store_ca_names))
		m->advertise_trust_store_ca_names = S("off");
	m->trust_store_association_status = S("active");
	return CALL_OK;
}

int elb_mutual_check(struct call *c, const struct state_elbv2_balancer_record *b, struct elbv2_listener *l,
                     const struct elbv2_mutual_authentication_attributes *in)
{
	if (!in)
		return CALL_OK;
	struct str mode = str_set(in->mode) ? in->mode : S("off");
	bool verify = str_is(mode, "verify"), network = elb_is_network(b);
	if (!str_is(l->protocol, "HTTPS") && !(network && str_is(l->protocol, "TLS")))
		return elb_invalid(c, "Mutual authentication cannot be specified for %.*s listeners", STR_ARG(l->protocol));
	if (!verify && !str_is(mode, "off") && (network || !str_is(mode, "passthrough")))
		return elb_invalid(c, "Mutual authentication mode '%.*s' must be one of '%s'", STR_ARG(mode),
		                   network ? "off, verify" : "off, passthrough, verify");
	if (!verify && (str_set(in->trust_store_arn) || in->ignore_client_certificate_expiry.set ||
	                str_is(in->advertise_trust_store_ca_names, "on")))
		return elb_invalid(
		        c, "A trust store ARN, IgnoreClientCertificateExpiry and AdvertiseTrustStoreCaNames can be specified "
		           "for mutual authentication mode 'verify' alone");
	struct elbv2_mutual_authentication_attributes *m = arena_new(c->arena, struct elbv2_mutual_authentication_attributes);
	*m = (struct elbv2_mutual_authentication_attributes){.mode = mode};
	if (verify) {
		m->trust_store_arn = in->trust_store_arn;
		m->ignore_client_certificate_expiry = in->ignore_client_certificate_expiry;
		m->advertise_trust_store_ca_names = in->advertise_trust_store_ca_names;
		if (check_verify(c, m) != CALL_OK)
			return CALL_FAIL;
	}
	l->mutual_authentication = m;
	return CALL_OK;
}
