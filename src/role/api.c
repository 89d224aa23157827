/* The api role: every byte from outside, and all of the cloud's logic. Unprivileged; what needs privilege it asks of `priv`, which
 * shares no code path with clients.
 *
 * It starts by restoring what is recorded (the store, each service), then serves. A reset does not unpick state: the data is moved
 * aside, the process ends, and main starts another one on an empty directory, by the way that every crash takes too. */
#include "role/admin.h"
#include "role/balancer_door.h"
#include "role/clock.h"
#include "role/config.h"
#include "role/data_channel.h"
#include "role/role.h"

#include "aws/iam/iam.h"
#include "aws/lambda/runtime.h"
#include "aws/pricing/pricing.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/pages.h"
#include "core/chaos.h"
#include "core/gate.h"
#include "core/listen.h"
#include "core/meter.h"
#include "engine/cell/cell.h"
#include "engine/cell/lockdown.h"
#include "engine/oci/image.h"
#include "http/http.h"
#include "http/tls.h"
#include "io/msg.h"
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define DNS_LISTEN "127.0.0.1:4553" /* where names are answered unless the configuration says another place */

enum { WORKERS = 4, BLANKS = 2, STEMS = 3, DRAIN_US = 10 * 1000000, SETTLE_US = 10 * 1000, SETTLE_TRIES = 150 };

struct api_role {
	const struct role_config *config;
	struct cloud cloud;
	struct arena arena; /* for the life of the process */
	struct admin *admin;
	bool draining;
	unsigned settle_tries;
	struct loop_timer *quiet; /* gives memory back; set while there have been requests */
	uint64_t requests, requests_before;
};

static const char *below(struct api_role *r, const char *name)
{
	return arena_printf(&r->arena, "%s/%s", r->config->data_dir, name).p;
}

/* What a burst of requests has freed is what the next one takes: to give it to the kernel and fetch it again costs more than to
 * keep it. It goes back when nobody has asked for anything for a while. */
enum { HEAP_KEPT_BYTES = 64 << 20, HEAP_PIECE_BYTES = 1 << 20, QUIET_US = 5 * 1000000 };

static void heap_prepare(void)
{
	mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES);
	mallopt(M_MMAP_THRESHOLD, HEAP_PIECE_BYTES);
}

static void heap_trim(void *ctx)
{
	struct api_role *r = ctx;
	bool quiet = r->requests == r->requests_before;
	r->requests_before = r->requests;
	r->quiet = quiet ? NULL : loop_add_timer(r->cloud.loop, QUIET_US, heap_trim, r);
	if (quiet)
		malloc_trim(0);
}

static void on_request(void *ctx, struct http_request *req)
{
	struct api_role *r = ctx;
	r->requests++;
	if (!r->quiet)
		r->quiet = loop_add_timer(r->cloud.loop, QUIET_US, heap_trim, r);
	if (listener_take(req))
		return;
	bool inside = listener_is_inside(req);
	if (!inside && (admin_take(r->admin, req) || balancer_door_take(&r->cloud, req)))
		return;
	if (data_channel_take(&r->cloud, req))
		return;
	gate_take(r->cloud.gate, req, inside);
}

/* All clients are gone. What services still have to write (the last lines of functions) gets a moment. */
static void drained(void *ctx)
{
	struct api_role *r = ctx;
	bool busy = meter_busy(r->cloud.meter);
	for (unsigned i = 0; cloud_services[i]; i++)
		busy = busy || (cloud_services[i]->busy && cloud_services[i]->busy(r->cloud.service_state[i]));
	if (busy && r->settle_tries++ < SETTLE_TRIES)
		loop_add_timer(r->cloud.loop, SETTLE_US, drained, r);
	else
		loop_stop(r->cloud.loop);
}

static void drain(struct api_role *r)
{
	if (r->draining)
		return;
	r->draining = true;
	http_server_drain(r->cloud.http, HTTP_DRAIN_SERVE, DRAIN_US, drained, r);
}

static void on_main(void *ctx, uint32_t events)
{
	(void)events;
	struct api_role *r = ctx;
	struct role_note note;
	int fd = -1;
	size_t fds = 0;
	ssize_t n;
	while ((n = msg_recv(ROLE_FD_MAIN, &note, sizeof(note), &fd, 1, &fds)) == (ssize_t)sizeof(note)) {
		if (note.what == ROLE_DRAIN)
			drain(r);
		else if (note.what == ROLE_NEW_PRIV && fds == 1 && r->cloud.cells)
			cells_set_priv(r->cloud.cells, fd);
		else
			msg_close_fds(&fd, fds);
	}
	/* Without main nobody would restart what dies: a cloud that half works is worse than one that has ended. */
	if (n == 0)
		exit(0);
}

static void on_signal(void *ctx, int signo)
{
	(void)signo;
	drain(ctx);
}

