#include "role/chaos.h"
#include "role/exec.h"

#include "aws/ec2/instance/fault.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/uri.h"
#include "core/chaos.h"
#include "core/service.h"
#include "http/http.h"

#include <stdlib.h>

enum { LIST_BYTES_MAX = 16384 };

enum { DELAY_MAX_MS = 60000 };

static const struct kind {
	const char *name;
	int kind;                   /* enum chaos_kind; -1: it is done to one instance, once */
	bool percent, milliseconds; /* what amount is */
} kinds[] = {
        {"zone-down", CHAOS_ZONE_DOWN},
        {"slow", CHAOS_SLOW, .milliseconds = true},
        {"lossy", CHAOS_LOSSY, .percent = true},
        {"api-throttle", CHAOS_THROTTLE, .percent = true},
        {"spot-interrupt", -1},
        {"spot-rebalance", -1},
        {"kill-instance", -1},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct wish {
	const struct kind *kind;
	struct str target;
	int64_t amount, for_ms, number;
};

static void reply(struct http_request *r, unsigned status, struct str text)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, status, h, 1, ARENA_CAT(http_arena(r), text, S("\n")));
}

static const char *name_of(enum chaos_kind kind)
{
	for (int i = 0; i < KINDS; i++)
		if (kinds[i].kind == (int)kind)
			return kinds[i].name;
	return "";
}

static void list(const struct cloud *cloud, struct http_request *r)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, LIST_BYTES_MAX);
	const struct chaos_fault *f = NULL;
	while ((f = chaos_after(cloud->chaos, f ? f->number : 0))) {
		buf_printf(&b, "%u %s %s", f->number, name_of(f->kind), f->target);
		if (f->amount)
			buf_printf(&b, f->kind == CHAOS_SLOW ? " by %u ms" : " %u %%", f->amount);
		buf_printf(&b, ", %lld s left\n", (long long)((f->until_us - clock_mono_us() + 999999) / 1000000));
	}
	struct str text = buf_str(&b);
	reply(r, 200, arena_dup(http_arena(r), text.n ? str_sub(text, 0, text.n - 1) : S("no faults")));
}

static bool read_query(struct http_request *r, struct wish *w)
{
	struct str query = http_head(r)->query;
	struct uri_part part;
	while (uri_next_part(&query, &part)) {
		struct str value = uri_decode(http_arena(r), part.value);
		int64_t *number = str_is(part.name, "amount")   ? &w->amount
		                  : str_is(part.name, "for")    ? &w->for_ms
		                  : str_is(part.name, "number") ? &w->number
		                                                : NULL;
		if (str_is(part.name, "target"))
			w->target = value;
		else if (!number || !str_to_i64(value, number) || *number < 0)
			return false;
	}
	return w->for_ms <= INT64_C(1000) * CHAOS_DURATION_MAX_S;
}

static bool is_service(struct str id)
{
	for (unsigned i = 0; cloud_services[i]; i++)
		if (str_is(id, cloud_services[i]->api->id))
			return true;
	return str_is(id, "all");
}

/* --- one instance */

struct asked {
	struct http_request *request; /* NULL: the client has left */
	struct arena arena;
	struct fault_on_instance fault;
};

static void client_left(void *ctx)
{
	((struct asked *)ctx)->request = NULL;
}

static void interrupted(void *ctx, const char *error)
{
	struct asked *a = ctx;
	if (a->request) {
		http_on_gone(a->request, NULL, NULL);
		reply(a->request, error ? 409 : 200, error ? str_from(error) : S("told"));
	}
	arena_done(&a->arena);
	free(a);
}

static void interrupt(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str region,
                      const struct wish *w)
{
	struct asked *a = calloc(1, sizeof(*a));
	if (!a)
		die("out of memory (chaos)");
	a->request = r;
	a->fault = (struct fault_on_instance){.account = arena_dup(&a->arena, who->account),
	                                      .region = arena_dup(&a->arena, region),
	                                      .instance = arena_dup(&a->arena, w->target),
	                                      .in_ms = str_is(str_from(w->kind->name), "spot-interrupt") ? w->for_ms : 0,
	                                      .done = interrupted,
	                                      .ctx = a};
	http_on_gone(r, client_left, a);
	fault_interrupt(cloud, &a->fault);
}

