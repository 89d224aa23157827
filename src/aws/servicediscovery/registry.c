/* What Cloud Map calls a service: a name in a namespace under which instances are found. */
#include "rows.h"

#include "base/id.h"

enum { RECORDS_MAX = 5 };

/* --- checks */

static int check_records(struct call *c, const struct servicediscovery_dns_record_list *records)
{
	if (!records->n || records->n > RECORDS_MAX)
		return discovery_invalid(c, "DnsRecords must have between 1 and %d records.", RECORDS_MAX);
	for (uint32_t i = 0; i < records->n; i++) {
		const struct servicediscovery_dns_record *r = &records->v[i];
		if (!str_is(r->type, "A") && !str_is(r->type, "SRV"))
			return discovery_invalid(c, "Records of the type %.*s are not supported by this cloud.", STR_ARG(r->type));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(records->v[k].type, r->type))
				return discovery_invalid(c, "Duplicate record types are not allowed.");
	}
	if (records->n > 1)
		return discovery_invalid(c, "A service has records of A or of SRV, not of both.");
	return CALL_OK;
}

static int check_dns(struct call *c, const struct servicediscovery_create_service_request *in,
                     const struct state_servicediscovery_namespace_record *n)
{
	const struct servicediscovery_dns_config *d = in->dns_config;
	if (!d)
		return CALL_OK;
	if (!n->vpc.n)
		return discovery_invalid(c, "DnsConfig is not for services in HTTP namespaces.");
	if (str_is(in->type, "HTTP"))
		return discovery_invalid(c, "A service of the type HTTP has no DnsConfig.");
	if (str_is(d->routing_policy, "WEIGHTED") && d->dns_records.n && str_is(d->dns_records.v[0].type, "SRV"))
		return discovery_invalid(c, "The routing policy WEIGHTED is not for SRV records.");
	return check_records(c, &d->dns_records);
}

static int already_exists(struct call *c, struct str id)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r = {0};
	struct servicediscovery_service_already_exists *e = arena_new(c->arena, struct servicediscovery_service_already_exists);
	discovery_service_find(&s, id, &r);
	call_fail(c, "ServiceAlreadyExists", 400, "Service already exists.");
	e->message = c->error.message;
	e->service_id = id;
	e->service_arn = discovery_arn(c, "service", id);
	e->creator_request_id = r.service ? r.service->creator_request_id : STR_NONE;
	c->error.shape = api_shape_named(&servicediscovery_api, S("ServiceAlreadyExists"));
	c->error.value = e;
	return CALL_FAIL;
}

/* --- making one */

static struct servicediscovery_dns_config *dns_of(struct call *c, const struct servicediscovery_create_service_request *in,
                                                  struct str namespace)
{
	if (!in->dns_config)
		return NULL;
	struct servicediscovery_dns_config *d = arena_new(c->arena, struct servicediscovery_dns_config);
	*d = *in->dns_config;
	d->namespace_id = namespace;
	if (!d->routing_policy.n)
		d->routing_policy = S("MULTIVALUE");
	return d;
}

int servicediscovery_create_service(struct call *c, const struct servicediscovery_create_service_request *in,
                                    struct servicediscovery_create_service_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_namespace_record n;
	struct str there = in->namespace_id.n ? in->namespace_id : in->dns_config ? in->dns_config->namespace_id : STR_NONE, id;
	if (!there.n)
		return discovery_invalid(c, "NamespaceId must be given.");
	if (discovery_namespace_get(c, there, &n) != CALL_OK || discovery_tags_check(c, &in->tags) != CALL_OK ||
	    check_dns(c, in, &n) != CALL_OK)
		return CALL_FAIL;
	if (in->health_check_config && in->health_check_custom_config)
		return discovery_invalid(c, "A service has HealthCheckConfig or HealthCheckCustomConfig, not both.");
	if (in->health_check_config)
		return discovery_invalid(c, "HealthCheckConfig is only for services in public DNS namespaces.");
	if (discovery_service_named(&s, n.namespace->id, in->name, &id))
		return already_exists(c, id);
	struct servicediscovery_service *v = arena_new(c->arena, struct servicediscovery_service);
	*v = (struct servicediscovery_service){.id = discovery_make_id(c, "srv-"),
	                                       .resource_owner = c->account,
	                                       .name = in->name,
	                                       .namespace_id = n.namespace->id,
	                                       .description = in->description,
	                                       .dns_config = dns_of(c, in, n.namespace->id),
	                                       .type = in->dns_config ? S("DNS_HTTP") : S("HTTP"),
	                                       .create_date = OPT_TIME(c->now_ms),
	                                       .creator_request_id =
	                                               in->creator_request_id.n ? in->creator_request_id : id_uuid(c->arena),
	                                       .created_by_account = c->account};
	v->arn = discovery_arn(c, "service", v->id);
	if (in->health_check_custom_config) {
		v->health_check_custom_config = arena_new(c->arena, struct servicediscovery_health_check_custom_config);
		v->health_check_custom_config->failure_threshold = OPT_INT(1);
	}
	struct state_servicediscovery_service_record r = {.service = v, .tags = in->tags};
	discovery_service_put(&s, &r);
	out->service = v;
	return CALL_OK;
}

