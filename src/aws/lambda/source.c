/* The operations on event source mappings. Whether the function's role may work off the queue is asked of SQS itself, before
 * anything is written. */
#include "aws/lambda/source.h"

#include "aws/lambda/credentials.h"
#include "base/id.h"
#include "base/json.h"
#include "core/authz.h"

#include <stdlib.h>

enum { BATCH_DEFAULT = 10, FIFO_BATCH_MAX = 10 };

struct str lambda_event_source_key(struct arena *a, struct str account, struct str region, struct str uuid)
{
	return KEY(a, S("lambda"), S("event_source"), account, region, uuid);
}

bool lambda_event_source_of_arn(struct str arn, struct str *ret_uuid)
{
	struct str mark = S(":event-source-mapping:");
	ptrdiff_t at = str_find(arn, mark);
	if (!str_starts(arn, S("arn:aws:lambda:")) || at < 0)
		return false;
	*ret_uuid = str_from_at(arn, (size_t)at + mark.n);
	return true;
}

static int no_source(struct call *c)
{
	return call_fail(c, "ResourceNotFoundException", 404, "The resource you requested does not exist.");
}

static int load(struct call *c, struct str uuid, struct state_lambda_event_source_record *ret)
{
	struct str key = lambda_event_source_key(c->arena, c->account, c->region, uuid);
	return record_get(call_txn(c), c->arena, key, ROW("EventSource"), ret) ? CALL_OK : no_source(c);
}

static void save(struct call *c, struct state_lambda_event_source_record *row)
{
	row->config->last_modified = OPT_TIME(c->now_ms);
	record_put(call_txn(c), c->arena, lambda_event_source_key(c->arena, c->account, c->region, row->config->uuid),
	           ROW("EventSource"), row);
}

/* --- what the queue says of the role */

struct asking {
	struct call_errand errand;
	struct cloud *cloud;
	struct arena arena;
	struct str region, url;
	struct credentials *role;
	int step;
	bool no_role;
	const char *refused; /* the operation that is denied */
	struct str code, message;
	int64_t visibility_s;
};

static void drop(struct call_errand *e)
{
	struct asking *q = (struct asking *)e;
	credentials_unref(q->role);
	arena_done(&q->arena);
	free(q);
}

static void ask(struct asking *q);

static bool is_denied(struct str code)
{
	return str_find(code, S("AccessDenied")) >= 0;
}

/* A request that may not be made is refused before it is found wrong: so one that is wrong asks for permission and does nothing. */
static void probed(void *ctx, struct call *sub)
{
	static const char *const names[] = {"ReceiveMessage", "DeleteMessage", "GetQueueAttributes"};
	struct asking *q = ctx;
	const struct sqs_get_queue_attributes_result *out = sub->out;
	if (is_denied(sub->error.code)) {
		q->refused = names[q->step];
	} else if (q->step == 2 && str_set(sub->error.code)) {
		q->code = arena_dup(&q->arena, sub->error.code);
		q->message = arena_dup(&q->arena, sub->error.message);
	} else if (q->step == 2) {
		for (uint32_t i = 0; i < out->attributes.n; i++)
			if (str_eq(out->attributes.v[i].key, S("VisibilityTimeout")))
				str_to_i64(out->attributes.v[i].value, &q->visibility_s);
	} else {
		q->step++;
		ask(q);
		return;
	}
	call_over(&q->errand);
}

static void ask(struct asking *q)
{
	struct str timeout = S("VisibilityTimeout");
	const struct sqs_receive_message_request receive = {.queue_url = q->url, .max_number_of_messages = OPT_INT(0)};
	const struct sqs_delete_message_request delete = {.queue_url = q->url, .receipt_handle = S("none")};
	const struct sqs_get_queue_attributes_request get = {.queue_url = q->url, .attribute_names = {&timeout, 1, true}};
	const struct principal *as = q->role->principal;
	if (q->step == 0)
		call_op(q->cloud, as, q->region, &sqs_api, "ReceiveMessage", &receive, probed, q);
	else if (q->step == 1)
		call_op(q->cloud, as, q->region, &sqs_api, "DeleteMessage", &delete, probed, q);
	else
		call_op(q->cloud, as, q->region, &sqs_api, "GetQueueAttributes", &get, probed, q);
}

