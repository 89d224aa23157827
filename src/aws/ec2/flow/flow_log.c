/* CreateFlowLogs, DescribeFlowLogs, DeleteFlowLogs. A flow log is about one thing; a request makes one for each that it names. */
#include "aws/ec2/flow/flow_log.h"

#include "aws/ec2/network/vpc.h"

enum { RESOURCES_MAX = 1000, LOGS_MAX = 2 /* of one thing */, INTERVAL_SHORT_S = 60, INTERVAL_LONG_S = 600 };

const struct ec2_kind ec2_kind_flow_log = {
        .prefix = "fl",
        .type = "vpc-flow-log",
        .noun = "flow log ID",
        .ids = "flowLogIds",
        .not_found = "InvalidFlowLogId.NotFound",
        .malformed = "InvalidFlowLogId.Malformed",
        .tags_at = offsetof(struct ec2_flow_log, tags),
        .row = {&ec2_api, "FlowLog"},
        .size = sizeof(struct ec2_flow_log),
};

bool ec2_flow_log_covers(const struct ec2_flow_log *f, const struct ec2_network_interface *eni)
{
	/* a NAT gateway has no interface of its own in the kernel, so nothing of it can be counted */
	return !str_is(eni->interface_type, "nat_gateway") &&
	       (str_eq(f->resource_id, eni->network_interface_id) || str_eq(f->resource_id, eni->subnet_id) ||
	        str_eq(f->resource_id, eni->vpc_id));
}

bool ec2_flows_wanted(const struct ec2_scope *s, const struct ec2_network_interface *eni)
{
	struct ec2_flow_log f;
	struct ec2_all all = ec2_all(s, &ec2_kind_flow_log);
	while (ec2_next(&all, &f))
		if (ec2_flow_log_covers(&f, eni))
			return true;
	return false;
}

struct str ec2_flow_destination(const struct ec2_flow_log *f, struct str *ret_prefix)
{
	struct str bucket = str_from_at(f->log_destination, S("arn:aws:s3:::").n);
	*ret_prefix = STR_NONE;
	if (!str_is(f->log_destination_type, "s3"))
		return f->log_group_name;
	ptrdiff_t slash = str_find_char(bucket, '/');
	if (slash < 0)
		return bucket;
	*ret_prefix = str_from_at(bucket, (size_t)slash + 1);
	if (ret_prefix->n && ret_prefix->p[ret_prefix->n - 1] == '/')
		*ret_prefix = str_sub(*ret_prefix, 0, ret_prefix->n - 1);
	return str_sub(bucket, 0, (size_t)slash);
}

/* --- create: what all flow logs of the request have in common */

static int invalid(struct call *c, const char *message)
{
	return call_fail(c, "InvalidParameter", 400, "%s", message);
}

/* "arn:aws:logs:REGION:ACCOUNT:log-group:NAME", with ":*" or without. */
static bool group_of_arn(struct call *c, struct str arn, struct str *ret)
{
	struct str head = ARENA_CAT(c->arena, S("arn:aws:logs:"), c->region, S(":"), c->account, S(":log-group:"));
	if (!str_starts(arn, head))
		return false;
	struct str rest = str_from_at(arn, head.n);
	*ret = str_cut(&rest, ':');
	return ret->n > 0;
}