static void open_state(struct api_role *r)
{
	struct cloud *c = &r->cloud;
	char why[200];
	int e = store_open(&c->store, c->loop, &(struct store_config){.path = below(r, "state"), .ephemeral = r->config->ephemeral},
	                   why);
	if (e < 0)
		die("%s: %s", below(r, "state"), why);
	e = blobs_open(&c->blobs, below(r, "blobs"), r->config->ephemeral);
	if (e < 0)
		die("%s: %s", below(r, "blobs"), strerror(-e));
}

struct sweep {
	struct store_txn *txn;
	struct arena arena;
};

static bool some_service_wants(void *ctx, struct str id)
{
	struct sweep *w = ctx;
	for (unsigned i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->wants_blob && cloud_services[i]->wants_blob(w->txn, &w->arena, id))
			return true;
	return false;
}

/* Content files that a crash left between being written and being recorded. */
static void sweep_blobs(struct api_role *r)
{
	struct sweep w = {0};
	w.txn = store_begin(r->cloud.store, &w.arena);
	int64_t n = blobs_sweep(r->cloud.blobs, some_service_wants, &w);
	store_abort(w.txn);
	arena_done(&w.arena);
	if (n < 0)
		log_warn("content files that nothing refers to could not be removed: %s", strerror((int)-n));
	else if (n > 0)
		log_info("%lld content files that nothing refers to removed", (long long)n);
}

enum { PREPARATIONS_MAX = 8 };

struct preparations {
	struct preparation {
		const struct service *service;
		const struct role_config *config;
		pthread_t thread;
	} v[PREPARATIONS_MAX];
	unsigned n;
};

static void *prepare_run(void *ctx)
{
	const struct preparation *p = ctx;
	p->service->prepare(p->config->data_dir, p->config->ephemeral);
	return NULL;
}

/* Where nothing is recorded yet. Beside open_state(), until prepare_end(). */
static void prepare_services(struct api_role *r, struct preparations *ret)
{
	ret->n = 0;
	if (access(below(r, "state"), F_OK) == 0)
		return;
	for (unsigned i = 0; cloud_services[i] && ret->n < PREPARATIONS_MAX; i++) {
		struct preparation *p = &ret->v[ret->n];
		*p = (struct preparation){.service = cloud_services[i], .config = r->config};
		ret->n += cloud_services[i]->prepare && pthread_create(&p->thread, NULL, prepare_run, p) == 0;
	}
}

static void prepare_end(struct preparations *p)
{
	for (unsigned i = 0; i < p->n; i++)
		pthread_join(p->v[i].thread, NULL);
}

static void start_services(struct api_role *r)
{
	unsigned n = 0;
	while (cloud_services[n])
		n++;
	r->cloud.service_state = arena_array(&r->arena, n + 1, sizeof(void *));
	/* before any of them runs: what these wait for turns the loop, where nothing may yet come to those that have not started */
	for (unsigned i = 0; i < n; i++) {
		const struct service *s = cloud_services[i];
		int e = s->upgrade ? s->upgrade(&r->cloud) : 0;
		if (e < 0)
			die("records of service %s cannot be brought up to date: %s", s->api->id, strerror(-e));
	}
	for (unsigned i = 0; i < n; i++) {
		const struct service *s = cloud_services[i];
		int e = s->start ? s->start(&r->cloud, &r->cloud.service_state[i]) : 0;
		if (e < 0)
			die("service %s does not start: %s", s->api->id, strerror(-e));
	}
}

static void stop_services(struct api_role *r)
{
	unsigned n = 0;
	while (cloud_services[n])
		n++;
	while (n-- > 0)
		if (cloud_services[n]->stop)
			cloud_services[n]->stop(r->cloud.service_state[n]);
}

static void serve(struct api_role *r)
{
	struct cloud *c = &r->cloud;
	if (!http_listen(c->http, ROLE_FD_LISTEN, NULL, NULL))
		die("cannot serve the listening socket");
	if (!r->config->tls_port)
		return;
	struct http_tls *tls;
	const char *dir = below(r, "tls");
	int e = mkdir(dir, 0755) < 0 && errno != EEXIST ? -errno : tls_make_ca(dir);
	if (e >= 0)
		e = http_tls_new(arena_printf(&r->arena, "%s/cert.pem", dir).p, arena_printf(&r->arena, "%s/key.pem", dir).p, &tls);
	if (e < 0)
		log_warn("no TLS: %s: %s", dir, strerror(-e));
	else if (!http_listen(c->http, ROLE_FD_LISTEN_TLS, tls, NULL))
		die("cannot serve the listening socket for TLS");
	else
		c->tls = tls;
}

static bool loopback(const char *addr)
{
	return str_starts(str_from(addr), S("127.")) || str_is(str_from(addr), "::1") || str_is(str_from(addr), "[::1]");
}

/* A key of the configuration, which the command line has read before; `otherwise`: it has none. */
static const char *configured(struct api_role *r, const char *section, const char *key, const char *otherwise)
{
	struct config file;
	struct str why;
	if (!r->config->config_file || !config_read(&r->arena, r->config->config_file, &file, &why))
		return otherwise;
	struct str value = config_get(&file, section, key);
	return str_set(value) ? arena_dupz(&r->arena, value) : otherwise;
}