static void have_role(void *ctx, const struct credentials *role)
{
	struct asking *q = ctx;
	if (!role || !role->principal) {
		q->no_role = true;
		call_over(&q->errand);
		return;
	}
	q->role = (struct credentials *)role;
	q->role->refs++;
	ask(q);
}

static int begin_asking(struct call *c, struct str queue_arn, struct str function, struct str role)
{
	struct asking *q = calloc(1, sizeof(*q));
	if (!q)
		abort();
	q->errand.drop = drop;
	q->cloud = c->cloud;
	arena_init(&q->arena, 0);
	q->region = arena_dup(&q->arena, c->region);
	q->url = source_queue_url(&q->arena, queue_arn);
	int said = call_wait_for(c, &q->errand);
	credentials_fetch(lambda_of(c->cloud), c->account, c->region, role, function, have_role, q);
	return said;
}

/* May the function's role work this queue off, and is a message out of sight for as long as the function may take? */
static int check_queue(struct call *c, const struct state_lambda_event_source_record *row, const struct lambda_name *n,
                       const struct lambda_function_configuration *f)
{
	const struct asking *q = c->state;
	if (!q)
		return begin_asking(c, row->config->event_source_arn, n->name, f->role);
	if (q->no_role)
		return lambda_invalid(c, "The role defined for the function cannot be assumed by Lambda.");
	if (q->refused)
		return lambda_invalid(c, "The provided execution role does not have permissions to call %s on SQS", q->refused);
	if (str_set(q->code)) {
		bool none = str_eq(q->code, S("QueueDoesNotExist"));
		struct str code = none ? S("AWS.SimpleQueueService.NonExistentQueue") : q->code;
		return lambda_invalid(c, "Error occurred while ReceiveMessage. SQS Error Code: %.*s. SQS Error Message: %.*s",
		                      STR_ARG(code), STR_ARG(q->message));
	}
	if (q->visibility_s < f->timeout.v)
		return lambda_invalid(c, "Queue visibility timeout: %lld seconds is less than Function timeout: %lld seconds",
		                      (long long)q->visibility_s, (long long)f->timeout.v);
	return CALL_OK;
}

/* --- what a mapping may say */

static int unsupported(struct call *c, const char *parameter)
{
	return lambda_invalid(c, "Unsupported %s parameter for given event source mapping type.", parameter);
}

static int check_filters(struct call *c, const struct lambda_filter_criteria *f)
{
	if (!f)
		return CALL_OK;
	if (f->filters.n > SOURCE_FILTERS_MAX)
		return lambda_invalid(c, "Exceeded maximum number of filters: %d.", SOURCE_FILTERS_MAX);
	for (uint32_t i = 0; i < f->filters.n; i++) {
		struct str why = STR_NONE;
		struct str pattern = str_set(f->filters.v[i].pattern) ? f->filters.v[i].pattern : S("");
		if (!event_pattern_compile(c->arena, pattern, &why))
			return lambda_invalid(c, "Invalid filter pattern definition. %.*s", STR_ARG(why));
	}
	return CALL_OK;
}

/* An update has all members of a creation that say something of a queue: both become this. */
struct wish {
	struct opt_bool enabled;
	struct opt_int batch_size, window_s;
	const struct lambda_filter_criteria *filters;
	const struct str_list *types;
	const struct lambda_scaling_config *scaling;
	const struct lambda_event_source_mapping_metrics_config *metrics;
};

static int set_metrics(struct call *c, const struct lambda_event_source_mapping_metrics_config *m,
                       struct lambda_event_source_mapping_configuration *f)
{
	for (uint32_t i = 0; i < m->metrics.n; i++)
		if (!str_eq(m->metrics.v[i], S("EventCount")))
			return lambda_invalid(c, "The metrics group %.*s is not supported for event sources of SQS.",
			                      STR_ARG(m->metrics.v[i]));
	f->metrics_config = m->metrics.n ? arena_new(c->arena, struct lambda_event_source_mapping_metrics_config) : NULL;
	if (f->metrics_config)
		*f->metrics_config = *m;
	return CALL_OK;
}

