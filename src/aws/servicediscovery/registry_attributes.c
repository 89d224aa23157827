/* Attributes of a service as a whole: GetServiceAttributes, UpdateServiceAttributes, DeleteServiceAttributes. */
#include "rows.h"

enum { ATTRIBUTES_MAX = 30 };

int servicediscovery_get_service_attributes(struct call *c, const struct servicediscovery_get_service_attributes_request *in,
                                            struct servicediscovery_get_service_attributes_response *out)
{
	struct state_servicediscovery_service_record r;
	if (discovery_service_get(c, in->service_id, &r) != CALL_OK)
		return CALL_FAIL;
	out->service_attributes = arena_new(c->arena, struct servicediscovery_service_attributes);
	*out->service_attributes = (struct servicediscovery_service_attributes){
	        .service_arn = r.service->arn, .resource_owner = c->account, .attributes = r.attributes};
	out->service_attributes->attributes.set = true;
	return CALL_OK;
}

int servicediscovery_update_service_attributes(struct call *c, const struct servicediscovery_update_service_attributes_request *in,
                                               struct servicediscovery_update_service_attributes_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	(void)out;
	if (discovery_service_get(c, in->service_id, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->attributes.n; i++) {
		uint32_t at = 0;
		while (at < r.attributes.n && !str_eq(r.attributes.v[at].key, in->attributes.v[i].key))
			at++;
		struct str_map_entry *e = at < r.attributes.n ? &r.attributes.v[at] : LIST_ADD(c->arena, &r.attributes);
		*e = in->attributes.v[i];
	}
	if (r.attributes.n > ATTRIBUTES_MAX)
		return call_fail(c, "ServiceAttributesLimitExceededException", 400, "A service can have at most %d attributes.",
		                 ATTRIBUTES_MAX);
	discovery_service_put(&s, &r);
	return CALL_OK;
}

int servicediscovery_delete_service_attributes(struct call *c, const struct servicediscovery_delete_service_attributes_request *in,
                                               struct servicediscovery_delete_service_attributes_response *out)
{
	struct discovery_scope s = discovery_scope(c);
	struct state_servicediscovery_service_record r;
	struct str_map left = {.set = true};
	(void)out;
	if (discovery_service_get(c, in->service_id, &r) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < r.attributes.n; i++) {
		bool gone = false;
		for (uint32_t k = 0; k < in->attributes.n; k++)
			gone = gone || str_eq(in->attributes.v[k], r.attributes.v[i].key);
		if (!gone)
			*LIST_ADD(c->arena, &left) = r.attributes.v[i];
	}
	r.attributes = left;
	discovery_service_put(&s, &r);
	return CALL_OK;
}
