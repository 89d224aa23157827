/* CreateExportTask, DescribeExportTasks, CancelExportTask. Before a task is there, the bucket is asked and a file written to it, so
 * that a policy that is missing is told at once. */
#include "export.h"

#include "base/id.h"
#include "base/log.h"
#include "core/identity.h"
#include "gen/s3.h"

#include <stdlib.h>

enum { PAGE = 50, KEPT_MS = 14 * 86400 * 1000 };

struct str exports_under(struct arena *a, struct str account, struct str region)
{
	return KEY_UNDER(a, S("logs"), S("export"), account, region);
}

struct str export_key(struct arena *a, struct str account, struct str region, struct str id)
{
	return KEY(a, S("logs"), S("export"), account, region, id);
}

bool export_is_active(const struct state_logs_export_record *r)
{
	struct str code = r->task->status->code;
	return str_is(code, "PENDING") || str_is(code, "RUNNING") || str_is(code, "PENDING_CANCEL");
}

struct principal *export_principal(struct str account, struct str region, struct str group_name)
{
	struct principal *p = principal_new(PRINCIPAL_SERVICE, account);
	p->name = p->arn = p->user_id = ARENA_CAT(&p->arena, S("logs."), region, S(".amazonaws.com"));
	p->issuer_arn = ARENA_CAT(&p->arena, S("arn:aws:logs:"), region, S(":"), account, S(":log-group:"), group_name, S(":*"));
	return p;
}

/* --- CreateExportTask: the bucket is tried first */

enum trial_step { TRY_ACL, TRY_PUT, TRIED };
struct trial {
	struct call_errand errand;
	enum trial_step step;
	bool ours;
	char code[64];
};

static void trial_drop(struct call_errand *e)
{
	free(e);
}

static void answered(void *ctx, struct call *sub)
{
	struct trial *t = ctx;
	struct str code = str_set(sub->error.code) ? sub->error.code : S("");
	size_t n = code.n < sizeof(t->code) ? code.n : sizeof(t->code) - 1;
	memcpy(t->code, code.p, n);
	t->code[n] = 0;
	t->ours = sub->error.receiver;
	if (!n)
		t->step++;
	call_over(&t->errand);
}

static int refused(struct call *c, const struct trial *t, struct str bucket)
{
	if (t->ours)
		return call_fail(c, "ServiceUnavailableException", 0, "The service cannot complete the request.");
	if (!strcmp(t->code, "NoSuchBucket") || !strcmp(t->code, "InvalidBucketName"))
		return logs_invalid(c, "The given bucket: %.*s does not exist.", STR_ARG(bucket));
	if (!strcmp(t->code, "PermanentRedirect") || !strcmp(t->code, "AuthorizationHeaderMalformed") ||
	    !strcmp(t->code, "IllegalLocationConstraintException"))
		return logs_invalid(c, "The given bucket: %.*s is not in the same region as the log group.", STR_ARG(bucket));
	return logs_invalid(c,
	                    "%s call on the given bucket failed. Please check if CloudWatch Logs has been granted permission to "
	                    "perform this operation.",
	                    t->step == TRY_ACL ? "GetBucketAcl" : "PutObject");
}

static struct str prefix_of(const struct logs_create_export_task_request *in)
{
	return str_set(in->destination_prefix) && in->destination_prefix.n ? in->destination_prefix : S("exportedlogs");
}

static int try_bucket(struct call *c, struct trial *t, const struct logs_create_export_task_request *in)
{
	struct principal *self = export_principal(c->account, c->region, in->log_group_name);
	if (t->step == TRY_ACL) {
		const struct s3_get_bucket_acl_request ask = {.bucket = in->destination};
		call_op(c->cloud, self, c->region, &s3_api, "GetBucketAcl", &ask, answered, t);
	} else {
		const struct s3_put_object_request ask = {.bucket = in->destination,
		                                          .key = ARENA_CAT(c->arena, prefix_of(in), S("/aws-logs-write-test")),
		                                          .acl = EXPORT_ACL};
		call_op_body(c->cloud, self, c->region, &s3_api, "PutObject", &ask, S("Permission Check Successful"), answered, t);
	}
	principal_unref(self);
	return call_wait_for(c, &t->errand);
}