static int check_sizes(struct call *c, const struct lambda_event_source_mapping_configuration *f)
{
	bool fifo = str_ends(f->event_source_arn, S(".fifo"));
	if (fifo && f->batch_size.v > FIFO_BATCH_MAX)
		return lambda_invalid(c, "Batch size %lld is not supported for FIFO queues: it is 10 at the most.",
		                      (long long)f->batch_size.v);
	if (fifo && f->maximum_batching_window_in_seconds.v)
		return lambda_invalid(c, "Batching window is not supported for FIFO queues");
	if (f->batch_size.v > SOURCE_RECEIVE_MAX && !f->maximum_batching_window_in_seconds.v)
		return lambda_invalid(
		        c, "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10");
	return CALL_OK;
}

static int apply(struct call *c, const struct wish *w, struct state_lambda_event_source_record *row)
{
	struct lambda_event_source_mapping_configuration *f = row->config;
	if (check_filters(c, w->filters) != CALL_OK || (w->metrics && set_metrics(c, w->metrics, f) != CALL_OK))
		return CALL_FAIL;
	if (w->enabled.set)
		row->enabled = OPT_INT(w->enabled.v);
	if (w->batch_size.set)
		f->batch_size = w->batch_size;
	if (w->window_s.set)
		f->maximum_batching_window_in_seconds = w->window_s;
	if (w->filters) {
		f->filter_criteria = w->filters->filters.n ? arena_new(c->arena, struct lambda_filter_criteria) : NULL;
		if (f->filter_criteria)
			*f->filter_criteria = *w->filters;
	}
	if (w->types->set)
		f->function_response_types = *w->types;
	if (w->scaling) {
		f->scaling_config = w->scaling->maximum_concurrency.set ? arena_new(c->arena, struct lambda_scaling_config) : NULL;
		if (f->scaling_config)
			*f->scaling_config = *w->scaling;
	}
	return check_sizes(c, f);
}

/* The function that is named, qualified as it is; absent qualifier: $LATEST. */
static int find_function(struct call *c, struct str text, struct lambda_name *ret, struct state_lambda_version_record *version)
{
	if (lambda_load_qualified(c, text, STR_NONE, ret, version) != CALL_OK)
		return CALL_FAIL;
	if (!str_eq(ret->account, c->account))
		return call_fail(c, "AccessDeniedException", 403, "Cross-account event source mappings are not allowed.");
	return CALL_OK;
}

static int check_arn(struct call *c, struct str arn)
{
	struct str rest = arn, part[6] = {STR_NONE};
	for (int i = 0; i < 6 && str_set(rest); i++)
		part[i] = str_cut(&rest, ':');
	if (!str_set(part[5]) || str_empty(part[5]) || !str_eq(part[0], S("arn")))
		return lambda_invalid(c, "Unrecognized event source.");
	if (!str_eq(part[2], S("sqs")))
		return lambda_invalid(c, "Event sources of %.*s are not supported by this cloud: only queues of SQS are.",
		                      STR_ARG(part[2]));
	if (!str_eq(part[3], c->region))
		return lambda_invalid(c, "The queue and the function have to be in the same region.");
	return CALL_OK;
}

/* Another mapping of the same two. The scan is part of the transaction: two that are made at once are seen. */
static int check_single(struct call *c, struct str arn, struct str function_arn, struct str name)
{
	struct store_iter *it = lambda_scan(c, KEY_UNDER(c->arena, S("lambda"), S("event_source"), c->account, c->region));
	struct store_value value;
	struct str key;
	while (store_next(it, &key, &value)) {
		struct state_lambda_event_source_record row = {0};
		if (!record_read(c->arena, value.value, ROW("EventSource"), &row) || !str_eq(row.config->event_source_arn, arn) ||
		    !str_eq(row.config->function_arn, function_arn))
			continue;
		return call_fail(c, "ResourceConflictException", 409,
		                 "An event source mapping with SQS arn (\" %.*s \") and function (\" %.*s \") already exists. "
		                 "Please update or delete the existing mapping with UUID %.*s",
		                 STR_ARG(arn), STR_ARG(name), STR_ARG(row.config->uuid));
	}
	return CALL_OK;
}

