/* Trust stores: whom listeners believe what clients say of themselves. A store holds certificates of authorities, replaced as a
 * whole, and lists of what those have revoked, each with a number. Both were read from S3 by whoever made them. */
#include "rows.h"

#include "base/id.h"

static const struct record_type trust_row = {&state_elbv2_api, "TrustRecord"};

/* --- records */

static struct str key_of(const struct elb_scope *s, struct str name)
{
	return KEY(s->arena, S("elbv2"), S("trust"), s->account, s->region, name);
}

static struct str revoked_key(const struct elb_scope *s, struct str name, int64_t id)
{
	return KEY(s->arena, S("elbv2"), S("revoked"), s->account, s->region, name, arena_printf(s->arena, "%lld", (long long)id));
}

bool elb_trust_find(const struct elb_scope *s, struct str name, struct state_elbv2_trust_record *ret)
{
	return record_get(s->txn, s->arena, key_of(s, name), &trust_row, ret);
}

void elb_trust_put(const struct elb_scope *s, const struct state_elbv2_trust_record *r)
{
	record_put(s->txn, s->arena, key_of(s, r->store->name), &trust_row, r);
}

int elb_trust_get(struct call *c, struct str arn, struct state_elbv2_trust_record *ret)
{
	struct elb_scope s = elb_scope(c);
	struct elb_name n;
	*ret = (struct state_elbv2_trust_record){0};
	if (!str_starts(arn, S("arn:")))
		return elb_invalid(c, "'%.*s' is not a valid trust store ARN", STR_ARG(arn));
	if (elb_name_parse(&s, arn, &n) && n.kind == ELB_TRUST && elb_trust_find(&s, n.name, ret) &&
	    str_eq(ret->store->trust_store_arn, arn))
		return CALL_OK;
	return call_fail(c, "TrustStoreNotFound", 0, "Trust store '%.*s' not found", STR_ARG(arn));
}

struct str elb_trust_revoked_one(const struct elb_scope *s, struct str name, int64_t id)
{
	struct store_value v;
	return store_get(s->txn, revoked_key(s, name, id), &v) ? arena_dup(s->arena, v.value) : STR_NONE;
}

struct str elb_trust_revoked(const struct elb_scope *s, const struct state_elbv2_trust_record *r)
{
	struct str all = S("");
	for (uint32_t i = 0; i < r->revocations.n; i++) {
		struct str one = elb_trust_revoked_one(s, r->store->name, r->revocations.v[i].id.v);
		if (str_set(one))
			all = ARENA_CAT(s->arena, all, one, S("\n"));
	}
	return all;
}

/* --- stores */

static int count_check(struct call *c)
{
	struct elb_walk w;
	uint32_t n = 0;
	if (elb_walk_begin(c, &w, "trust", STR_NONE, STR_NONE, (struct opt_int){0}) != CALL_OK)
		return CALL_FAIL;
	while (elb_walk_next(&w))
		n++;
	return n < ELB_TRUSTS_MAX ? CALL_OK
	                          : call_fail(c, "TooManyTrustStores", 0,
	                                      "The maximum number of trust stores, '%d', has been reached", ELB_TRUSTS_MAX);
}

/* A store takes the bundle at that place of S3, and is kept and told of. */
static int take_bundle(struct call *c, struct str bucket, struct str key, struct str version, struct state_elbv2_trust_record *r,
                       struct elbv2_trust_stores *ret)
{
	const struct elb_scope s = elb_scope(c);
	const struct elb_object at = {bucket, key, version, "CaCertificatesBundleNotFound"};
	struct str pem;
	int step = elb_object_read(c, 0, &at, &pem);
	if (step != CALL_OK)
		return step;
	int n = cert_count(pem);
	if (n < 1)
		return call_fail(c, "InvalidCaCertificatesBundle", 0,
		                 "The CA certificates bundle is not a list of certificates in PEM");
	if (n > ELB_TRUST_CERTIFICATES_MAX)
		return call_fail(c, "InvalidCaCertificatesBundle", 0,
		                 "The CA certificates bundle holds more than '%d' certificates", ELB_TRUST_CERTIFICATES_MAX);
	r->bundle = pem;
	r->store->number_of_ca_certificates = OPT_INT(n);
	elb_trust_put(&s, r);
	ret->set = true;
	*LIST_ADD(c->arena, ret) = *r->store;
	return CALL_OK;
}