static int take_group(struct call *c, const struct ec2_create_flow_logs_request *in, struct ec2_flow_log *f)
{
	struct str role = in->deliver_logs_permission_arn;
	if (str_set(in->log_destination) && str_set(in->log_group_name))
		return call_fail(c, "InvalidParameter", 400, "Please only provide LogGroupName or only provide LogDestination.");
	if (str_set(in->log_destination)) {
		if (!group_of_arn(c, in->log_destination, &f->log_group_name))
			return invalid(c, "LogDestination is not the ARN of a log group of this account and region.");
	} else if (!in->log_group_name.n) {
		return invalid(c, "LogGroupName can't be empty if LogDestinationType is cloud-watch-logs.");
	} else {
		f->log_group_name = in->log_group_name;
	}
	if (in->destination_options)
		return invalid(c, "DestinationOptions are only supported for LogDestinationType s3.");
	if (!role.n)
		return invalid(c, "DeliverLogsPermissionArn can't be empty if LogDestinationType is cloud-watch-logs.");
	if (!str_starts(role, S("arn:aws:iam::")) || str_find(role, S(":role/")) < 0)
		return invalid(c, "DeliverLogsPermissionArn is not the ARN of an IAM role.");
	struct authz az = {.action = S("iam:PassRole"), .resource = role};
	authz_add(c, &az, "iam:PassedToService", S("vpc-flow-logs.amazonaws.com"));
	if (!call_authorize(c, &az))
		return CALL_FAIL;
	f->deliver_logs_permission_arn = role;
	f->log_destination =
	        ARENA_CAT(c->arena, S("arn:aws:logs:"), c->region, S(":"), c->account, S(":log-group:"), f->log_group_name);
	return CALL_OK;
}

static int take_bucket(struct call *c, const struct ec2_create_flow_logs_request *in, struct ec2_flow_log *f)
{
	const struct ec2_destination_options_request *o = in->destination_options;
	if (!str_starts(in->log_destination, S("arn:aws:s3:::")) || in->log_destination.n == S("arn:aws:s3:::").n)
		return invalid(c, "LogDestination must be the ARN of a bucket if LogDestinationType is s3.");
	if (str_set(in->log_group_name))
		return invalid(c, "LogGroupName is not supported for LogDestinationType s3.");
	if (str_set(in->deliver_logs_permission_arn))
		return invalid(c, "DeliverLogsPermissionArn is not supported for LogDestinationType s3.");
	if (o && str_set(o->file_format) && !str_is(o->file_format, "plain-text"))
		return ec2_unsupported(c, "Any file format of flow logs but plain text");
	f->log_destination = in->log_destination;
	struct str prefix, bucket = ec2_flow_destination(f, &prefix);
	if (!bucket.n || str_find(prefix, S("AWSLogs")) >= 0)
		return invalid(c, "LogDestination may not hold AWSLogs.");
	f->destination_options = arena_new(c->arena, struct ec2_destination_options_response);
	*f->destination_options = (struct ec2_destination_options_response){
	        .file_format = S("plain-text"),
	        .hive_compatible_partitions = OPT_BOOL(o && o->hive_compatible_partitions.v),
	        .per_hour_partition = OPT_BOOL(o && o->per_hour_partition.v)};
	return CALL_OK;
}

static int take_common(struct call *c, const struct ec2_create_flow_logs_request *in, struct ec2_flow_log *f)
{
	struct str wrong;
	f->log_destination_type = str_set(in->log_destination_type) ? in->log_destination_type : S("cloud-watch-logs");
	if (str_set(in->deliver_cross_account_role))
		return ec2_unsupported(c, "Delivery of flow logs to another account");
	if (!str_set(in->traffic_type))
		return ec2_missing(c, "TrafficType");
	if (!str_is(in->traffic_type, "ACCEPT") && !str_is(in->traffic_type, "REJECT") && !str_is(in->traffic_type, "ALL"))
		return invalid(c, "TrafficType must be ACCEPT, REJECT or ALL.");
	f->traffic_type = in->traffic_type;
	f->log_format = str_set(in->log_format) && in->log_format.n ? in->log_format : S(FLOW_FORMAT_DEFAULT);
	if (!flow_format_good(f->log_format, &wrong))
		return call_fail(c, "InvalidParameter", 400, "Unknown fields provided: %.*s", STR_ARG(wrong));
	f->max_aggregation_interval = in->max_aggregation_interval.set ? in->max_aggregation_interval : OPT_INT(INTERVAL_LONG_S);
	if (f->max_aggregation_interval.v != INTERVAL_SHORT_S && f->max_aggregation_interval.v != INTERVAL_LONG_S)
		return invalid(c, "Invalid Flow Log Max Aggregation Interval");
	if (str_is(f->log_destination_type, "s3"))
		return take_bucket(c, in, f);
	if (str_is(f->log_destination_type, "cloud-watch-logs"))
		return take_group(c, in, f);
	return str_is(f->log_destination_type, "kinesis-data-firehose")
	               ? ec2_unsupported(c, "Delivery of flow logs to Firehose")
	               : invalid(c, "LogDestinationType must be cloud-watch-logs or s3.");
}

