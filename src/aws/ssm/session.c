/* StartSession, ResumeSession, TerminateSession, DescribeSessions, GetConnectionStatus. */
#include "sessions.h"

#include "aws/ec2/ec2.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#define SHELL "SSM-SessionManagerRunShell"
#define COMMAND "AWS-StartInteractiveCommand"
enum { LISTED_MAX = 200, COMMAND_MAX = 8192 };

/* --- StartSession */

static int no_such_parameter(struct call *c, struct str document, struct str name)
{
	return call_fail(c, "InvalidParameters", 400, "Parameter \"%.*s\" is not defined in document %.*s.", STR_ARG(name),
	                 STR_ARG(document));
}

/* The one command of the document's parameters, for a shell. */
static int take_command(struct call *c, const struct ssm_start_session_request *in, struct ssm_session_spec *spec)
{
	struct str command = STR_NONE;
	for (uint32_t i = 0; i < in->parameters.n; i++) {
		const struct ssm_session_manager_parameters_entry *p = &in->parameters.v[i];
		if (!str_is(p->key, "command"))
			return no_such_parameter(c, spec->document, p->key);
		if (p->value.n == 1)
			command = p->value.v[0];
	}
	if (!command.n || command.n > COMMAND_MAX || memchr(command.p, 0, command.n))
		return call_fail(c, "InvalidParameters", 400, "The document %.*s needs the parameter command with one command.",
		                 STR_ARG(spec->document));
	struct str words[] = {S("/bin/sh"), S("-c"), command};
	for (int i = 0; i < 3; i++)
		*LIST_ADD(c->arena, &spec->words) = words[i];
	struct buf b;
	struct json_out o = json_out(&b);
	buf_init(&b, (size_t)COMMAND_MAX * 8);
	json_open(&o, '{');
	json_key(&o, S("linux"));
	json_open(&o, '{');
	json_key(&o, S("commands"));
	json_string(&o, command);
	json_key(&o, S("runAsElevated"));
	json_bool(&o, true);
	json_close(&o, '}');
	json_close(&o, '}');
	spec->type = S("InteractiveCommands");
	spec->properties = arena_dup(c->arena, buf_str(&b));
	buf_done(&b);
	return CALL_OK;
}

static int take_document(struct call *c, const struct ssm_start_session_request *in, struct ssm_session_spec *spec)
{
	spec->document = in->document_name.n ? in->document_name : S(SHELL);
	if (str_starts(spec->document, S("arn:")))
		spec->document = str_from_at(spec->document, (size_t)(str_rfind_char(spec->document, '/') + 1));
	if (str_is(spec->document, COMMAND))
		return take_command(c, in, spec);
	if (str_starts(spec->document, S("AWS-StartPortForwardingSession")) || str_is(spec->document, "AWS-StartSSHSession") ||
	    str_is(spec->document, "AWS-StartNonInteractiveCommand"))
		return call_fail(c, "UnsupportedOperationException", 501, "Quartet does not provide sessions of the document %.*s.",
		                 STR_ARG(spec->document));
	if (!str_is(spec->document, SHELL))
		return call_fail(c, "InvalidDocument", 0, "Document with name %.*s does not exist.", STR_ARG(spec->document));
	if (in->parameters.n)
		return no_such_parameter(c, spec->document, in->parameters.v[0].key);
	spec->type = S("Standard_Stream");
	return CALL_OK;
}

int ssm_start_session(struct call *c, const struct ssm_start_session_request *in, struct ssm_start_session_response *out)
{
	struct ssm_session_spec *spec = arena_new(c->arena, struct ssm_session_spec);
	struct ssm_session_keys keys;
	*spec = (struct ssm_session_spec){
	        .target = in->target, .place = in->target, .where = SSM_IN_INSTANCE, .why = in->reason.n ? in->reason : STR_NONE};
	if (take_document(c, in, spec) != CALL_OK)
		return CALL_FAIL;
	if (!ec2_instance_runs(c, in->target))
		return call_fail(c, "TargetNotConnected", 0, "%.*s is not connected.", STR_ARG(in->target));
	bool root = c->caller->kind == PRINCIPAL_ROOT || !c->caller->name.n;
	if (ssm_session_begin(c, root ? S("root") : c->caller->name, spec, &keys) != CALL_OK)
		return CALL_FAIL;
	*out = (struct ssm_start_session_response){.session_id = keys.id, .token_value = keys.token, .stream_url = keys.url};
	return CALL_OK;
}

/* --- the others */