int elbv2_create_trust_store(struct call *c, const struct elbv2_create_trust_store_input *in,
                             struct elbv2_create_trust_store_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_trust_record r = {.tags = in->tags, .next_revocation = OPT_INT(1)};
	struct elb_name name = {.kind = ELB_TRUST, .name = in->name, .id = id_hex(c->arena, 16)};
	if (elb_name_check(c, "Trust store", in->name) != CALL_OK || elb_tags_check(c, &in->tags) != CALL_OK)
		return CALL_FAIL;
	if (elb_trust_find(&s, in->name, &(struct state_elbv2_trust_record){0}))
		return call_fail(c, "DuplicateTrustStoreName", 0, "A trust store with the name '%.*s' already exists",
		                 STR_ARG(in->name));
	if (count_check(c) != CALL_OK)
		return CALL_FAIL;
	r.store = arena_new(c->arena, struct elbv2_trust_store);
	*r.store = (struct elbv2_trust_store){.name = in->name,
	                                      .trust_store_arn = elb_arn(&s, &name),
	                                      .status = S("ACTIVE"),
	                                      .total_revoked_entries = OPT_INT(0)};
	return take_bundle(c, in->ca_certificates_bundle_s3_bucket, in->ca_certificates_bundle_s3_key,
	                   in->ca_certificates_bundle_s3_object_version, &r, &out->trust_stores);
}

int elbv2_modify_trust_store(struct call *c, const struct elbv2_modify_trust_store_input *in,
                             struct elbv2_modify_trust_store_output *out)
{
	struct state_elbv2_trust_record r;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	return take_bundle(c, in->ca_certificates_bundle_s3_bucket, in->ca_certificates_bundle_s3_key,
	                   in->ca_certificates_bundle_s3_object_version, &r, &out->trust_stores);
}

int elbv2_describe_trust_stores(struct call *c, const struct elbv2_describe_trust_stores_input *in,
                                struct elbv2_describe_trust_stores_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_trust_record r;
	struct elb_walk w;
	out->trust_stores.set = true;
	if (in->names.n && in->trust_store_arns.n)
		return elb_invalid(c, "Trust store names and trust store ARNs cannot be specified at the same time");
	for (uint32_t i = 0; i < in->names.n; i++) {
		r = (struct state_elbv2_trust_record){0};
		if (!elb_trust_find(&s, in->names.v[i], &r))
			return call_fail(c, "TrustStoreNotFound", 0, "One or more trust stores not found");
		*LIST_ADD(c->arena, &out->trust_stores) = *r.store;
	}
	for (uint32_t i = 0; i < in->trust_store_arns.n; i++) {
		if (elb_trust_get(c, in->trust_store_arns.v[i], &r) != CALL_OK)
			return CALL_FAIL;
		*LIST_ADD(c->arena, &out->trust_stores) = *r.store;
	}
	if (in->names.n || in->trust_store_arns.n)
		return CALL_OK;
	if (elb_walk_begin(c, &w, "trust", STR_NONE, in->marker, in->page_size) != CALL_OK)
		return CALL_FAIL;
	while (elb_walk_next(&w)) {
		if (!elb_walk_take(&w))
			break;
		r = (struct state_elbv2_trust_record){0};
		if (elb_read(c->arena, w.value, "TrustRecord", &r))
			*LIST_ADD(c->arena, &out->trust_stores) = *r.store;
	}
	out->next_marker = elb_walk_marker(c, &w);
	return CALL_OK;
}

/* --- who uses them */

