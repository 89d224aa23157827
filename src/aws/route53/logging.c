/* CreateQueryLoggingConfig, GetQueryLoggingConfig, ListQueryLoggingConfigs, DeleteQueryLoggingConfig. What is made is tried first:
 * a stream in the group, by the principal that is to write there. query_log.c does the writing. */
#include "query_log.h"

#include "base/id.h"
#include "gen/logs.h"

#include <string.h>

enum { PAGE_MAX = 100 };

static const struct record_type row = {&state_route53_api, "LoggingRecord"};

static struct str under_all(struct call *c)
{
	return KEY_UNDER(c->arena, S("route53"), S("logging"), c->account);
}

static struct str key_of(struct call *c, struct str id)
{
	return KEY(c->arena, S("route53"), S("logging"), c->account, id);
}

bool route53_logging_read(struct arena *a, struct str value, struct route53_query_logging_config *ret)
{
	struct state_route53_logging_record r;
	if (!record_read(a, value, &row, &r))
		return false;
	*ret = *r.config;
	return true;
}

/* All that there are; with `zone`, its own. */
struct configs {
	struct route53_query_logging_config *v;
	uint32_t n;
	bool set;
};

static struct configs find(struct call *c, struct str zone)
{
	struct configs all = {0};
	struct str under = under_all(c), key;
	struct store_iter *iter = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(iter, &key, &v)) {
		struct route53_query_logging_config one;
		if (route53_logging_read(c->arena, v.value, &one) && (!str_set(zone) || str_eq(one.hosted_zone_id, zone)))
			*LIST_ADD(c->arena, &all) = one;
	}
	return all;
}

void route53_logging_drop(struct call *c, struct str zone)
{
	struct configs mine = find(c, zone);
	for (uint32_t i = 0; i < mine.n; i++)
		store_delete(call_txn(c), key_of(c, mine.v[i].id));
}

/* Is there a group that takes lines? */
static int try_group(struct call *c, struct str zone, struct str group)
{
	struct logs_create_log_stream_request in = {.log_group_name = group, .log_stream_name = S("route53-test-log-stream")};
	struct principal *as = query_log_principal(c->account, zone);
	int result = call_try(c, as, S(ROUTE53_REGION), &logs_api, "CreateLogStream", &in);
	principal_unref(as);
	return result;
}

int route53_create_query_logging_config(struct call *c, const struct route53_create_query_logging_config_request *in,
                                        struct route53_create_query_logging_config_response *out)
{
	struct state_route53_zone_record zone;
	const char *code;
	struct str group = query_log_group(in->cloud_watch_logs_log_group_arn, c->account);
	if (route53_zone_get(c, in->hosted_zone_id, &zone) != CALL_OK)
		return CALL_FAIL;
	struct str id = route53_zone_id(&zone);
	if (zone.zone->config->private_zone.v)
		return route53_invalid(c, "Query logging is not possible for the private hosted zone %.*s", STR_ARG(id));
	if (!str_set(group))
		return route53_invalid(
		        c, "The ARN of the CloudWatch Logs log group is not valid. The log group must be in the account of the "
		           "hosted zone and in the US East (N. Virginia) Region.");
	if (find(c, id).n)
		return call_fail(c, "QueryLoggingConfigAlreadyExists", 409,
		                 "A query logging configuration already exists for this hosted zone.");
	if (!call_tried(c, &code))
		return try_group(c, id, group);
	if (strcmp(code, "ResourceNotFoundException") == 0)
		return call_fail(c, "NoSuchCloudWatchLogsLogGroup", 404, "The specified CloudWatch Logs log group doesn't exist.");
	if (code[0] && strcmp(code, "ResourceAlreadyExistsException") != 0)
		return call_fail(
		        c, "InsufficientCloudWatchLogsResourcePolicy", 400,
		        "Amazon Route 53 does not have the permissions required to create log streams and send query logs to log "
		        "streams. Amazon Route 53 requires the logs:CreateLogStream and logs:PutLogEvents permissions.");
	struct route53_query_logging_config *made = arena_new(c->arena, struct route53_query_logging_config);
	*made = (struct route53_query_logging_config){.id = id_uuid(c->arena),
	                                              .hosted_zone_id = id,
	                                              .cloud_watch_logs_log_group_arn = in->cloud_watch_logs_log_group_arn};
	record_put(call_txn(c), c->arena, key_of(c, made->id), &row, &(struct state_route53_logging_record){made});
	out->query_logging_config = made;
	out->location = ARENA_CAT(c->arena, S("https://route53.amazonaws.com/2013-04-01/queryloggingconfig/"), made->id);
	return CALL_OK;
}

static int get(struct call *c, struct str id, struct state_route53_logging_record *ret)
{
	return record_get(call_txn(c), c->arena, key_of(c, id), &row, ret)
	               ? CALL_OK
	               : call_fail(c, "NoSuchQueryLoggingConfig", 404,
	                           "There is no DNS query logging configuration with the specified ID.");
}

int route53_get_query_logging_config(struct call *c, const struct route53_get_query_logging_config_request *in,
                                     struct route53_get_query_logging_config_response *out)
{
	struct state_route53_logging_record r;
	if (get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	out->query_logging_config = r.config;
	return CALL_OK;
}

int route53_delete_query_logging_config(struct call *c, const struct route53_delete_query_logging_config_request *in,
                                        struct route53_delete_query_logging_config_response *out)
{
	struct state_route53_logging_record r;
	(void)out;
	if (get(c, in->id, &r) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), key_of(c, in->id));
	return CALL_OK;
}

int route53_list_query_logging_configs(struct call *c, const struct route53_list_query_logging_configs_request *in,
                                       struct route53_list_query_logging_configs_response *out)
{
	struct state_route53_zone_record zone;
	uint32_t most;
	if (!route53_page(c, in->max_results, PAGE_MAX, &most) ||
	    (in->hosted_zone_id.n && route53_zone_get(c, in->hosted_zone_id, &zone) != CALL_OK))
		return CALL_FAIL;
	struct configs all = find(c, in->hosted_zone_id.n ? route53_id(in->hosted_zone_id) : STR_NONE);
	out->query_logging_configs.set = true;
	for (uint32_t i = 0; i < all.n; i++) {
		if (in->next_token.n && str_cmp(all.v[i].id, in->next_token) < 0)
			continue;
		if (out->query_logging_configs.n == most) {
			out->next_token = all.v[i].id;
			break;
		}
		*LIST_ADD(c->arena, &out->query_logging_configs) = all.v[i];
	}
	return CALL_OK;
}