/* --- the others */

int servicediscovery_get_service(struct call *c, const struct servicediscovery_get_service_request *in,
                                 struct servicediscovery_get_service_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	if (discovery_service_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	out->service = r.service;
	out->service->instance_count = OPT_INT(discovery_instance_count(&s, r.service->id));
	return CALL_OK;
}

static bool passes(struct call *c, const struct servicediscovery_service *v, const struct servicediscovery_service_filters *filters)
{
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct servicediscovery_service_filter *f = &filters->v[i];
		bool by_namespace = str_is(f->name, "NAMESPACE_ID");
		bool good = discovery_passes(by_namespace ? v->namespace_id : S("SELF"), &f->values, f->condition) ||
		            (by_namespace &&
		             discovery_passes(discovery_arn(c, "namespace", v->namespace_id), &f->values, f->condition));
		if (!good)
			return false;
	}
	return true;
}

int servicediscovery_list_services(struct call *c, const struct servicediscovery_list_services_request *in,
                                   struct servicediscovery_list_services_response *out)
{
	static const struct record_type row = {&state_servicediscovery_api, "ServiceRecord"};
	struct discovery_scope s = discovery_scope(c);
	struct discovery_walk w;
	struct str last = STR_NONE;
	out->services.set = true;
	if (discovery_walk_begin(c, &w, discovery_services_under(&s), in->next_token, in->max_results) != CALL_OK)
		return CALL_FAIL;
	while (discovery_walk_next(&w)) {
		struct state_servicediscovery_service_record r;
		if (!record_read(c->arena, w.value, &row, &r) || !passes(c, r.service, &in->filters))
			continue;
		if (out->services.n == w.limit) {
			out->next_token = discovery_page_token(c, last);
			break;
		}
		const struct servicediscovery_service *v = r.service;
		*LIST_ADD(c->arena, &out->services) =
		        (struct servicediscovery_service_summary){.id = v->id,
		                                                  .arn = v->arn,
		                                                  .resource_owner = v->resource_owner,
		                                                  .name = v->name,
		                                                  .type = v->type,
		                                                  .description = v->description,
		                                                  .instance_count = OPT_INT(discovery_instance_count(&s, v->id)),
		                                                  .dns_config = v->dns_config,
		                                                  .health_check_custom_config = v->health_check_custom_config,
		                                                  .create_date = v->create_date,
		                                                  .created_by_account = v->created_by_account};
		last = w.key;
	}
	return CALL_OK;
}

/* Times to live can be changed; the types of records cannot, for their instances were registered by them. */
int servicediscovery_update_service(struct call *c, const struct servicediscovery_update_service_request *in,
                                    struct servicediscovery_update_service_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	if (discovery_service_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	if (in->service->health_check_config)
		return discovery_invalid(c, "HealthCheckConfig is only for services in public DNS namespaces.");
	if (str_set(in->service->description))
		r.service->description = in->service->description;
	if (in->service->dns_config) {
		const struct servicediscovery_dns_record_list *records = &in->service->dns_config->dns_records;
		if (check_records(c, records) != CALL_OK)
			return CALL_FAIL;
		if (!discovery_has_record(r.service, arena_dupz(c->arena, records->v[0].type)))
			return discovery_invalid(c, "The types of a service's records cannot be changed.");
		r.service->dns_config->dns_records = *records;
	}
	discovery_service_put(&s, &r);
	out->operation_id = discovery_done(c, "UPDATE_SERVICE", "SERVICE", r.service->id, NULL, STR_NONE);
	return CALL_OK;
}

int servicediscovery_delete_service(struct call *c, const struct servicediscovery_delete_service_request *in,
                                    struct servicediscovery_delete_service_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	(void)out;
	if (discovery_service_get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	if (discovery_instance_count(&s, r.service->id))
		return call_fail(c, "ResourceInUse", 400, "The service %.*s still has registered instances.",
		                 STR_ARG(r.service->id));
	discovery_service_drop(&s, &r);
	return CALL_OK;
}