/* ARNs of the listeners that ask for what this store says. */
static struct str_list users_of(struct call *c, struct str arn)
{
	struct str_list ret = {0};
	struct elb_walk w;
	if (elb_walk_begin(c, &w, "listener", STR_NONE, STR_NONE, (struct opt_int){0}) != CALL_OK)
		return ret;
	while (elb_walk_next(&w)) {
		struct state_elbv2_listener_record r = {0};
		if (elb_read(c->arena, w.value, "ListenerRecord", &r) && r.listener->mutual_authentication &&
		    str_eq(r.listener->mutual_authentication->trust_store_arn, arn))
			*LIST_ADD(c->arena, &ret) = r.listener->listener_arn;
	}
	return ret;
}

int elbv2_describe_trust_store_associations(struct call *c, const struct elbv2_describe_trust_store_associations_input *in,
                                            struct elbv2_describe_trust_store_associations_output *out)
{
	struct state_elbv2_trust_record r;
	uint32_t from, to;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	struct str_list users = users_of(c, in->trust_store_arn);
	if (elb_page_of(c, in->marker, in->page_size, users.n, &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	out->trust_store_associations.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->trust_store_associations) = (struct elbv2_trust_store_association){users.v[i]};
	return CALL_OK;
}

/* Nobody shares stores here, so every association is its owner's own. */
int elbv2_delete_shared_trust_store_association(struct call *c, const struct elbv2_delete_shared_trust_store_association_input *in,
                                                struct elbv2_delete_shared_trust_store_association_output *out)
{
	struct state_elbv2_trust_record r;
	(void)out;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	struct str_list users = users_of(c, in->trust_store_arn);
	if (elb_among(&users, in->resource_arn))
		return call_fail(c, "DeleteAssociationSameAccount", 0,
		                 "The association is of the trust store's own account and cannot be deleted");
	return call_fail(c, "AssociationNotFound", 0, "The trust store is not associated with '%.*s'", STR_ARG(in->resource_arn));
}

int elbv2_delete_trust_store(struct call *c, const struct elbv2_delete_trust_store_input *in,
                             struct elbv2_delete_trust_store_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_trust_record r;
	(void)out;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	if (users_of(c, in->trust_store_arn).n)
		return call_fail(c, "TrustStoreInUse", 0, "Trust store '%.*s' is currently in use by a listener",
		                 STR_ARG(in->trust_store_arn));
	for (uint32_t i = 0; i < r.revocations.n; i++)
		store_delete(s.txn, revoked_key(&s, r.store->name, r.revocations.v[i].id.v));
	store_delete(s.txn, key_of(&s, r.store->name));
	return CALL_OK;
}

int elbv2_get_trust_store_ca_certificates_bundle(struct call *c,
                                                 const struct elbv2_get_trust_store_ca_certificates_bundle_input *in,
                                                 struct elbv2_get_trust_store_ca_certificates_bundle_output *out)
{
	struct state_elbv2_trust_record r;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	out->location = elb_trust_link(c, r.store->name, 0);
	return CALL_OK;
}

/* --- what is revoked */

static uint32_t find(const struct state_elbv2_trust_record *r, int64_t id)
{
	uint32_t i = 0;
	while (i < r->revocations.n && r->revocations.v[i].id.v != id)
		i++;
	return i;
}

static int unknown(struct call *c, int64_t id)
{
	return call_fail(c, "RevocationIdNotFound", 0, "Revocation ID '%lld' not found", (long long)id);
}

int elbv2_add_trust_store_revocations(struct call *c, const struct elbv2_add_trust_store_revocations_input *in,
                                      struct elbv2_add_trust_store_revocations_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_trust_record r;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	if (!in->revocation_contents.n)
		return elb_invalid(c, "Revocation contents must be specified");
	out->trust_store_revocations = (struct elbv2_trust_store_revocations){.set = true}; /* once more after each object */
	size_t bytes = elb_trust_revoked(&s, &r).n;
	for (uint32_t i = 0; i < in->revocation_contents.n; i++) {
		const struct elbv2_revocation_content *from = &in->revocation_contents.v[i];
		const struct elb_object at = {from->s3_bucket, from->s3_key, from->s3_object_version, "RevocationContentNotFound"};
		struct str pem;
		if (!str_set(at.bucket) || !str_set(at.key))
			return elb_invalid(c, "An S3 bucket and key must be specified for revocation contents");
		int step = elb_object_read(c, i, &at, &pem);
		if (step != CALL_OK)
			return step;
		int64_t entries = cert_count_revoked(pem);
		if (entries < 0)
			return call_fail(c, "InvalidRevocationContent", 0,
			                 "The revocation content is not a revocation list in PEM");
		bytes += pem.n;
		if (r.revocations.n >= ELB_TRUST_LISTS_MAX || bytes > ELB_OBJECT_BYTES_MAX)
			return call_fail(c, "TooManyTrustStoreRevocationEntries", 0,
			                 "The trust store has too many revocation entries");
		int64_t id = r.next_revocation.v++;
		*LIST_ADD(c->arena, &r.revocations) = (struct state_elbv2_revocation){OPT_INT(id), OPT_INT(entries)};
		r.store->total_revoked_entries.v += entries;
		store_put(s.txn, revoked_key(&s, r.store->name, id), pem);
		*LIST_ADD(c->arena, &out->trust_store_revocations) =
		        (struct elbv2_trust_store_revocation){.trust_store_arn = in->trust_store_arn,
		                                              .revocation_id = OPT_INT(id),
		                                              .revocation_type = S("CRL"),
		                                              .number_of_revoked_entries = OPT_INT(entries)};
	}
	elb_trust_put(&s, &r);
	return CALL_OK;
}

int elbv2_remove_trust_store_revocations(struct call *c, const struct elbv2_remove_trust_store_revocations_input *in,
                                         struct elbv2_remove_trust_store_revocations_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_trust_record r;
	(void)out;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->revocation_ids.n; i++) {
		uint32_t at = find(&r, in->revocation_ids.v[i].v);
		if (at == r.revocations.n)
			return unknown(c, in->revocation_ids.v[i].v);
		r.store->total_revoked_entries.v -= r.revocations.v[at].entries.v;
		store_delete(s.txn, revoked_key(&s, r.store->name, r.revocations.v[at].id.v));
		for (r.revocations.n--; at < r.revocations.n; at++)
			r.revocations.v[at] = r.revocations.v[at + 1];
	}
	elb_trust_put(&s, &r);
	return CALL_OK;
}