static void on_instance(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str region,
                        const struct wish *w)
{
	const char *error = NULL;
	if (str_starts(str_from(w->kind->name), S("spot-"))) {
		interrupt(cloud, r, who, region, w);
		return;
	}
	error = fault_kill(cloud, who->account, region, w->target);
	reply(r, error ? 409 : 200, error ? str_from(error) : S("killed"));
}

/* --- faults that last */

static void begin(struct cloud *cloud, struct http_request *r, const struct wish *w)
{
	const char *error = NULL;
	if (w->kind->percent && (w->amount < 1 || w->amount > 100))
		error = "the share has to be 1 to 100 percent";
	else if (w->kind->milliseconds && (w->amount < 1 || w->amount > DELAY_MAX_MS))
		error = "the delay has to be 1 to 60000 milliseconds";
	else if (w->kind->kind == CHAOS_THROTTLE && !is_service(w->target))
		error = "there is no such service: see `quartet coverage`";
	else if (w->for_ms < 1000)
		error = "it has to last for a second at least";
	if (error) {
		reply(r, 400, str_from(error));
		return;
	}
	if (w->kind->kind != CHAOS_THROTTLE)
		error = fault_zone(cloud, http_arena(r), w->target, w->kind->kind == CHAOS_SLOW);
	if (error) {
		reply(r, 409, str_from(error));
		return;
	}
	unsigned number =
	        chaos_begin(cloud->chaos, (enum chaos_kind)w->kind->kind, w->target, (unsigned)w->amount, w->for_ms * 1000);
	if (!number) {
		reply(r, 409, S("there are as many faults as may be: stop one"));
		return;
	}
	log_info("chaos: fault %u: %s %.*s for %lld s", number, w->kind->name, STR_ARG(w->target), (long long)w->for_ms / 1000);
	reply(r, 200, arena_printf(http_arena(r), "%u", number));
}

/* What it is about, for the permission: an instance with its tags, or all. */
static bool may(struct cloud *cloud, struct http_request *r, const struct principal *who, struct str region, const struct wish *w,
                struct str *ret_why)
{
	struct arena *a = http_arena(r);
	struct authz az = {.action = S("quartet:InjectFault"), .resource = S("*")};
	struct str_map tags = {0};
	if (w->kind && w->kind->kind < 0) {
		az.resource = arena_printf(a, "arn:aws:ec2:%.*s:%.*s:instance/%.*s", STR_ARG(region), STR_ARG(who->account),
		                           STR_ARG(w->target));
		fault_instance_tags(cloud, a, who->account, region, w->target, &tags);
	}
	return gate_may(cloud->gate, r, who, region, &az, &tags, ret_why);
}

static void obey(struct cloud *cloud, struct http_request *r, const struct principal *who)
{
	struct str what = str_from_at(http_head(r)->path, sizeof("/_quartet/chaos/") - 1), why;
	struct str region = http_header(r, S("x-quartet-region"));
	struct wish w = {.amount = 0, .for_ms = 60000};
	bool stop = str_is(what, "stop");
	for (int i = 0; i < KINDS; i++)
		if (str_is(what, kinds[i].name))
			w.kind = &kinds[i];
	if ((!w.kind && !stop) || !read_query(r, &w) || (w.kind && (!w.target.n || w.target.n >= CHAOS_TARGET_MAX)))
		reply(r, 400, S("there is no such fault, or it lasts for more than a day"));
	else if (!may(cloud, r, who, region, &w, &why))
		reply(r, 403, why);
	else if (stop)
		reply(r, 200, arena_printf(http_arena(r), "%u", chaos_end(cloud->chaos, (unsigned)w.number)));
	else if (w.kind->kind < 0)
		on_instance(cloud, r, who, region, &w);
	else
		begin(cloud, r, &w);
}

void chaos_take(struct cloud *cloud, struct http_request *r)
{
	const struct principal *who = exec_who_asks(cloud, r);
	if (!who)
		reply(r, 403, S("this is for those who have a key: that in the data directory's credentials, or a user's"));
	else if (str_is(http_head(r)->path, "/_quartet/chaos"))
		list(cloud, r);
	else
		obey(cloud, r, who);
	principal_unref(who);
}
