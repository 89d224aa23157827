/* What the proxies of tasks count becomes AWS/ECS's metrics of Service Connect. Each says, a line a name of its task that something
 * went through: `f0 ACTIVE TARGETS MS CONNECTIONS REQUESTS IN OUT 2XX 3XX 4XX 5XX`, the first three as it is now, the others since
 * its last report; `d0` is a door before a port of the task's own. What reaches a service is counted where it goes in: at its door,
 * or by the client's proxy where it has none. What targets do is the client's side. */
#include "connect.h"

#include "base/clock.h"
#include "core/listen.h"
#include "engine/metrics/metrics.h"

enum { BODY_MAX = 64 * 1024, MINUTE_S = 60, DIMENSIONS = 3, CODES = 4 };
enum part { ACTIVE, TARGETS, MS, CONNECTIONS, REQUESTS, IN, OUT, FIRST_CODE, PARTS = FIRST_CODE + CODES };

struct put {
	struct duty *duty;
	struct http_request *request;
};

struct counts {
	struct str name;
	double n[PARTS];
};

/* False: it is none of a proxy's lines. */
static bool read_line(struct str line, struct counts *ret)
{
	ret->name = str_cut(&line, ' ');
	for (int i = 0; i < PARTS; i++)
		if (!str_set(line) || !str_to_double(str_cut(&line, ' '), &ret->n[i]) || !(ret->n[i] >= 0 && ret->n[i] < 1e15))
			return false;
	return !str_set(line);
}

/* By the name that clients use, and by that and a service: the one that has it, or the one that asks for it. */
struct place {
	const struct duty *duty;
	struct metric_dimension by[DIMENSIONS];
};

static void put_times(const struct place *p, const char *name, const char *unit, double x, double times)
{
	struct metrics *to = p->duty->crew->cloud->metrics;
	const struct metric_value value = {x, times};
	struct metric m = {p->duty->account, p->duty->region, S("AWS/ECS"), str_from(name), str_from(unit), p->by, 1};
	metrics_put_values(to, &m, clock_wall_ms(), MINUTE_S, &value, 1);
	m.dimension_count = DIMENSIONS;
	metrics_put_values(to, &m, clock_wall_ms(), MINUTE_S, &value, 1);
}

static void put(const struct place *p, const char *name, const char *unit, double x)
{
	put_times(p, name, unit, x, 1);
}

static void put_inbound(const struct duty *i, const struct counts *c, const struct state_ecs_connect_owner *of, struct str protocol)
{
	const struct place p = {
	        i, {{S("DiscoveryName"), of->discovery}, {S("ServiceName"), of->service}, {S("ClusterName"), of->cluster}}};
	put(&p, "ActiveConnectionCount", "Count", c->n[ACTIVE]);
	put(&p, "NewConnectionCount", "Count", c->n[CONNECTIONS]);
	put(&p, "ProcessedBytes", "Bytes", c->n[IN] + c->n[OUT]);
	if (str_is(protocol, "tcp"))
		return;
	put(&p, "RequestCount", "Count", c->n[REQUESTS]);
	if (str_is(protocol, "grpc"))
		put(&p, "GrpcRequestCount", "Count", c->n[REQUESTS]);
}

static void put_target(const struct duty *i, const struct counts *c, struct str discovery, struct str service, struct str protocol)
{
	static const char *const codes[CODES] = {"HTTPCode_Target_2XX_Count", "HTTPCode_Target_3XX_Count",
	                                         "HTTPCode_Target_4XX_Count", "HTTPCode_Target_5XX_Count"};
	const struct place p = {
	        i, {{S("TargetDiscoveryName"), discovery}, {S("ServiceName"), service}, {S("ClusterName"), i->cluster}}};
	double responses = 0;
	put(&p, "TargetProcessedBytes", "Bytes", c->n[IN] + c->n[OUT]);
	if (str_is(protocol, "tcp"))
		return;
	for (int k = 0; k < CODES; k++) {
		responses += c->n[FIRST_CODE + k];
		if (c->n[FIRST_CODE + k] > 0)
			put(&p, codes[k], "Count", c->n[FIRST_CODE + k]);
	}
	if (c->n[TARGETS] > 0)
		put(&p, "RequestCountPerTarget", "Count", c->n[REQUESTS] / c->n[TARGETS]);
	if (responses > 0)
		put_times(&p, "TargetResponseTime", "Milliseconds", c->n[MS], responses);
}

static void take(const struct duty *i, const struct state_ecs_task_record *r, const struct counts *c)
{
	int64_t at;
	bool door = str_starts(c->name, S("d"));
	if ((!door && !str_starts(c->name, S("f"))) || !str_to_i64(str_from_at(c->name, 1), &at) || at < 0 ||
	    at >= (int64_t)(door ? r->connect->doors.n : r->connect->names.n))
		return;
	if (door) {
		const struct state_ecs_connect_door *d = &r->connect->doors.v[at];
		if (d->server)
			put_inbound(i, c, d->server, d->protocol);
		return;
	}
	const struct state_ecs_connect_name *n = &r->connect->names.v[at];
	if (!n->server)
		return;
	if (!n->door.v)
		put_inbound(i, c, n->server, n->protocol);
	if (str_starts(r->task->group, S("service:")))
		put_target(i, c, n->server->discovery, str_from_at(r->task->group, sizeof("service:") - 1), n->protocol);
}

static void answer(struct http_request *r, unsigned status)
{
	const struct listen_header header = {S("Content-Type"), S("text/plain")};
	listen_reply(r, status, &header, 1, S(""));
}

/* Who asks is one of the task's containers, so it can say wrong things of what its task reaches, and of nothing else. */
static void collected(void *ctx, struct str body, int status)
{
	struct put *p = ctx;
	struct duty *i = p->duty;
	struct state_ecs_task_record r = {0};
	struct ecs_scope s = {.arena = listen_arena(p->request), .account = i->account, .region = i->region};
	if (status != 0) {
		answer(p->request, 400);
		return;
	}
	s.txn = store_begin(i->crew->cloud->store, s.arena);
	bool there = ecs_task_find(&s, i->cluster, i->id, &r) && r.connect;
	while (there && i->crew->cloud->metrics && str_set(body)) {
		struct counts c;
		if (read_line(str_cut(&body, '\n'), &c))
			take(i, &r, &c);
	}
	store_abort(s.txn);
	answer(p->request, there ? 200 : 404);
}

void connect_count(struct duty *i, struct http_request *r)
{
	struct put *p = arena_new(listen_arena(r), struct put);
	*p = (struct put){i, r};
	listen_body_collect(r, BODY_MAX, collected, p);
}