/* --- create: each thing */

static int check_resources(struct call *c, const struct ec2_create_flow_logs_request *in)
{
	static const struct {
		const char *type;
		const struct ec2_kind *kind;
	} types[] = {{"VPC", &ec2_kind_vpc}, {"Subnet", &ec2_kind_subnet}, {"NetworkInterface", &ec2_kind_interface}};
	const struct ec2_kind *kind = NULL;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (str_is(in->resource_type, types[i].type))
			kind = types[i].kind;
	if (!kind && str_starts(in->resource_type, S("TransitGateway")))
		return ec2_unsupported(c, "A flow log of a transit gateway");
	if (!kind)
		return invalid(c, "ResourceType must be VPC, Subnet or NetworkInterface.");
	if (in->resource_ids.n > RESOURCES_MAX)
		return invalid(c, "At most 1000 resources may be named in one request.");
	for (uint32_t i = 0; i < in->resource_ids.n; i++)
		if (ec2_get(c, kind, in->resource_ids.v[i], arena_zalloc(c->arena, kind->size)) != CALL_OK)
			return CALL_FAIL;
	return CALL_OK;
}

static bool is_same(const struct ec2_flow_log *a, const struct ec2_flow_log *b)
{
	return str_eq(a->resource_id, b->resource_id) && str_eq(a->traffic_type, b->traffic_type) &&
	       str_eq(a->log_destination, b->log_destination) && str_eq(a->log_format, b->log_format);
}

/* *ret_count: how many its thing has. */
static bool is_there(const struct ec2_scope *s, const struct ec2_flow_log *f, unsigned *ret_count)
{
	struct ec2_flow_log other;
	*ret_count = 0;
	struct ec2_all all = ec2_all(s, &ec2_kind_flow_log);
	while (ec2_next(&all, &other)) {
		*ret_count += str_eq(f->resource_id, other.resource_id);
		if (is_same(f, &other))
			return true;
	}
	return false;
}

static void not_done(struct call *c, struct ec2_unsuccessful_item_set *to, struct str id, const char *code, struct str message)
{
	struct ec2_unsuccessful_item *u = LIST_ADD(c->arena, to);
	u->resource_id = id;
	u->error = arena_new(c->arena, struct ec2_unsuccessful_item_error);
	*u->error = (struct ec2_unsuccessful_item_error){.code = str_from(code), .message = message};
}