int ssm_resume_session(struct call *c, const struct ssm_resume_session_request *in, struct ssm_resume_session_response *out)
{
	struct state_ssm_session_record r = {0};
	struct ssm_session_keys keys;
	if (!ssm_session_find(c, in->session_id, &r))
		return call_fail(c, "DoesNotExistException", 0, "Session %.*s does not exist.", STR_ARG(in->session_id));
	out->session_id = in->session_id;
	/* Clients take an answer without a token for a session that has ended. */
	if (ssm_session_resume(c, in->session_id, &keys)) {
		out->token_value = keys.token;
		out->stream_url = keys.url;
	}
	return CALL_OK;
}

static void terminate(struct call *c)
{
	const struct ssm_terminate_session_request *in = c->in;
	ssm_session_terminate(c->cloud, c->account, c->region, in->session_id);
}

int ssm_terminate_session(struct call *c, const struct ssm_terminate_session_request *in,
                          struct ssm_terminate_session_response *out)
{
	out->session_id = in->session_id; /* also of one that has ended, or never was */
	call_after_commit(c, terminate);
	return CALL_OK;
}

int ssm_get_connection_status(struct call *c, const struct ssm_get_connection_status_request *in,
                              struct ssm_get_connection_status_response *out)
{
	out->target = in->target;
	out->status = ec2_instance_runs(c, in->target) ? S("connected") : S("notconnected");
	return CALL_OK;
}

static int check_filters(struct call *c, const struct ssm_session_filter_list *filters)
{
	static const char *const keys[] = {"InvokedAfter", "InvokedBefore", "Target", "Owner", "Status", "SessionId", "AccessType"};
	for (uint32_t i = 0; i < filters->n; i++) {
		const struct ssm_session_filter *f = &filters->v[i];
		int64_t ms;
		unsigned k = 0;
		while (k < sizeof(keys) / sizeof(keys[0]) && !str_is(f->key, keys[k]))
			k++;
		if (k == sizeof(keys) / sizeof(keys[0]))
			return call_fail(c, "InvalidFilterKey", 0, "The specified key isn't valid: %.*s.", STR_ARG(f->key));
		if (k < 2 && !time_parse(f->value, &ms))
			return call_fail(c, "InvalidFilterKey", 0, "%.*s is not a date and time.", STR_ARG(f->value));
	}
	return CALL_OK;
}

static bool matches(const struct state_ssm_session_record *r, const struct ssm_session_filter *f)
{
	int64_t ms = 0;
	if (str_is(f->key, "InvokedAfter"))
		return time_parse(f->value, &ms) && r->started.ms >= ms;
	if (str_is(f->key, "InvokedBefore"))
		return time_parse(f->value, &ms) && r->started.ms < ms;
	if (str_is(f->key, "AccessType"))
		return str_is(f->value, "Standard");
	return str_eq(f->value, str_is(f->key, "Target")   ? r->target
	                        : str_is(f->key, "Owner")  ? r->owner
	                        : str_is(f->key, "Status") ? r->status
	                                                   : r->session_id);
}

int ssm_describe_sessions(struct call *c, const struct ssm_describe_sessions_request *in,
                          struct ssm_describe_sessions_response *out)
{
	uint32_t limit = in->max_results.set ? (uint32_t)in->max_results.v : LISTED_MAX;
	struct str under = ssm_sessions_under(c->arena, c->account, c->region), from = under, key, last = STR_NONE;
	struct store_value v;
	out->sessions.set = true;
	if (check_filters(c, &in->filters) != CALL_OK)
		return CALL_FAIL;
	if (in->next_token.n) {
		struct str token = ssm_page_key(c, in->next_token, under);
		if (!str_set(token))
			return call_fail(c, "InvalidNextToken", 0, "The specified token is not valid.");
		from = ARENA_CAT(c->arena, token, str_of("", 1));
	}
	struct store_iter *i = store_scan(call_txn(c), from, store_prefix_end(c->arena, under), false);
	while (store_next(i, &key, &v)) {
		struct state_ssm_session_record r = {0};
		bool is = ssm_session_read(c->arena, v.value, &r) && str_is(r.status, "Terminated") == str_is(in->state, "History");
		for (uint32_t k = 0; is && k < in->filters.n; k++)
			is = matches(&r, &in->filters.v[k]);
		if (!is)
			continue;
		if (out->sessions.n == limit) {
			out->next_token = ssm_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->sessions) = (struct ssm_session){.session_id = r.session_id,
		                                                           .target = r.target,
		                                                           .status = r.status,
		                                                           .start_date = r.started,
		                                                           .end_date = r.ended,
		                                                           .document_name = r.document,
		                                                           .owner = r.owner,
		                                                           .reason = r.reason,
		                                                           .access_type = S("Standard")};
		last = arena_dup(c->arena, key);
	}
	return CALL_OK;
}
