/* A task protects itself from being scaled in: what GetTaskProtection and UpdateTaskProtection say, asked in the name of the task's
 * role, without that the task has to know what it is called. Answers look as the agent of AWS gives them. */
#include "metadata.h"

#include "base/clock.h"
#include "base/json.h"
#include "core/listen.h"
#include "rows.h"
#include "session.h"

#include <stdlib.h>

enum { BODY_MAX = 4096, TEXT_MAX = 64 * 1024 };

/* One question, from the session on. */
struct question {
	struct http_request *request; /* NULL: it is gone */
	const struct principal *as;
	struct str arn;
	struct arena arena;
};

/* A PUT, in its request's arena. */
struct put {
	struct metadata *m;
	struct http_request *request;
	struct ecs_update_task_protection_request in;
};

static void say(struct http_request *r, unsigned status, const struct buf *b)
{
	const struct listen_header header = {S("Content-Type"), S("application/json")};
	listen_reply(r, status, &header, 1, arena_dup(listen_arena(r), buf_str(b)));
}

static void say_error(struct http_request *r, unsigned status, struct str arn, struct str code, struct str message)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("error"));
	json_open(&o, '{');
	json_key(&o, S("Arn"));
	json_string(&o, arn);
	json_key(&o, S("Code"));
	json_string(&o, code);
	json_key(&o, S("Message"));
	json_string(&o, message);
	json_close(&o, '}');
	json_close(&o, '}');
	say(r, status, &b);
}

static void say_found(struct http_request *r, const struct ecs_protected_tasks *found, const struct ecs_failures *failures)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	if (failures->n) {
		json_key(&o, S("failure"));
		json_open(&o, '{');
		json_key(&o, S("Arn"));
		json_string(&o, failures->v[0].arn);
		json_key(&o, S("Detail"));
		json_string(&o, failures->v[0].detail);
		json_key(&o, S("Reason"));
		json_string(&o, failures->v[0].reason);
	} else {
		const struct opt_time until = found->v[0].expiration_date;
		json_key(&o, S("protection"));
		json_open(&o, '{');
		json_key(&o, S("ExpirationDate"));
		json_string(&o, until.set ? time_format(listen_arena(r), until.ms, TIME_ISO8601_MS) : STR_NONE);
		json_key(&o, S("ProtectionEnabled"));
		json_bool(&o, found->v[0].protection_enabled.v);
		json_key(&o, S("TaskArn"));
		json_string(&o, found->v[0].task_arn);
	}
	json_close(&o, '}');
	json_close(&o, '}');
	say(r, failures->n ? 400 : 200, &b);
}

static void gone(void *ctx)
{
	((struct question *)ctx)->request = NULL;
}

static void answer(struct question *q, const struct call *sub, const struct ecs_protected_tasks *found,
                   const struct ecs_failures *failures)
{
	struct http_request *r = q->request;
	if (r)
		listen_on_gone(r, NULL, NULL);
	if (r && str_set(sub->error.code))
		say_error(r, sub->error.status, q->arn, sub->error.code, sub->error.message);
	else if (r)
		say_found(r, found, failures);
	principal_unref(q->as);
	arena_done(&q->arena);
	free(q);
}

static void got(void *ctx, struct call *sub)
{
	const struct ecs_get_task_protection_response *out = sub->out;
	answer(ctx, sub, out ? &out->protected_tasks : NULL, out ? &out->failures : NULL);
}

static void updated(void *ctx, struct call *sub)
{
	const struct ecs_update_task_protection_response *out = sub->out;
	answer(ctx, sub, out ? &out->protected_tasks : NULL, out ? &out->failures : NULL);
}

static struct str arn_of(struct arena *a, const struct duty *i)
{
	return ecs_task_arn(a, &(struct ecs_scope){.account = i->account, .region = i->region}, i->cluster, i->id);
}