static int refuse_unreal(struct call *c, struct str kms_key, const void *logging, const void *pollers)
{
	if ((str_set(kms_key) && !str_empty(kms_key)) || logging || pollers)
		return lambda_invalid(c, "KMS keys, logging and provisioned pollers of event source mappings are not supported by "
		                         "this cloud.");
	return CALL_OK;
}

/* --- the operations */

int lambda_create_event_source_mapping(struct call *c, const struct lambda_create_event_source_mapping_request *in,
                                       struct lambda_event_source_mapping_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_version_record version = {0};
	struct state_lambda_event_source_record row = {.config = out, .enabled = OPT_INT(1), .tags = in->tags};
	const struct wish wish = {in->enabled,
	                          in->batch_size,
	                          in->maximum_batching_window_in_seconds,
	                          in->filter_criteria,
	                          &in->function_response_types,
	                          in->scaling_config,
	                          in->metrics_config};
	if (!str_set(in->event_source_arn))
		return lambda_invalid(c, "Unrecognized event source.");
	if (check_arn(c, in->event_source_arn) != CALL_OK)
		return CALL_FAIL;
	if (str_set(in->starting_position))
		return unsupported(c, "StartingPosition");
	if (in->parallelization_factor.set)
		return unsupported(c, "ParallelizationFactor");
	if (in->destination_config)
		return unsupported(c, "DestinationConfig");
	if (in->maximum_record_age_in_seconds.set)
		return unsupported(c, "MaximumRecordAgeInSeconds");
	if (in->bisect_batch_on_function_error.set)
		return unsupported(c, "BisectBatchOnFunctionError");
	if (in->maximum_retry_attempts.set)
		return unsupported(c, "MaximumRetryAttempts");
	if (in->tumbling_window_in_seconds.set)
		return unsupported(c, "TumblingWindowInSeconds");
	if (refuse_unreal(c, in->kms_key_arn, in->logging_config, in->provisioned_poller_config) != CALL_OK ||
	    lambda_check_tags(c, &in->tags) != CALL_OK || find_function(c, in->function_name, &n, &version) != CALL_OK)
		return CALL_FAIL;
	struct str id = c->request_id; /* the same when the handler runs again */
	*out = (struct lambda_event_source_mapping_configuration){
	        .uuid = id,
	        .batch_size = OPT_INT(BATCH_DEFAULT),
	        .maximum_batching_window_in_seconds = OPT_INT(0),
	        .event_source_arn = in->event_source_arn,
	        .function_arn = lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier),
	        .state = S("Creating"),
	        .state_transition_reason = S("USER_INITIATED"),
	        .event_source_mapping_arn =
	                ARENA_CAT(c->arena, S("arn:aws:lambda:"), c->region, S(":"), c->account, S(":event-source-mapping:"), id),
	};
	if (apply(c, &wish, &row) != CALL_OK || check_single(c, in->event_source_arn, out->function_arn, n.name) != CALL_OK)
		return CALL_FAIL;
	int said = check_queue(c, &row, &n, version.config);
	if (said == CALL_OK)
		save(c, &row);
	return said;
}

int lambda_get_event_source_mapping(struct call *c, const struct lambda_get_event_source_mapping_request *in,
                                    struct lambda_event_source_mapping_configuration *out)
{
	struct state_lambda_event_source_record row = {0};
	if (load(c, in->uuid, &row) != CALL_OK)
		return CALL_FAIL;
	*out = *row.config;
	return CALL_OK;
}