int ec2_create_flow_logs(struct call *c, const struct ec2_create_flow_logs_request *in, struct ec2_create_flow_logs_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_flow_log common = {0};
	bool there = true;
	unsigned n;
	if (take_common(c, in, &common) != CALL_OK || check_resources(c, in) != CALL_OK ||
	    ec2_tags_at_creation(c, &in->tag_specifications, &ec2_kind_flow_log, &common.tags) != CALL_OK)
		return CALL_FAIL;
	if (str_is(common.log_destination_type, "s3")) {
		struct str prefix, bucket = ec2_flow_destination(&common, &prefix);
		int said = ec2_flow_bucket_ready(c, bucket, &there);
		if (said != CALL_OK)
			return said;
		s = ec2_scope(c);
	}
	out->client_token = in->client_token;
	out->flow_log_ids.set = out->unsuccessful.set = true;
	for (uint32_t i = 0; i < in->resource_ids.n; i++) {
		struct ec2_flow_log f = common;
		f.resource_id = in->resource_ids.v[i];
		if (!there) {
			not_done(c, &out->unsuccessful, f.resource_id, "400",
			         ARENA_CAT(c->arena, S("LogDestination: "), ec2_flow_destination(&f, &(struct str){0}),
			                   S(" does not exist.")));
			continue;
		}
		if (is_there(&s, &f, &n)) {
			not_done(c, &out->unsuccessful, f.resource_id, "FlowLogAlreadyExists",
			         S("Error. There is an existing Flow Log with the same configuration and log destination."));
			continue;
		}
		if (n >= LOGS_MAX) {
			not_done(c, &out->unsuccessful, f.resource_id, "FlowLogsLimitExceeded",
			         S("The maximum number of flow logs of this resource has been reached."));
			continue;
		}
		f.flow_log_id = ec2_new_id(c->arena, "fl");
		f.flow_log_status = S("ACTIVE");
		f.deliver_logs_status = S("SUCCESS");
		f.creation_time = OPT_TIME(c->now_ms);
		ec2_put(&s, &ec2_kind_flow_log, f.flow_log_id, &f);
		*LIST_ADD(c->arena, &out->flow_log_ids) = f.flow_log_id;
	}
	return CALL_OK;
}

/* --- delete and describe */

int ec2_delete_flow_logs(struct call *c, const struct ec2_delete_flow_logs_request *in, struct ec2_delete_flow_logs_result *out)
{
	struct ec2_scope s = ec2_scope(c);
	struct ec2_flow_log f;
	for (uint32_t i = 0; i < in->flow_log_ids.n; i++)
		if (!ec2_id_well_formed(in->flow_log_ids.v[i], "fl"))
			return ec2_malformed(c, &ec2_kind_flow_log, in->flow_log_ids.v[i]);
	out->unsuccessful.set = true;
	for (uint32_t i = 0; i < in->flow_log_ids.n; i++) {
		struct str id = in->flow_log_ids.v[i];
		if (ec2_find(&s, &ec2_kind_flow_log, id, &f))
			ec2_drop(&s, &ec2_kind_flow_log, id);
		else
			not_done(c, &out->unsuccessful, id, ec2_kind_flow_log.not_found,
			         ARENA_CAT(c->arena, S("The flow log ID '"), id, S("' does not exist")));
	}
	return CALL_OK;
}

static const struct ec2_field fields[] = {
        FIELD_TEXT("deliver-log-status", ec2_flow_log, deliver_logs_status),
        FIELD_TEXT("flow-log-id", ec2_flow_log, flow_log_id),
        FIELD_TEXT("log-destination-type", ec2_flow_log, log_destination_type),
        FIELD_TEXT("log-group-name", ec2_flow_log, log_group_name),
        FIELD_TEXT("resource-id", ec2_flow_log, resource_id),
        FIELD_TEXT("traffic-type", ec2_flow_log, traffic_type),
        {0},
};

static void show(struct call *c, void *record, void *out)
{
	struct ec2_flow_log *f = record;
	f->tags.set = true;
	*LIST_ADD(c->arena, &((struct ec2_describe_flow_logs_result *)out)->flow_logs) = *f;
}

int ec2_describe_flow_logs(struct call *c, const struct ec2_describe_flow_logs_request *in,
                           struct ec2_describe_flow_logs_result *out)
{
	out->flow_logs.set = true;
	return ec2_describe(c,
	                    &(struct ec2_walk){.kind = &ec2_kind_flow_log,
	                                       .fields = fields,
	                                       .filters = &in->filter,
	                                       .ids = &in->flow_log_ids,
	                                       .max_results = &in->max_results,
	                                       .next_token = in->next_token,
	                                       .show = show},
	                    out, &out->next_token);
}
