/* CreateApiDestination, UpdateApiDestination, DescribeApiDestination, ListApiDestinations, DeleteApiDestination. */
#include "connection.h"

#include "base/id.h"

enum { RATE = 300 };

static struct str arn_of(struct arena *a, struct str account, struct str region, struct str name, struct str id)
{
	return ARENA_CAT(a, S("arn:aws:events:"), region, S(":"), account, S(":api-destination/"), name, S("/"), id);
}

bool api_destination_find(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str name,
                          struct api_destination *ret)
{
	*ret = (struct api_destination){.key = KEY(a, S("events"), S("api_destination"), account, region, name), .name = name};
	if (!record_get(t, a, ret->key, EVENTS_ROW("ApiDestination"), &ret->r))
		return false;
	ret->arn = arn_of(a, account, region, name, ret->r.id);
	return true;
}

bool api_destination_of_arn(struct store_txn *t, struct arena *a, struct str arn, struct api_destination *ret)
{
	struct str rest = arn, parts[5];
	for (int i = 0; i < 5; i++)
		parts[i] = str_cut(&rest, ':');
	if (!str_starts(rest, S("api-destination/")))
		return false;
	rest = str_from_at(rest, S("api-destination/").n);
	return api_destination_find(t, a, parts[4], parts[3], str_cut(&rest, '/'), ret) && str_eq(ret->arn, arn);
}

static int get(struct call *c, struct str name, struct api_destination *ret)
{
	if (api_destination_find(call_txn(c), c->arena, c->account, c->region, name, ret))
		return CALL_OK;
	return events_absent(c, "Failed to describe the api-destination(s). An api-destination '%.*s' does not exist.",
	                     STR_ARG(name));
}

/* A destination is as good as its connection. */
static struct str state_of(struct call *c, const struct api_destination *d)
{
	struct connection k;
	bool good = connection_of_arn(call_txn(c), c->arena, d->r.connection, &k) && str_is(k.r.state, "AUTHORIZED");
	return good ? S("ACTIVE") : S("INACTIVE");
}

static int check(struct call *c, const struct api_destination *d)
{
	struct connection k;
	if (!connection_of_arn(call_txn(c), c->arena, d->r.connection, &k) || !str_eq(k.account, c->account) ||
	    !str_eq(k.region, c->region))
		return events_absent(c, "Connection '%.*s' does not exist.", STR_ARG(d->r.connection));
	return connection_check_endpoint(c, "InvocationEndpoint", d->r.endpoint);
}

static void save(struct call *c, struct api_destination *d)
{
	d->r.modified = OPT_TIME(c->now_ms);
	d->r.local = OPT_BOOL(call_from_here(c));
	record_put(call_txn(c), c->arena, d->key, EVENTS_ROW("ApiDestination"), &d->r);
}

int events_create_api_destination(struct call *c, const struct events_create_api_destination_request *in,
                                  struct events_create_api_destination_response *out)
{
	struct api_destination d;
	if (api_destination_find(call_txn(c), c->arena, c->account, c->region, in->name, &d))
		return call_fail(c, "ResourceAlreadyExistsException", 400, "An api-destination '%.*s' already exists.",
		                 STR_ARG(in->name));
	d.r = (struct state_events_api_destination_record){
	        .id = id_uuid(c->arena),
	        .description = in->description,
	        .connection = in->connection_arn,
	        .endpoint = in->invocation_endpoint,
	        .method = in->http_method,
	        .rate = OPT_INT(in->invocation_rate_limit_per_second.set ? in->invocation_rate_limit_per_second.v : RATE),
	        .created = OPT_TIME(c->now_ms)};
	if (check(c, &d) != CALL_OK)
		return CALL_FAIL;
	save(c, &d);
	out->api_destination_arn = arn_of(c->arena, c->account, c->region, d.name, d.r.id);
	out->api_destination_state = state_of(c, &d);
	out->creation_time = d.r.created;
	out->last_modified_time = d.r.modified;
	return CALL_OK;
}

int events_update_api_destination(struct call *c, const struct events_update_api_destination_request *in,
                                  struct events_update_api_destination_response *out)
{
	struct api_destination d;
	if (get(c, in->name, &d) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->description))
		d.r.description = in->description;
	if (str_set(in->connection_arn))
		d.r.connection = in->connection_arn;
	if (str_set(in->invocation_endpoint))
		d.r.endpoint = in->invocation_endpoint;
	if (str_set(in->http_method))
		d.r.method = in->http_method;
	if (in->invocation_rate_limit_per_second.set)
		d.r.rate = OPT_INT(in->invocation_rate_limit_per_second.v);
	if (check(c, &d) != CALL_OK)
		return CALL_FAIL;
	save(c, &d);
	out->api_destination_arn = d.arn;
	out->api_destination_state = state_of(c, &d);
	out->creation_time = d.r.created;
	out->last_modified_time = d.r.modified;
	return CALL_OK;
}

int events_describe_api_destination(struct call *c, const struct events_describe_api_destination_request *in,
                                    struct events_describe_api_destination_response *out)
{
	struct api_destination d;
	if (get(c, in->name, &d) != CALL_OK)
		return CALL_FAIL;
	*out = (struct events_describe_api_destination_response){.api_destination_arn = d.arn,
	                                                         .name = d.name,
	                                                         .description = d.r.description,
	                                                         .api_destination_state = state_of(c, &d),
	                                                         .connection_arn = d.r.connection,
	                                                         .invocation_endpoint = d.r.endpoint,
	                                                         .http_method = d.r.method,
	                                                         .invocation_rate_limit_per_second = d.r.rate,
	                                                         .creation_time = d.r.created,
	                                                         .last_modified_time = d.r.modified};
	return CALL_OK;
}

int events_list_api_destinations(struct call *c, const struct events_list_api_destinations_request *in,
                                 struct events_list_api_destinations_response *out)
{
	struct events_page p;
	events_page_begin(c, &p, KEY_UNDER(c->arena, S("events"), S("api_destination"), c->account, c->region), in->limit,
	                  in->next_token);
	out->api_destinations.set = true;
	while (events_page_next(c, &p, in->name_prefix, &out->next_token)) {
		struct api_destination d;
		if (!api_destination_find(call_txn(c), c->arena, c->account, c->region, p.last, &d) ||
		    (str_set(in->connection_arn) && !str_eq(in->connection_arn, d.r.connection)))
			continue;
		*LIST_ADD(c->arena, &out->api_destinations) =
		        (struct events_api_destination){.api_destination_arn = d.arn,
		                                        .name = d.name,
		                                        .api_destination_state = state_of(c, &d),
		                                        .connection_arn = d.r.connection,
		                                        .invocation_endpoint = d.r.endpoint,
		                                        .http_method = d.r.method,
		                                        .invocation_rate_limit_per_second = d.r.rate,
		                                        .creation_time = d.r.created,
		                                        .last_modified_time = d.r.modified};
	}
	return CALL_OK;
}

int events_delete_api_destination(struct call *c, const struct events_delete_api_destination_request *in,
                                  struct events_delete_api_destination_response *out)
{
	struct api_destination d;
	(void)out;
	if (get(c, in->name, &d) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), d.key);
	return CALL_OK;
}