/* Those that ended long ago go; *ret_active: one goes on. */
static void look_at_others(struct call *c, bool *ret_active)
{
	struct str under = exports_under(c->arena, c->account, c->region), key;
	struct store_iter *i = store_scan(call_txn(c), under, store_prefix_end(c->arena, under), false);
	struct store_value v;
	*ret_active = false;
	while (store_next(i, &key, &v)) {
		struct state_logs_export_record r;
		if (!record_read(c->arena, v.value, LOGS_ROW("Export"), &r))
			continue;
		if (export_is_active(&r))
			*ret_active = true;
		else if (r.task->execution_info->completion_time.v < c->now_ms - KEPT_MS)
			store_delete(call_txn(c), arena_dup(c->arena, key));
	}
}

int logs_create_export_task(struct call *c, const struct logs_create_export_task_request *in,
                            struct logs_create_export_task_response *out)
{
	struct trial *t = c->state;
	struct logs_group group;
	bool active;
	if (logs_get_group(c, in->log_group_name, &group) != CALL_OK)
		return CALL_FAIL;
	if (in->from.v > in->to.v)
		return logs_invalid(c, "The specified time range is not valid.");
	look_at_others(c, &active);
	if (active)
		return call_fail(c, "LimitExceededException", 0, "Resource limit exceeded.");
	if (!t) {
		t = calloc(1, sizeof(*t));
		if (!t)
			die("out of memory (exports)");
		t->errand.drop = trial_drop;
	} else if (t->code[0])
		return refused(c, t, in->destination);
	if (t->step != TRIED)
		return try_bucket(c, t, in);
	struct logs_export_task_status status = {.code = S("PENDING")};
	struct logs_export_task_execution_info times = {.creation_time = OPT_INT(c->now_ms)};
	struct logs_export_task task = {.task_id = id_uuid(c->arena),
	                                .task_name = in->task_name,
	                                .log_group_name = in->log_group_name,
	                                .from = in->from,
	                                .to = in->to,
	                                .destination = in->destination,
	                                .destination_prefix = prefix_of(in),
	                                .status = &status,
	                                .execution_info = &times};
	int64_t cutoff = logs_cutoff_ms(c, &group);
	const struct state_logs_export_record r = {.task = &task,
	                                           .group = OPT_INT((int64_t)group.id),
	                                           .first = OPT_INT(in->from.v > cutoff ? in->from.v : cutoff),
	                                           .streams = in->log_stream_name_prefix};
	record_put(call_txn(c), c->arena, export_key(c->arena, c->account, c->region, task.task_id), LOGS_ROW("Export"), &r);
	out->task_id = task.task_id;
	return CALL_OK;
}

/* --- the others */

int logs_describe_export_tasks(struct call *c, const struct logs_describe_export_tasks_request *in,
                               struct logs_describe_export_tasks_response *out)
{
	struct str under = exports_under(c->arena, c->account, c->region), after, key, last = STR_NONE;
	uint32_t limit = in->limit.set ? (uint32_t)in->limit.v : PAGE;
	out->export_tasks.set = true;
	if (!logs_page_from(c, in->next_token, under, &after))
		return CALL_FAIL;
	struct store_iter *i = store_scan(call_txn(c), str_set(after) ? ARENA_CAT(c->arena, after, str_of("", 1)) : under,
	                                  store_prefix_end(c->arena, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct state_logs_export_record r;
		if (!record_read(c->arena, v.value, LOGS_ROW("Export"), &r) ||
		    (str_set(in->task_id) && !str_eq(in->task_id, r.task->task_id)) ||
		    (str_set(in->status_code) && !str_eq(in->status_code, r.task->status->code)))
			continue;
		if (out->export_tasks.n == limit) {
			out->next_token = logs_page_token(c, last);
			break;
		}
		last = arena_dup(c->arena, key);
		*LIST_ADD(c->arena, &out->export_tasks) = *r.task;
	}
	return CALL_OK;
}

int logs_cancel_export_task(struct call *c, const struct logs_cancel_export_task_request *in, struct model_none *out)
{
	struct str key = export_key(c->arena, c->account, c->region, in->task_id);
	struct state_logs_export_record r;
	(void)out;
	if (!record_get(call_txn(c), c->arena, key, LOGS_ROW("Export"), &r))
		return call_fail(c, "ResourceNotFoundException", 0, "The specified export task does not exist.");
	if (!export_is_active(&r))
		return call_fail(c, "InvalidOperationException", 0, "The specified export task has already finished.");
	/* A file may be on its way: who writes it ends the task. */
	r.task->status->code = S("PENDING_CANCEL");
	record_put(call_txn(c), c->arena, key, LOGS_ROW("Export"), &r);
	return CALL_OK;
}
