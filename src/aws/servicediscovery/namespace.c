/* Namespaces: of HTTP, whose services are found by DiscoverInstances alone, and private ones, whose names the resolver of one VPC
 * answers as well. */
#include "rows.h"

#include "aws/ec2/ec2.h"
#include "base/id.h"

enum { SOA_TTL_S = 15, NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 };

/* --- making one */

static bool is_domain(struct str name)
{
	while (str_set(name)) {
		struct str label = str_cut(&name, '.');
		if (!label.n || label.n > LABEL_MAX_BYTES)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!ascii_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
	}
	return true;
}

static int already_exists(struct call *c, struct str id)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_namespace_record r = {0};
	struct servicediscovery_namespace_already_exists *e = arena_new(c->arena, struct servicediscovery_namespace_already_exists);
	discovery_namespace_find(&s, id, &r);
	call_fail(c, "NamespaceAlreadyExists", 400, "Another namespace with the same name already exists in this Region.");
	e->message = c->error.message;
	e->namespace_id = id;
	e->creator_request_id = r.namespace ? r.namespace->creator_request_id : STR_NONE;
	c->error.shape = api_shape_named(&servicediscovery_api, S("NamespaceAlreadyExists"));
	c->error.value = e;
	return CALL_FAIL;
}

static struct servicediscovery_namespace *make(struct call *c, const char *type, struct str name, struct str creator,
                                               struct str description)
{
	struct servicediscovery_namespace *n = arena_new(c->arena, struct servicediscovery_namespace);
	*n = (struct servicediscovery_namespace){.id = discovery_make_id(c, "ns-"),
	                                         .resource_owner = c->account,
	                                         .name = name,
	                                         .type = str_from(type),
	                                         .description = description,
	                                         .create_date = OPT_TIME(c->now_ms),
	                                         .creator_request_id = creator.n ? creator : id_uuid(c->arena)};
	n->arn = discovery_arn(c, "namespace", n->id);
	n->properties = arena_new(c->arena, struct servicediscovery_namespace_properties);
	n->properties->http_properties = arena_new(c->arena, struct servicediscovery_http_properties);
	n->properties->http_properties->http_name = name;
	return n;
}

static int check(struct call *c, struct str name, const struct servicediscovery_tag_list *tags)
{
	struct discovery_scope s = discovery_scope(c);
	struct str id;
	if (name.n > NAME_MAX_BYTES)
		return discovery_invalid(c, "A namespace's name can have at most %d characters.", NAME_MAX_BYTES);
	if (discovery_tags_check(c, tags) != CALL_OK)
		return CALL_FAIL;
	return discovery_namespace_named(&s, name, &id) ? already_exists(c, id) : CALL_OK;
}

static struct str keep(struct call *c, struct servicediscovery_namespace *n, struct str vpc,
                       const struct servicediscovery_tag_list *tags)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_namespace_record r = {.namespace = n, .vpc = vpc, .tags = *tags};
	discovery_namespace_put(&s, &r);
	return discovery_done(c, "CREATE_NAMESPACE", "NAMESPACE", n->id, NULL, STR_NONE);
}

int servicediscovery_create_http_namespace(struct call *c, const struct servicediscovery_create_http_namespace_request *in,
                                           struct servicediscovery_create_http_namespace_response *out)
{
	if (check(c, in->name, &in->tags) != CALL_OK)
		return CALL_FAIL;
	struct servicediscovery_namespace *n = make(c, "HTTP", in->name, in->creator_request_id, in->description);
	out->operation_id = keep(c, n, STR_NONE, &in->tags);
	return CALL_OK;
}

static void set_soa(struct call *c, struct servicediscovery_namespace *n, int64_t ttl)
{
	struct servicediscovery_dns_properties *d = n->properties->dns_properties;
	d->soa = arena_new(c->arena, struct servicediscovery_soa);
	d->soa->ttl = OPT_INT(ttl);
}

int servicediscovery_create_private_dns_namespace(struct call *c,
                                                  const struct servicediscovery_create_private_dns_namespace_request *in,
                                                  struct servicediscovery_create_private_dns_namespace_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct str id;
	if (!is_domain(in->name))
		return discovery_invalid(c, "The name %.*s is not a domain name.", STR_ARG(in->name));
	if (check(c, in->name, &in->tags) != CALL_OK)
		return CALL_FAIL;
	if (!ec2_vpc_there(c, in->vpc))
		return discovery_invalid(c, "The VPC %.*s does not exist in this Region.", STR_ARG(in->vpc));
	/* Names of zones are compared without case, those of namespaces with it. */
	if (discovery_zone(&s, in->vpc, discovery_lower(c->arena, in->name), &id))
		return already_exists(c, id);
	struct servicediscovery_namespace *n = make(c, "DNS_PRIVATE", in->name, in->creator_request_id, in->description);
	n->properties->dns_properties = arena_new(c->arena, struct servicediscovery_dns_properties);
	n->properties->dns_properties->hosted_zone_id = id_base32(c->arena, S("Z"), 20);
	set_soa(c, n, in->properties ? in->properties->dns_properties->soa->ttl.v : SOA_TTL_S);
	out->operation_id = keep(c, n, in->vpc, &in->tags);
	return CALL_OK;
}