/* First of all, before there is another thread that it would not bind. */
static void lock_down(const struct role_config *config, const char *prices_file)
{
	const char *more[5] = {IMAGES_DIR};
	unsigned n = 1;
	if (prices_file)
		more[n++] = prices_file;
	if (config->runtime_dir)
		more[n++] = config->runtime_dir;
	if (config->config_file)
		more[n++] = config->config_file;
	bool landlock = false;
	int e = lockdown_api(&(struct lockdown){.data_dir = config->data_dir, .read_dirs = more}, &landlock);
	if (e < 0)
		die("cannot give up what api does not need: %s", strerror(-e));
	if (!landlock)
		log_warn("this kernel has no Landlock: api is confined by its user and its system calls alone");
}

/* A number that the command line has found good; 0: there is none. */
static unsigned configured_number(struct api_role *r, const char *section, const char *key)
{
	const char *text = configured(r, section, key, NULL);
	uint64_t n = 0;
	return text && str_to_u64(str_from(text), &n) ? (unsigned)n : 0;
}

/* The command line has read the file too; what has become wrong since then leaves AWS's prices, and a line in the log. */
static const struct price_book *own_prices(struct api_role *r, const char *path)
{
	struct str json, why;
	if (!path)
		return NULL;
	struct price_book *b = config_read_file(&r->arena, path, &json, &why) ? price_book_read(&r->arena, json, &why) : NULL;
	if (!b)
		log_warn("%s: %.*s: bills have AWS's list prices", path, STR_ARG(why));
	return b;
}

int role_api(const struct role_config *config)
{
	/* Asked first: where there is no priv, the number is free and the next descriptor takes it. */
	bool has_priv = fcntl(ROLE_FD_PRIV, F_GETFD) >= 0;
	struct api_role role = {.config = config}, *r = &role;
	const char *prices_file = configured(r, "bill", "prices", NULL);
	crash_report();
	lock_down(config, prices_file);
	struct cloud *c = &r->cloud;
	heap_prepare();
	c->loop = loop_new();
	c->work = work_new(c->loop, WORKERS);
	c->data_dir = config->data_dir;
	c->ephemeral = config->ephemeral;
	c->runtime_dir = config->runtime_dir;
	c->resolver = config->resolver;
	c->instances = config->instances;
	c->kvm = strcmp(config->kvm, "no") != 0;
	c->container_runtime = config->container_runtime;
	c->upstreams = configured(r, "containers", "upstreams", NULL);
	c->issue_at_once = configured(r, "acm", "issue_at_once", NULL);
	c->vcpus = configured_number(r, "ec2", "vcpus");
	c->spot_vcpus = configured_number(r, "ec2", "spot_vcpus");
	c->task_mib = configured_number(r, "containers", "memory");
	c->dns_listen = configured(r, "dns", "listen", DNS_LISTEN);
	c->prices = own_prices(r, prices_file);
	c->endpoint = arena_printf(&r->arena, "http://%s:%u", config->listen_addr, config->port).p;
	struct preparations preparations;
	prepare_services(r, &preparations);
	open_state(r);
	clock_open(c);
	sweep_blobs(r);
	c->meter = meter_new(c->loop, c->store);
	bool local = loopback(config->listen_addr);
	iam_open(c, &(struct iam_config){
	                    .well_known = local, .config_file = config->config_file, .credentials_file = below(r, "credentials")});
	c->chaos = chaos_new(c->loop);
	c->gate = gate_new(c, &(struct gate_config){.well_known_keys = local});
	c->http = http_server_new(c->loop, NULL, on_request, r);
	if (has_priv) {
		struct cells_config cells = {.keep_blank = BLANKS};
		runtime_set_clients(config->runtime_dir);
		cells.stem_count = runtime_stems(STEMS, &cells.stems);
		c->cells = cells_new(c->loop, ROLE_FD_PRIV, &cells);
		c->images = images_new(c->loop, c->cells, c->data_dir, NULL);
	}
	r->admin = admin_new(c, config);
	prepare_end(&preparations);
	start_services(r);
	serve(r);

	struct loop_fd *main_watch = loop_add_fd(c->loop, ROLE_FD_MAIN, EPOLLIN, on_main, r);
	if (!main_watch)
		die("no socket to main");
	loop_add_signal(c->loop, SIGTERM, on_signal, r);
	loop_add_signal(c->loop, SIGINT, on_signal, r);
	struct role_note ready = {.what = ROLE_READY};
	msg_send(ROLE_FD_MAIN, &ready, sizeof(ready), NULL, 0);
	pages_release();
	loop_run(c->loop);

	loop_remove_fd(c->loop, main_watch);
	store_settle(c->store); /* what services have begun to write lies in memory that goes with them */
	stop_services(r);
	iam_close(c);
	images_free(c->images);
	if (c->cells)
		cells_free(c->cells);
	http_server_free(c->http);
	gate_free(c->gate);
	chaos_free(c->chaos);
	meter_free(c->meter);
	work_free(c->work);
	blobs_close(c->blobs);
	store_close(c->store);
	return 0;
}
