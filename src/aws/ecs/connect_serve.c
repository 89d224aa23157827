/* The proxy says which answer it has; it gets the next one as soon as there is another, and the same after a while. */
#include "connect.h"

#include "base/buf.h"
#include "base/hash.h"
#include "core/listen.h"
#include "scheduled.h"

#include <stdlib.h>

enum { TEXT_MAX_BYTES = 1 << 20, WAIT_US = 20 * 1000000, SERVERS = 64 };

struct connect_desk {
	struct duty *duty;
	struct store_watch *watch;
	struct list waiting;
	struct loop_timer *soon;
};
struct waiting {
	struct list node;
	struct connect_desk *desk;
	struct http_request *request; /* in whose arena this lies */
	struct loop_timer *timer;
	struct str have;
};

struct str connect_endpoints(const struct ecs_scope *s, const struct state_ecs_task_record *r)
{
	struct buf CLEAN_BUF b = {0};
	struct discovery_scope d = {.txn = s->txn, .arena = s->arena, .account = s->account, .region = s->region};
	uint32_t from = 0;
	buf_init(&b, TEXT_MAX_BYTES);
	for (size_t k = 0; k < r->id.n; k++)
		from = from * 31 + (unsigned char)r->id.p[k];
	for (uint32_t k = 0; k < r->connect->names.n; k++) {
		struct str_list all = discovery_endpoints(&d, r->connect->names.v[k].service);
		buf_printf(&b, "b%u", k);
		for (uint32_t n = 0; n < all.n && n < SERVERS; n++) {
			struct str one = all.v[(n + (all.n > SERVERS ? from : 0)) % all.n];
			buf_printf(&b, " %.*s", STR_ARG(one));
		}
		buf_printf(&b, "\n");
	}
	struct str version = str_sub(hash_hex(s->arena, HASH_SHA256, buf_str(&b)), 0, 16);
	return ARENA_CAT(s->arena, S("version "), version, S("\n"), buf_str(&b));
}

/* Absent: the task is gone. */
static struct str endpoints(struct duty *i, struct arena *a)
{
	struct state_ecs_task_record r = {0};
	struct ecs_scope s = {.arena = a, .account = i->account, .region = i->region};
	s.txn = store_begin(i->crew->cloud->store, a);
	bool there = ecs_task_find(&s, i->cluster, i->id, &r) && r.connect;
	struct str text = there ? connect_endpoints(&s, &r) : STR_NONE;
	store_abort(s.txn);
	return text;
}

static void leave(struct waiting *w)
{
	list_remove(&w->node);
	loop_remove_timer(w->desk->duty->crew->cloud->loop, w->timer);
}

static void asker_gone(void *ctx)
{
	leave(ctx);
}

static void reply(struct http_request *r, struct str text)
{
	const struct listen_header header = {S("Content-Type"), S("text/plain")};
	listen_reply(r, str_set(text) ? 200 : 404, &header, 1, str_set(text) ? text : S("not found\n"));
}

static bool has(struct str text, struct str version)
{
	struct str head = str_cut(&text, '\n');
	return version.n && str_ends(head, version);
}

static void waited(void *ctx)
{
	struct waiting *w = ctx;
	w->timer = NULL;
	leave(w);
	listen_on_gone(w->request, NULL, NULL);
	reply(w->request, endpoints(w->desk->duty, listen_arena(w->request)));
}

static void look(void *ctx)
{
	struct connect_desk *d = ctx;
	struct list due;
	d->soon = NULL;
	list_init(&due);
	while (!list_empty(&d->waiting)) {
		struct waiting *w = list_first(&d->waiting, struct waiting, node);
		list_remove(&w->node);
		list_push(&due, &w->node);
	}
	while (!list_empty(&due)) {
		struct waiting *w = list_first(&due, struct waiting, node);
		struct arena CLEAN_ARENA a = {0};
		struct str text = endpoints(d->duty, &a);
		list_remove(&w->node);
		list_push(&d->waiting, &w->node);
		if (has(text, w->have))
			continue;
		leave(w);
		listen_on_gone(w->request, NULL, NULL);
		reply(w->request, arena_dup(listen_arena(w->request), text));
	}
}

static void changed(void *ctx, const struct store_event *e)
{
	struct connect_desk *d = ctx;
	(void)e;
	if (!d->soon && !list_empty(&d->waiting))
		d->soon = loop_add_timer(d->duty->crew->cloud->loop, 0, look, d);
}

struct connect_desk *connect_desk_new(struct duty *i)
{
	struct arena CLEAN_ARENA a = {0};
	struct connect_desk *d = calloc(1, sizeof(*d));
	if (!d)
		abort();
	struct store *store = i->crew->cloud->store;
	struct discovery_scope s = {.arena = &a, .account = i->account, .region = i->region};
	struct str under = discovery_changes_under(&s);
	d->duty = i;
	list_init(&d->waiting);
	d->watch = store_watch(store, under, store_prefix_end(&a, under), store_revision(store), changed, d);
	return d;
}

void connect_desk_free(struct connect_desk *d)
{
	if (!d)
		return;
	store_unwatch(d->watch);
	loop_remove_timer(d->duty->crew->cloud->loop, d->soon);
	free(d);
}

/* The proxy's first question says that it listens: the task's own containers wait for that. It is the last container. */
static void listens(struct duty *i)
{
	if (!i->count || i->containers[i->count - 1].health == ORDER_HEALTHY)
		return;
	i->containers[i->count - 1].health = ORDER_HEALTHY;
	crew_mark(i);
}

void connect_answer(struct connect_desk *d, struct http_request *r)
{
	struct arena *a = listen_arena(r);
	struct str query = listen_query(r), text = endpoints(d->duty, a);
	struct str have = str_starts(query, S("have=")) ? str_from_at(query, sizeof("have=") - 1) : STR_NONE;
	if (str_set(text))
		listens(d->duty);
	if (!str_set(text) || !has(text, have)) {
		reply(r, text);
		return;
	}
	struct waiting *w = arena_new(a, struct waiting);
	*w = (struct waiting){.desk = d, .request = r, .have = have};
	list_init(&w->node);
	list_push(&d->waiting, &w->node);
	w->timer = loop_add_timer(d->duty->crew->cloud->loop, WAIT_US, waited, w);
	listen_on_gone(r, asker_gone, w);
}