/* --- the others */

int servicediscovery_get_namespace(struct call *c, const struct servicediscovery_get_namespace_request *in,
                                   struct servicediscovery_get_namespace_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_namespace_record r;
	if (discovery_namespace_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	out->namespace = r.namespace;
	out->namespace->service_count = OPT_INT(discovery_service_count(&s, r.namespace->id));
	return CALL_OK;
}

static bool passes(const struct servicediscovery_namespace *n, const struct servicediscovery_namespace_filters *filters)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct servicediscovery_namespace_filter *f = &filters->v[i];
		struct str value = str_is(f->name, "TYPE") ? n->type : str_is(f->name, "RESOURCE_OWNER") ? S("SELF") : n->name;
		if (!discovery_passes(value, &f->values, f->condition))
			return false;
	}
	return true;
}

int servicediscovery_list_namespaces(struct call *c, const struct servicediscovery_list_namespaces_request *in,
                                     struct servicediscovery_list_namespaces_response *out)
{
	static const struct record_type row = {&state_servicediscovery_api, "NamespaceRecord"};
	struct discovery_scope s = discovery_scope(c);
	struct discovery_walk w;
	struct str last = STR_NONE;
	out->namespaces.set = true;
	if (discovery_walk_begin(c, &w, discovery_namespaces_under(&s), in->next_token, in->max_results) != CALL_OK)
		return CALL_FAIL;
	while (discovery_walk_next(&w)) {
		struct state_servicediscovery_namespace_record r;
		if (!record_read(c->arena, w.value, &row, &r) || !passes(r.namespace, &in->filters))
			continue;
		if (out->namespaces.n == w.limit) {
			out->next_token = discovery_page_token(c, last);
			break;
		}
		const struct servicediscovery_namespace *n = r.namespace;
		*LIST_ADD(c->arena, &out->namespaces) =
		        (struct servicediscovery_namespace_summary){.id = n->id,
		                                                    .arn = n->arn,
		                                                    .resource_owner = n->resource_owner,
		                                                    .name = n->name,
		                                                    .type = n->type,
		                                                    .description = n->description,
		                                                    .service_count = OPT_INT(discovery_service_count(&s, n->id)),
		                                                    .properties = n->properties,
		                                                    .create_date = n->create_date};
		last = w.key;
	}
	return CALL_OK;
}

static int get_typed(struct call *c, struct str id, const char *type, struct state_servicediscovery_namespace_record *ret)
{
	if (discovery_namespace_get(c, id, ret) != CALL_OK)
		return CALL_FAIL;
	return str_is(ret->namespace->type, type)
	               ? CALL_OK
	               : discovery_invalid(c, "The namespace is of the type %.*s.", STR_ARG(ret->namespace->type));
}

static struct str updated(struct call *c, const struct state_servicediscovery_namespace_record *r)
{
	struct discovery_scope s = discovery_scope(c);
	discovery_namespace_put(&s, r);
	return discovery_done(c, "UPDATE_NAMESPACE", "NAMESPACE", r->namespace->id, NULL, STR_NONE);
}

int servicediscovery_update_http_namespace(struct call *c, const struct servicediscovery_update_http_namespace_request *in,
                                           struct servicediscovery_update_http_namespace_response *out)
{
	struct state_servicediscovery_namespace_record r;
	if (get_typed(c, in->id, "HTTP", &r) != CALL_OK)
		return CALL_FAIL;
	r.namespace->description = in->namespace->description;
	out->operation_id = updated(c, &r);
	return CALL_OK;
}

int servicediscovery_update_private_dns_namespace(struct call *c,
                                                  const struct servicediscovery_update_private_dns_namespace_request *in,
                                                  struct servicediscovery_update_private_dns_namespace_response *out)
{
	struct state_servicediscovery_namespace_record r;
	if (get_typed(c, in->id, "DNS_PRIVATE", &r) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->namespace->description))
		r.namespace->description = in->namespace->description;
	if (in->namespace->properties)
		set_soa(c, r.namespace, in->namespace->properties->dns_properties->soa->ttl.v);
	out->operation_id = updated(c, &r);
	return CALL_OK;
}

int servicediscovery_delete_namespace(struct call *c, const struct servicediscovery_delete_namespace_request *in,
                                      struct servicediscovery_delete_namespace_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_namespace_record r;
	if (discovery_namespace_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	if (discovery_service_count(&s, r.namespace->id))
		return call_fail(c, "ResourceInUse", 400, "The namespace %.*s still has services.", STR_ARG(r.namespace->id));
	discovery_namespace_drop(&s, &r);
	out->operation_id = discovery_done(c, "DELETE_NAMESPACE", "NAMESPACE", r.namespace->id, NULL, STR_NONE);
	return CALL_OK;
}