int elbv2_describe_trust_store_revocations(struct call *c, const struct elbv2_describe_trust_store_revocations_input *in,
                                           struct elbv2_describe_trust_store_revocations_output *out)
{
	struct state_elbv2_trust_record r;
	struct state_elbv2_revocations shown = {0};
	uint32_t from, to;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->revocation_ids.n; i++) {
		uint32_t at = find(&r, in->revocation_ids.v[i].v);
		if (at == r.revocations.n)
			return unknown(c, in->revocation_ids.v[i].v);
		*LIST_ADD(c->arena, &shown) = r.revocations.v[at];
	}
	if (!in->revocation_ids.n)
		shown = r.revocations;
	if (elb_page_of(c, in->marker, in->page_size, shown.n, &from, &to, &out->next_marker) != CALL_OK)
		return CALL_FAIL;
	out->trust_store_revocations.set = true;
	for (uint32_t i = from; i < to; i++)
		*LIST_ADD(c->arena, &out->trust_store_revocations) =
		        (struct elbv2_describe_trust_store_revocation){.trust_store_arn = in->trust_store_arn,
		                                                       .revocation_id = shown.v[i].id,
		                                                       .revocation_type = S("CRL"),
		                                                       .number_of_revoked_entries = shown.v[i].entries};
	return CALL_OK;
}

int elbv2_get_trust_store_revocation_content(struct call *c, const struct elbv2_get_trust_store_revocation_content_input *in,
                                             struct elbv2_get_trust_store_revocation_content_output *out)
{
	struct state_elbv2_trust_record r;
	if (elb_trust_get(c, in->trust_store_arn, &r) != CALL_OK)
		return CALL_FAIL;
	if (find(&r, in->revocation_id.v) == r.revocations.n)
		return unknown(c, in->revocation_id.v);
	out->location = elb_trust_link(c, r.store->name, in->revocation_id.v);
	return CALL_OK;
}