int lambda_update_event_source_mapping(struct call *c, const struct lambda_update_event_source_mapping_request *in,
                                       struct lambda_event_source_mapping_configuration *out)
{
	struct lambda_name n;
	struct state_lambda_version_record version = {0};
	struct state_lambda_event_source_record row = {0};
	const struct wish wish = {in->enabled,
	                          in->batch_size,
	                          in->maximum_batching_window_in_seconds,
	                          in->filter_criteria,
	                          &in->function_response_types,
	                          in->scaling_config,
	                          in->metrics_config};
	if (load(c, in->uuid, &row) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(row.config->state, S("Deleting")))
		return call_fail(c, "ResourceInUseException", 400, "Cannot update the event source mapping because it is in use.");
	if (in->parallelization_factor.set)
		return unsupported(c, "ParallelizationFactor");
	if (in->destination_config)
		return unsupported(c, "DestinationConfig");
	if (in->maximum_record_age_in_seconds.set)
		return unsupported(c, "MaximumRecordAgeInSeconds");
	if (in->bisect_batch_on_function_error.set)
		return unsupported(c, "BisectBatchOnFunctionError");
	if (in->maximum_retry_attempts.set)
		return unsupported(c, "MaximumRetryAttempts");
	if (in->tumbling_window_in_seconds.set)
		return unsupported(c, "TumblingWindowInSeconds");
	if (refuse_unreal(c, in->kms_key_arn, in->logging_config, in->provisioned_poller_config) != CALL_OK)
		return CALL_FAIL;
	struct str named = str_set(in->function_name) ? in->function_name : row.config->function_arn;
	bool asks = str_set(in->function_name) || (in->enabled.set && in->enabled.v);
	if (asks && find_function(c, named, &n, &version) != CALL_OK)
		return CALL_FAIL;
	if (asks)
		row.config->function_arn = lambda_function_arn(c->arena, n.region, n.account, n.name, n.qualifier);
	bool was_on = row.enabled.v;
	if (apply(c, &wish, &row) != CALL_OK)
		return CALL_FAIL;
	int said = asks ? check_queue(c, &row, &n, version.config) : CALL_OK;
	if (said != CALL_OK)
		return said;
	row.config->state = was_on == (bool)row.enabled.v ? S("Updating") : row.enabled.v ? S("Enabling") : S("Disabling");
	save(c, &row);
	*out = *row.config;
	return CALL_OK;
}

int lambda_delete_event_source_mapping(struct call *c, const struct lambda_delete_event_source_mapping_request *in,
                                       struct lambda_event_source_mapping_configuration *out)
{
	struct state_lambda_event_source_record row = {0};
	if (load(c, in->uuid, &row) != CALL_OK)
		return CALL_FAIL;
	if (str_eq(row.config->state, S("Deleting")))
		return call_fail(c, "ResourceInUseException", 400, "Cannot delete the event source mapping because it is in use.");
	row.config->state = S("Deleting");
	save(c, &row);
	*out = *row.config;
	return CALL_OK;
}

/* A function's name means its mappings by whatever qualifier; a qualified name those alone. */
static bool is_of_function(const struct lambda_name *n, const struct lambda_event_source_mapping_configuration *f)
{
	struct lambda_name of = {0};
	lambda_name_split(f->function_arn, &of);
	return str_eq(of.name, n->name) && (!str_set(n->qualifier) || str_eq(n->qualifier, of.qualifier));
}

int lambda_list_event_source_mappings(struct call *c, const struct lambda_list_event_source_mappings_request *in,
                                      struct lambda_list_event_source_mappings_response *out)
{
	struct lambda_list l;
	struct lambda_name n = {0};
	struct state_lambda_event_source_record row = {0};
	bool named = str_set(in->function_name) && !str_empty(in->function_name);
	if (named && lambda_name_parse(c, in->function_name, STR_NONE, &n) != CALL_OK)
		return CALL_FAIL;
	struct str prefix = KEY_UNDER(c->arena, S("lambda"), S("event_source"), c->account, c->region);
	if (lambda_list_begin(c, prefix, false, in->marker, in->max_items, &l) != CALL_OK)
		return CALL_FAIL;
	out->event_source_mappings.set = true;
	for (; lambda_list_next(&l, ROW("EventSource"), &row); row = (struct state_lambda_event_source_record){0}) {
		if ((named && !is_of_function(&n, row.config)) ||
		    (str_set(in->event_source_arn) && !str_eq(in->event_source_arn, row.config->event_source_arn)))
			continue;
		if (!lambda_list_take(&l, &out->next_marker))
			break;
		*LIST_ADD(c->arena, &out->event_source_mappings) = *row.config;
	}
	return CALL_OK;
}
