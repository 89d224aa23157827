/* The server of one task. Whoever can connect is one of its containers: the socket is in the task's own network namespace, so
 * nothing else has to be proved. Credentials are kept while they live and renewed five minutes before they end. */
#include "metadata.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/list.h"
#include "connect.h"
#include "core/listen.h"
#include "session.h"

#include <fcntl.h>
#include <stdlib.h>

enum { LEFT_MS = 300 * 1000, TEXT_MAX = 64 * 1024 };

struct metadata {
	struct duty *duty;
	struct listener *listener;
	struct session *session;
	struct session_wait *wait;
	struct list asking; /* who waits for credentials */
	struct connect_desk *connect;
};
struct asking {
	struct list node;
	struct http_request *request; /* in whose arena this lies */
	metadata_session_fn *fn;
	void *ctx;
};

static void reply(struct http_request *r, unsigned status, struct str body)
{
	const struct listen_header header = {S("Content-Type"), status == 200 ? S("application/json") : S("text/plain")};
	listen_reply(r, status, &header, 1, body);
}

static void not_found(struct http_request *r)
{
	reply(r, 404, S("404 page not found\n"));
}

/* --- credentials */

static struct str role_of(struct metadata *m, struct arena *a)
{
	struct state_ecs_task_record r = {0};
	struct ecs_scope s = {.arena = a, .account = m->duty->account, .region = m->duty->region};
	s.txn = store_begin(m->duty->crew->cloud->store, a);
	bool there = ecs_task_find(&s, m->duty->cluster, m->duty->id, &r);
	struct str role = there ? arena_dup(a, r.task_role) : STR_NONE;
	store_abort(s.txn);
	return role;
}

static void give(struct metadata *m, struct http_request *r, void *ctx, const struct session *s, unsigned status, struct str why)
{
	struct arena *a = listen_arena(r);
	(void)ctx;
	if (!s) {
		reply(r, status, status == 404 ? S("404 page not found\n") : why);
		return;
	}
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX);
	struct json_out o = json_out(&b);
	const struct {
		const char *name;
		struct str value;
	} members[] = {{"RoleArn", role_of(m, a)},
	               {"AccessKeyId", s->access_key},
	               {"SecretAccessKey", s->secret},
	               {"Token", s->token},
	               {"Expiration", time_format(a, s->expires_ms, TIME_ISO8601)}};
	json_open(&o, '{');
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		json_key(&o, str_from(members[i].name));
		json_string(&o, members[i].value);
	}
	json_close(&o, '}');
	reply(r, 200, arena_dup(a, buf_str(&b)));
}

static void session_came(void *ctx, struct session *s, struct str code, struct str message)
{
	struct metadata *m = ctx;
	(void)code;
	m->wait = NULL;
	session_free(m->session);
	m->session = s;
	while (!list_empty(&m->asking)) {
		struct asking *q = list_first(&m->asking, struct asking, node);
		list_remove(&q->node);
		q->fn(m, q->request, q->ctx, s, 500, arena_dup(listen_arena(q->request), message));
	}
}

static void asker_gone(void *ctx)
{
	list_remove(&((struct asking *)ctx)->node);
}

void metadata_with_session(struct metadata *m, struct http_request *r, metadata_session_fn *fn, void *ctx)
{
	struct arena *a = listen_arena(r);
	struct str role = role_of(m, a);
	if (!str_set(role)) {
		fn(m, r, ctx, NULL, 404, S("no task IAM role credentials available for task"));
		return;
	}
	if (m->session && m->session->expires_ms - clock_wall_ms() > LEFT_MS) {
		fn(m, r, ctx, m->session, 200, STR_NONE);
		return;
	}
	struct asking *q = arena_new(a, struct asking);
	q->request = r;
	q->fn = fn;
	q->ctx = ctx;
	list_init(&q->node);
	list_push(&m->asking, &q->node);
	listen_on_gone(r, asker_gone, q);
	if (!m->wait)
		m->wait = session_get(m->duty->crew, m->duty->region, role, m->duty->id, session_came, m);
}

/* --- metadata */

static void metadata_of(struct metadata *m, struct http_request *r, struct str rest)
{
	struct arena *a = listen_arena(r);
	struct str which = str_cut(&rest, '/'), head = ARENA_CAT(a, m->duty->id, S("-"));
	struct state_ecs_task_record record = {0};
	int64_t index = -1;
	struct ecs_scope s = {.arena = a, .account = m->duty->account, .region = m->duty->region};
	s.txn = store_begin(m->duty->crew->cloud->store, a);
	bool there = str_starts(which, head) && str_to_i64(str_from_at(which, head.n), &index) && index >= 0 &&
	             ecs_task_find(&s, m->duty->cluster, m->duty->id, &record) &&
	             index < record.definition->container_definitions.n && index < record.task->containers.n;
	struct str text = STR_NONE;
	struct ec2_lent lent;
	if (str_ends(rest, S("stats")))
		usage_look(m->duty);
	struct metadata_facts f = {a, m->duty, &record, NULL};
	if (there && ec2_find_lent(s.txn, a, s.account, s.region, record.interface, &lent))
		f.lent = &lent;
	if (there && !rest.n)
		text = metadata_container(&f, (uint32_t)index);
	else if (there && (str_is(rest, "task") || str_is(rest, "taskWithTags")))
		text = metadata_task(&f, str_is(rest, "taskWithTags"));
	else if (there && str_is(rest, "stats"))
		text = metadata_stats(&f, (uint32_t)index);
	else if (there && str_is(rest, "task/stats"))
		text = metadata_all_stats(&f);
	store_abort(s.txn);
	if (str_set(text))
		reply(r, 200, text);
	else
		not_found(r);
}

static void connect_ask(struct metadata *m, struct http_request *r)
{
	if (!m->connect)
		m->connect = connect_desk_new(m->duty);
	connect_answer(m->connect, r);
}

/* /api/<task>-<container>/task-protection/v1/state */
static bool is_protection(const struct metadata *m, struct str path)
{
	return str_starts(path, S("/api/")) && str_ends(path, S("/task-protection/v1/state")) &&
	       str_starts(str_from_at(path, 5), m->duty->id);
}

struct duty *metadata_duty(struct metadata *m)
{
	return m->duty;
}

static void on_request(void *ctx, struct http_request *r)
{
	struct metadata *m = ctx;
	struct str path = listen_path(r);
	if (is_protection(m, path))
		metadata_protection(m, r);
	else if (str_is(path, "/connect") && str_is(listen_method(r), "PUT"))
		connect_count(m->duty, r);
	else if (!str_is(listen_method(r), "GET"))
		reply(r, 405, S("method not allowed\n"));
	else if (str_starts(path, S("/v4/")) || str_starts(path, S("/v3/")))
		metadata_of(m, r, str_from_at(path, 4));
	else if (str_starts(path, S("/v2/credentials/")) && str_eq(str_from_at(path, 16), m->duty->id))
		metadata_with_session(m, r, give, NULL);
	else if (str_is(path, "/connect"))
		connect_ask(m, r);
	else
		not_found(r);
}

struct metadata *metadata_open(struct duty *i, int listener_fd)
{
	int fd = listener_fd < 0 ? -1 : fcntl(listener_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	struct metadata *m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->duty = i;
	list_init(&m->asking);
	m->listener = listener_open(i->crew->cloud, fd, on_request, m);
	if (m->listener)
		return m;
	free(m);
	return NULL;
}

void metadata_close(struct metadata *m)
{
	if (!m)
		return;
	listener_close(m->listener);
	connect_desk_free(m->connect);
	session_forget(m->wait);
	session_free(m->session);
	free(m);
}
