#include "role/clock.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/authz.h"
#include "core/cloud.h"
#include "core/record.h"
#include "http/http.h"
#include "role/exec.h"

#include <errno.h>
#include <stdlib.h>

#define MOST_MS (INT64_C(10) * 366 * 86400 * 1000) /* in all */
static const char too_far[] = "the clock goes forward, at most ten years in all";

struct move {
	struct cloud *cloud;
	struct http_request *request; /* NULL: the client has left */
	struct arena arena;
	int64_t by_ms;
};

static int64_t ahead_ms(void)
{
	return clock_wall_ms() - clock_machine_ms();
}

static struct str key(struct arena *a)
{
	return KEY(a, S("quartet"), S("clock"));
}

/* As it is written down. */
static int64_t read_ahead_ms(struct store_txn *t, struct arena *a)
{
	struct store_value v;
	int64_t ahead = 0;
	return store_get(t, key(a), &v) && str_to_i64(v.value, &ahead) && ahead > 0 ? ahead : 0;
}

void clock_open(struct cloud *cloud)
{
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(cloud->store, &a);
	int64_t ahead = read_ahead_ms(t, &a);
	if (ahead) {
		clock_shift_ms(ahead);
		log_info("the clock is %lld s ahead of the machine's", (long long)ahead / 1000);
	}
	store_abort(t);
}

static void reply(struct http_request *r, unsigned status, struct str text)
{
	struct http_header h[] = {{S("content-type"), S("text/plain")}};
	http_reply(r, status, h, 1, ARENA_CAT(http_arena(r), text, S("\n")));
}

static void tell(struct http_request *r)
{
	struct arena *a = http_arena(r);
	struct str now = time_format(a, clock_wall_ms() / 1000 * 1000, TIME_ISO8601);
	reply(r, 200, arena_printf(a, "%.*s %lld", STR_ARG(now), (long long)ahead_ms()));
}

static void client_left(void *ctx)
{
	((struct move *)ctx)->request = NULL;
}

static void move_end(struct move *m, unsigned status, const char *why)
{
	if (m->request) {
		http_on_gone(m->request, NULL, NULL);
		if (why)
			reply(m->request, status, str_from(why));
		else
			tell(m->request);
	}
	arena_done(&m->arena);
	free(m);
}

static void move_run(struct move *m);

static void moved(void *ctx, int result, uint64_t revision)
{
	struct move *m = ctx;
	(void)revision;
	if (result == -EAGAIN) {
		move_run(m);
		return;
	}
	if (result) {
		move_end(m, 500, "that could not be written down");
		return;
	}
	/* of two that are under way at a time, each brings its part */
	clock_shift_ms(ahead_ms() + m->by_ms);
	loop_skip(m->cloud->loop, m->by_ms * 1000);
	log_info("the clock was moved forward by %lld s", (long long)m->by_ms / 1000);
	move_end(m, 200, NULL);
}

static void move_run(struct move *m)
{
	arena_reset(&m->arena);
	struct store_txn *t = store_begin(m->cloud->store, &m->arena);
	int64_t to_ms = read_ahead_ms(t, &m->arena) + m->by_ms;
	if (to_ms > MOST_MS) {
		store_abort(t);
		move_end(m, 400, too_far);
		return;
	}
	store_put(t, key(&m->arena), arena_printf(&m->arena, "%lld", (long long)to_ms));
	store_commit(t, moved, m);
}

static void forward(struct cloud *cloud, struct http_request *r, int64_t by_ms)
{
	struct move *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory (clock)");
	*m = (struct move){.cloud = cloud, .request = r, .by_ms = by_ms};
	http_on_gone(r, client_left, m);
	move_run(m);
}

static void obey(struct cloud *cloud, struct http_request *r, const struct principal *who)
{
	struct authz az = {.action = S("quartet:MoveClock"), .resource = S("*")};
	struct str_map tags = {0};
	struct str query = http_head(r)->query, region = http_header(r, S("x-quartet-region")), name = str_cut(&query, '='), why;
	int64_t by_ms;
	if (!str_is(name, "forward") || !str_set(query) || !str_to_i64(query, &by_ms) || by_ms < 1 || by_ms > MOST_MS)
		reply(r, 400, str_from(too_far));
	else if (!gate_may(cloud->gate, r, who, region, &az, &tags, &why))
		reply(r, 403, why);
	else
		forward(cloud, r, by_ms);
}

void clock_take(struct cloud *cloud, struct http_request *r)
{
	const struct principal *who = exec_who_asks(cloud, r);
	if (!who)
		reply(r, 403, S("this is for those who have a key: that in the data directory's credentials, or a user's"));
	else if (str_is(http_head(r)->method, "GET"))
		tell(r);
	else
		obey(cloud, r, who);
	principal_unref(who);
}