/* NULL: there is no session, and that was said. */
static struct question *ask(struct metadata *m, struct http_request *r, const struct session *s, unsigned status, struct str why)
{
	struct arena *a = listen_arena(r);
	if (!s) {
		say_error(r, status == 404 ? 403 : status, arn_of(a, metadata_duty(m)), S("AccessDeniedException"),
		          ARENA_CAT(a, S("Invalid Request: "), why));
		return NULL;
	}
	struct question *q = calloc(1, sizeof(*q));
	if (!q)
		abort();
	q->request = r;
	q->as = principal_ref(s->principal);
	q->arn = arn_of(&q->arena, metadata_duty(m));
	listen_on_gone(r, gone, q);
	return q;
}

static void get(struct metadata *m, struct http_request *r, void *ctx, const struct session *s, unsigned status, struct str why)
{
	(void)ctx;
	const struct duty *i = metadata_duty(m);
	struct question *q = ask(m, r, s, status, why);
	if (!q)
		return;
	struct ecs_get_task_protection_request in = {.cluster = i->cluster};
	*LIST_ADD(&q->arena, &in.tasks) = q->arn;
	call_op(i->crew->cloud, q->as, i->region, &ecs_api, "GetTaskProtection", &in, got, q);
}

/* False: *ret_why says what is wrong with the body. */
static bool read_body(struct arena *a, struct str body, struct ecs_update_task_protection_request *ret, struct str *ret_why)
{
	const struct json_value *v = json_parse(a, body, NULL);
	bool good = v && v->kind == JSON_OBJECT;
	for (const struct json_value *m = good ? v->first : NULL; m; m = m->next) {
		int64_t minutes;
		if (str_is(m->key, "ProtectionEnabled") && (m->kind == JSON_TRUE || m->kind == JSON_FALSE))
			ret->protection_enabled = OPT_BOOL(m->kind == JSON_TRUE);
		else if (str_is(m->key, "ExpiresInMinutes") && m->kind == JSON_NUMBER && json_to_int(m->text, &minutes))
			ret->expires_in_minutes = OPT_INT(minutes);
		else if (m->kind != JSON_NULL || (!str_is(m->key, "ProtectionEnabled") && !str_is(m->key, "ExpiresInMinutes")))
			good = false;
	}
	if (!good)
		*ret_why = S("UpdateTaskProtection: failed to decode request");
	else if (!ret->protection_enabled.set)
		*ret_why = S("Invalid request: does not contain 'ProtectionEnabled' field");
	return good && ret->protection_enabled.set;
}

static void update(struct metadata *m, struct http_request *r, void *ctx, const struct session *s, unsigned status, struct str why)
{
	const struct duty *i = metadata_duty(m);
	struct put *p = ctx;
	struct question *q = ask(m, r, s, status, why);
	if (!q)
		return;
	p->in.cluster = i->cluster;
	*LIST_ADD(&q->arena, &p->in.tasks) = q->arn;
	call_op(i->crew->cloud, q->as, i->region, &ecs_api, "UpdateTaskProtection", &p->in, updated, q);
}

static void collected(void *ctx, struct str body, int status)
{
	struct put *p = ctx;
	struct arena *a = listen_arena(p->request);
	struct str why = S("UpdateTaskProtection: failed to decode request");
	if (status == 0 && read_body(a, body, &p->in, &why))
		metadata_with_session(p->m, p->request, update, p);
	else
		say_error(p->request, 400, arn_of(a, metadata_duty(p->m)), S("InvalidParameterException"), why);
}

void metadata_protection(struct metadata *m, struct http_request *r)
{
	if (str_is(listen_method(r), "GET")) {
		metadata_with_session(m, r, get, NULL);
		return;
	}
	if (!str_is(listen_method(r), "PUT")) {
		const struct listen_header header = {S("Content-Type"), S("text/plain")};
		listen_reply(r, 405, &header, 1, S("method not allowed\n"));
		return;
	}
	struct put *p = arena_new(listen_arena(r), struct put);
	p->m = m;
	p->request = r;
	listen_body_collect(r, BODY_MAX, collected, p);
}
