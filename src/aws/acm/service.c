#include "rows.h"

#include <stdlib.h>

/* --- what permissions are about */

static int about(struct call *c, struct authz *az, struct str arn)
{
	struct state_acm_certificate_record r;
	az->resource = arn;
	if (acm_load_quietly(c, arn, &r))
		acm_authz_tags(c, az, &r.tags, false);
	return CALL_OK;
}

/* Tags at creation are a second permission, as they are afterwards. */
static int about_new(struct call *c, struct authz *az, const struct acm_tag_list *tags)
{
	az->resource = arena_printf(c->arena, "arn:aws:acm:%.*s:%.*s:certificate/*", STR_ARG(c->region), STR_ARG(c->account));
	if (!tags->n)
		return CALL_OK;
	acm_authz_tags(c, az, tags, true);
	struct authz tagging = *az;
	tagging.action = S("acm:AddTagsToCertificate");
	return call_authorize(c, &tagging) ? CALL_OK : CALL_FAIL;
}

#define ABOUT(type) \
	static int about_##type(struct call *c, const void *input, struct authz *az) \
	{ \
		const struct acm_##type##_request *in = input; \
		return about(c, az, in->certificate_arn); \
	}
ABOUT(delete_certificate)
ABOUT(describe_certificate)
ABOUT(get_certificate)
ABOUT(list_tags_for_certificate)
ABOUT(renew_certificate)

static int about_import_certificate(struct call *c, const void *input, struct authz *az)
{
	const struct acm_import_certificate_request *in = input;
	return str_set(in->certificate_arn) ? about(c, az, in->certificate_arn) : about_new(c, az, &in->tags);
}

static int about_add_tags_to_certificate(struct call *c, const void *input, struct authz *az)
{
	const struct acm_add_tags_to_certificate_request *in = input;
	acm_authz_tags(c, az, &in->tags, true);
	return about(c, az, in->certificate_arn);
}

static int about_remove_tags_from_certificate(struct call *c, const void *input, struct authz *az)
{
	const struct acm_remove_tags_from_certificate_request *in = input;
	for (uint32_t i = 0; i < in->tags.n; i++)
		authz_add(c, az, "aws:TagKeys", in->tags.v[i].key);
	return about(c, az, in->certificate_arn);
}

static int about_request_certificate(struct call *c, const void *input, struct authz *az)
{
	const struct acm_request_certificate_request *in = input;
	authz_add(c, az, "acm:ValidationMethod", str_set(in->validation_method) ? in->validation_method : S("EMAIL"));
	authz_add(c, az, "acm:KeyAlgorithm", str_set(in->key_algorithm) ? in->key_algorithm : S("RSA_2048"));
	authz_add(c, az, "acm:DomainNames", in->domain_name);
	struct str_list *names = &az->keys[az->key_count - 1].values;
	for (uint32_t i = 0; i < in->subject_alternative_names.n; i++)
		*LIST_ADD(c->arena, names) = in->subject_alternative_names.v[i];
	return about_new(c, az, &in->tags);
}

/* --- the table */

#define ROW(c_name, name, ...) OP(acm, c_name, name, .resource = about_##c_name, ##__VA_ARGS__)
static const struct service_op ops[] = {
        ROW(add_tags_to_certificate, AddTagsToCertificate),
        ROW(delete_certificate, DeleteCertificate),
        ROW(describe_certificate, DescribeCertificate, .flags = OP_READ),
        ROW(get_certificate, GetCertificate, .flags = OP_READ),
        ROW(import_certificate, ImportCertificate),
        OP(acm, list_certificates, ListCertificates, .flags = OP_READ),
        ROW(list_tags_for_certificate, ListTagsForCertificate, .flags = OP_READ),
        ROW(remove_tags_from_certificate, RemoveTagsFromCertificate),
        ROW(renew_certificate, RenewCertificate, .missing = "certificates of private authorities, which are all that it renews"),
        ROW(request_certificate, RequestCertificate,
            .missing = "mail to the owners of names, validation by HTTP, certificates that can be exported, private authorities, "
                       "transparency logs"),
};

struct acm_state {
	struct acm_issuer *issuer;
	struct acm_expiry *expiry;
};

static int acm_start(struct cloud *cloud, void **ret_state)
{
	struct acm_state *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->issuer = acm_issuer_new(cloud);
	s->expiry = acm_expiry_new(cloud);
	*ret_state = s;
	return 0;
}

static void acm_stop(void *state)
{
	struct acm_state *s = state;
	if (!s)
		return;
	acm_issuer_free(s->issuer);
	acm_expiry_free(s->expiry);
	free(s);
}

const struct service acm_service = {
        .api = &acm_api,
        .iam_prefix = "acm",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(ops[0]),
        .start = acm_start,
        .stop = acm_stop,
};
