/* Tasks over hours without a container: ECS's operations and what makes them real, over an engine, a registry and network
 * interfaces that are a few lines here. The test says what containers do. */
#include "unit.h"

#include "aws/ec2/ec2.h"
#include "aws/ecr/ecr.h"
#include "aws/ecs/metadata.h"
#include "aws/iam/iam.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/gate.h"
#include "core/listen.h"
#include "core/meter.h"
#include "gen/iam.h"
#include "gen/logs.h"
#include "gen/ssm.h"
#include "http/http.h"
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A cloud is never taken apart in the program; this one is, and what its identities held goes with the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

extern const struct service ecs_service, iam_service, logs_service, ssm_service, sts_service;
const struct service *const cloud_services[] = {&ecs_service, &iam_service, &logs_service, &ssm_service, &sts_service, NULL};

static struct {
	struct cloud cloud;
	struct arena arena, last;
	const struct principal *root;
	char dir[64], code[128];
	int64_t wall_ms, mono_us;
	ec2_port_fn *port;
	void *port_ctx;
	bool no_ports;
	bool logs; /* are written: they have a store of their own, which no write of the test's follows */
	unsigned lent, given;
} w;

/* --- network interfaces: each is there as soon as the loop goes on */

int ec2_lend_interface(struct call *c, const struct ec2_lend *what, struct ec2_lent *ret)
{
	if (!str_is(what->subnet, "subnet-1"))
		return call_fail(c, "InvalidSubnetID.NotFound", 400, "The subnet ID '%.*s' does not exist", STR_ARG(what->subnet));
	*ret = (struct ec2_lent){.id = arena_printf(c->arena, "eni-%u", ++w.lent),
	                         .mac = S("02:00:00:00:00:01"),
	                         .address = S("10.0.0.4"),
	                         .subnet = what->subnet,
	                         .zone = S("us-east-1a"),
	                         .ip = 0x0a000004};
	return CALL_OK;
}

bool ec2_find_lent(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id, struct ec2_lent *ret)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	*ret = (struct ec2_lent){
	        .id = id, .address = S("10.0.0.4"), .ip = 0x0a000004, .gateway = 0x0a000001, .resolver = 0x0a000002, .prefix = 24};
	return true;
}

/* Asked twice for each: once on a snapshot, to see what would change. */
void ec2_return_interface(struct store_txn *t, struct arena *a, struct str account, struct str region, struct str id)
{
	(void)t;
	(void)a;
	(void)account;
	(void)region;
	assert_true(str_starts(id, S("eni-")));
}

void ec2_watch_ports(struct cloud *cloud, ec2_port_fn *fn, void *ctx)
{
	(void)cloud;
	w.port = fn;
	w.port_ctx = ctx;
}

/* --- images */

bool ecr_reference_read(struct str image, struct ecr_reference *ret)
{
	*ret = (struct ecr_reference){.repository = image};
	return !str_is(image, "elsewhere");
}

struct pull {
	ecr_pull_done *done;
	void *ctx;
	bool missing;
};

static void pull_over(void *ctx)
{
	static const char config[] = "{\"config\":{\"Entrypoint\":[\"/in\"],\"Cmd\":[\"it\"],\"Env\":[\"A=image\",\"B=image\"]},"
	                             "\"rootfs\":{\"diff_ids\":[\"sha256:1\"]}}";
	struct pull *p = ctx;
	if (p->missing) {
		p->done(p->ctx, NULL, S("ImageNotFoundException"), S("not found"));
		free(p);
		return;
	}
	struct ecr_pulled *i = calloc(1, sizeof(*i));
	i->digest = S("sha256:abc");
	i->config.path = arena_printf(&i->arena, "%s/config", w.dir);
	i->config.size = sizeof(config) - 1;
	i->layers = arena_zalloc(&i->arena, sizeof(*i->layers));
	i->layers[0] = (struct ecr_file){.digest = S("sha256:2"), .path = i->config.path, .size = 1};
	i->layer_count = 1;
	FILE *f = fopen(i->config.path.p, "w");
	fputs(config, f);
	fclose(f);
	p->done(p->ctx, i, STR_NONE, STR_NONE);
	free(p);
}

void ecr_pull(struct cloud *cloud, const struct principal *as, const struct ecr_reference *ref, struct str architecture,
              ecr_pull_done *done, void *ctx)
{
	struct pull *p = calloc(1, sizeof(*p));
	(void)architecture;
	assert_non_null(as);
	*p = (struct pull){done, ctx, str_is(ref->repository, "missing")};
	loop_add_timer(cloud->loop, 0, pull_over, p);
}

void ecr_pulled_free(struct ecr_pulled *i)
{
	if (!i)
		return;
	arena_done(&i->arena);
	free(i);
}

struct image {
	image_ready_fn *ready;
	void *ctx;
	struct loop_timer *timer;
};

static void image_over(void *ctx)
{
	struct image *i = ctx;
	i->timer = NULL;
	i->ready(i->ctx, i, 0, "");
}

struct image *image_prepare(struct images *s, const struct image_layer *layers, size_t count, image_open_fn *open,
                            image_ready_fn *ready, void *ctx)
{
	struct image *i = calloc(1, sizeof(*i));
	(void)s;
	assert_int_equal(count, 1);
	assert_string_equal(layers[0].diff_id, "1");
	int fd = open(ctx, 0);
	assert_true(fd >= 0);
	close(fd);
	*i = (struct image){ready, ctx, NULL};
	i->timer = loop_add_timer(w.cloud.loop, 0, image_over, i);
	return i;
}

void image_release(struct image *i)
{
	loop_remove_timer(w.cloud.loop, i->timer);
	free(i);
}

/* --- the engine: tasks do what the test says */

enum { TASKS = 16 };
struct task {
	char id[TASK_ID_MAX];
	void *ctx;
	bool there, made, ending;
	unsigned count;
	struct {
		char name[64], environment[4096], arguments[256];
		bool starts, stops, runs;
	} c[TASK_CONTAINERS_MAX];
};
static struct task task_list[TASKS];
static const struct task_events *calls;
static bool engine_holds; /* does not say that a new task is ready */
static struct tasks_facts facts = {.known = true, .works = true};

struct tasks *tasks_new(struct loop *l, struct cells *cells, const char *data_dir, const char *runtime,
                        const struct task_events *events, task_found_fn *found, void *ctx)
{
	(void)l;
	(void)cells;
	(void)data_dir;
	(void)runtime;
	calls = events;
	for (int i = 0; i < TASKS; i++)
		if (task_list[i].there && !(task_list[i].ctx = found(ctx, &task_list[i], task_list[i].id)))
			task_list[i].there = false;
	return (struct tasks *)task_list;
}

void tasks_free(struct tasks *s)
{
	(void)s;
}

const struct tasks_facts *tasks_facts(const struct tasks *s)
{
	(void)s;
	return &facts;
}

static void join(char *to, size_t cap, const char *const *v)
{
	to[0] = '\0';
	for (; v && *v; v++)
		snprintf(to + strlen(to), cap - strlen(to), "%s\n", *v);
}

struct task *task_new(struct tasks *s, const struct task_spec *spec, void *ctx)
{
	struct task *t = task_list;
	(void)s;
	while (t->there)
		t++;
	*t = (struct task){.ctx = ctx, .there = true, .made = true, .count = (unsigned)spec->container_count};
	snprintf(t->id, sizeof(t->id), "%s", spec->id);
	assert_true(spec->port->fd >= 0 && spec->port->address == 0x0a000004);
	assert_true(spec->memory_bytes > 0 && spec->cpu_units > 0);
	for (unsigned i = 0; i < t->count; i++) {
		snprintf(t->c[i].name, sizeof(t->c[i].name), "%s", spec->containers[i].name);
		join(t->c[i].environment, sizeof(t->c[i].environment), spec->containers[i].environment);
		join(t->c[i].arguments, sizeof(t->c[i].arguments), spec->containers[i].argv);
	}
	return t;
}

unsigned task_container_count(const struct task *t)
{
	return t->count;
}

int task_start(struct task *t, unsigned index)
{
	assert_false(t->c[index].runs);
	t->c[index].starts = true;
	return 0;
}

int task_stop(struct task *t, unsigned index)
{
	t->c[index].stops = true;
	return 0;
}

void task_usage(struct task *t, unsigned index, struct task_usage *ret)
{
	(void)t;
	(void)index;
	*ret = (struct task_usage){0};
}

void task_end(struct task *t)
{
	t->ending = true;
}

void task_free(struct task *t)
{
	t->there = false;
}

/* The test asks what answers, not the socket. */
int task_metadata_listener(const struct task *t)
{
	(void)t;
	return -1;
}

/* --- what the engine reports */

static void exits(struct task *t, unsigned index, int code, bool oom)
{
	t->c[index].runs = t->c[index].starts = t->c[index].stops = false;
	calls->exited(t->ctx, t, index, &(struct task_exit){.code = code, .oom = oom, .why = "", .at_us = w.wall_ms * 1000});
}

/* What was asked of it and is done at once: a start, a stop, an end. */
static void obey(void)
{
	for (int i = 0; i < TASKS; i++) {
		struct task *t = &task_list[i];
		if (t->there && t->made && !engine_holds) {
			t->made = false;
			calls->ready(t->ctx, t);
		}
		for (unsigned k = 0; t->there && k < t->count; k++) {
			if (t->c[k].starts) {
				t->c[k].starts = false;
				t->c[k].runs = true;
				calls->started(t->ctx, t, k, w.wall_ms * 1000);
			} else if (t->c[k].stops && t->c[k].runs) {
				exits(t, k, 143, false);
			}
		}
		if (t->there && t->ending)
			calls->ended(t->ctx, t, 0, "");
	}
}

/* --- the cloud */

static void on_request(void *ctx, struct http_request *r)
{
	(void)ctx;
	if (!listener_take(r))
		fail_msg("a request from outside");
}

static void open_cloud(void)
{
	struct cloud *c = &w.cloud;
	char why[200];
	*c = (struct cloud){.data_dir = w.dir,
	                    .ephemeral = true,
	                    .endpoint = "http://127.0.0.1:1",
	                    .cells = (struct cells *)&w,
	                    .images = (struct images *)&w};
	c->loop = loop_new();
	c->work = work_new(c->loop, 2);
	assert_int_equal(store_open(&c->store, c->loop,
	                            &(struct store_config){.path = arena_printf(&w.arena, "%s/state", w.dir).p, .ephemeral = true},
	                            why),
	                 0);
	assert_int_equal(blobs_open(&c->blobs, arena_printf(&w.arena, "%s/blobs", w.dir).p, true), 0);
	iam_open(c, &(struct iam_config){.well_known = true});
	c->gate = gate_new(c, &(struct gate_config){.well_known_keys = true});
	c->http = http_server_new(c->loop, NULL, on_request, &w);
	c->service_state = calloc(8, sizeof(void *));
	for (unsigned i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->start)
			assert_int_equal(cloud_services[i]->start(c, &c->service_state[i]), 0);
}

static void close_cloud(void)
{
	struct cloud *c = &w.cloud;
	for (unsigned i = 0; cloud_services[i]; i++)
		if (cloud_services[i]->stop)
			cloud_services[i]->stop(c->service_state[i]);
	free(c->service_state);
	iam_close(c);
	http_server_free(c->http);
	gate_free(c->gate);
	work_free(c->work);
	blobs_close(c->blobs);
	store_close(c->store);
	loop_free(c->loop);
}

static void give_ports(unsigned from)
{
	for (unsigned i = from; w.port && !w.no_ports && i <= w.lent; i++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (!w.port(w.port_ctx, arena_printf(&w.last, "eni-%u", i), fd))
			close(fd);
	}
}

static void fenced(void *ctx, int result, uint64_t revision)
{
	(void)result;
	(void)revision;
	*(bool *)ctx = true;
}

/* Until nothing is written any more: a write of our own is answered after all that were asked for before it. */
static void turn(void)
{
	enum { CALM = 3, TURNS = 20, MOST = 500 };
	for (int calm = 0, rounds = 0; calm < CALM; rounds++) {
		struct arena CLEAN_ARENA a = {0};
		bool done = false;
		uint64_t before = store_revision(w.cloud.store);
		struct store_txn *t = store_begin(w.cloud.store, &a);
		store_put(t, KEY(&a, S("sim"), S("fence")), arena_printf(&a, "%d", rounds));
		store_commit(t, fenced, &done);
		while (!done || work_pending(w.cloud.work))
			loop_turn(w.cloud.loop, 1000);
		for (int i = 0; i < TURNS; i++)
			loop_turn(w.cloud.loop, w.logs ? 1000 : 0);
		calm = store_revision(w.cloud.store) == before + 1 && !work_pending(w.cloud.work) ? calm + 1 : 0;
		assert_true(rounds < MOST);
	}
}

static void settle(void)
{
	turn();
	for (int i = 0; i < 6; i++) {
		if (!w.no_ports && w.given < w.lent) {
			give_ports(w.given + 1);
			w.given = w.lent;
		}
		turn();
		obey();
	}
	turn();
}

static void pass(int64_t ms)
{
	w.wall_ms += ms;
	w.mono_us += ms * 1000;
	clock_fake(w.wall_ms, w.mono_us);
	settle();
}

struct waiting {
	bool done;
	const void *out;
};

static void op_done(void *ctx, struct call *sub)
{
	struct waiting *o = ctx;
	snprintf(w.code, sizeof(w.code), "%.*s", STR_ARG(str_set(sub->error.code) ? sub->error.code : S("")));
	if (w.code[0])
		print_message("%s: %.*s\n", w.code, STR_ARG(sub->error.message));
	const struct shape *shape = operation_output(sub->service->api, sub->op);
	void *copy = arena_zalloc(&w.last, shape ? shape->size : 1);
	if (shape && !w.code[0])
		model_copy(&w.last, sub->service->api, shape, sub->out, copy);
	o->out = copy;
	o->done = true;
}

static const void *ask(const struct api *api, const char *operation, const void *in, const char *code)
{
	struct waiting o = {0};
	call_op(&w.cloud, w.root, S("us-east-1"), api, operation, in, op_done, &o);
	while (!o.done)
		loop_turn(w.cloud.loop, 1000);
	assert_string_equal(w.code, code);
	return o.out;
}

/* --- what tests ask */

static struct ecs_container_definition container(const char *name)
{
	return (struct ecs_container_definition){.name = str_from(name), .image = S("app")};
}

static void define(const char *family, struct ecs_container_definition *k, uint32_t n)
{
	static struct str fargate = S_INIT("FARGATE");
	struct ecs_register_task_definition_request in = {
	        .family = str_from(family),
	        .network_mode = S("awsvpc"),
	        .cpu = S("256"),
	        .memory = S("512"),
	        .execution_role_arn = S("exec"),
	};
	in.requires_compatibilities = (struct str_list){.v = &fargate, .n = 1, .set = true};
	in.container_definitions.v = k;
	in.container_definitions.n = n;
	in.container_definitions.set = true;
	ask(&ecs_api, "RegisterTaskDefinition", &in, "");
}

static struct ecs_run_task_request request(const char *family)
{
	static struct str subnet = S_INIT("subnet-1");
	static struct ecs_aws_vpc_configuration vpc;
	static struct ecs_network_configuration network = {.awsvpc_configuration = &vpc};
	vpc.subnets = (struct str_list){.v = &subnet, .n = 1, .set = true};
	return (struct ecs_run_task_request){
	        .task_definition = str_from(family), .launch_type = S("FARGATE"), .network_configuration = &network};
}

static struct str run(const char *family)
{
	struct ecs_run_task_request in = request(family);
	const struct ecs_run_task_response *out = ask(&ecs_api, "RunTask", &in, "");
	assert_int_equal(out->tasks.n, 1);
	return out->tasks.v[0].task_arn;
}

static const struct ecs_task *look(struct str arn)
{
	struct ecs_describe_tasks_request in = {.tasks = {.v = &arn, .n = 1, .set = true}};
	const struct ecs_describe_tasks_response *out = ask(&ecs_api, "DescribeTasks", &in, "");
	return out->tasks.n ? &out->tasks.v[0] : NULL;
}

static struct task *engine_task(struct str arn)
{
	for (int i = 0; i < TASKS; i++)
		if (task_list[i].there && str_ends(arn, str_from(task_list[i].id)))
			return &task_list[i];
	return NULL;
}

static void stop(struct str arn)
{
	struct ecs_stop_task_request in = {.task = arn, .reason = S("enough")};
	ask(&ecs_api, "StopTask", &in, "");
}

static void a_life(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	struct str arn = run("web");
	assert_str(look(arn)->last_status, "PROVISIONING");
	assert_str(look(arn)->group, "family:web");
	settle();
	const struct ecs_task *t = look(arn);
	assert_str(t->last_status, "RUNNING");
	assert_str(t->attachments.v[0].status, "ATTACHED");
	assert_str(t->containers.v[0].last_status, "RUNNING");
	assert_str(t->containers.v[0].image_digest, "sha256:abc");
	assert_true(t->pull_started_at.set && t->pull_stopped_at.set && t->started_at.set && !t->stopping_at.set);
	assert_string_equal(engine_task(arn)->c[0].arguments, "/in\nit\n");
	stop(arn);
	settle();
	t = look(arn);
	assert_str(t->last_status, "STOPPED");
	assert_str(t->stop_code, "UserInitiated");
	assert_str(t->stopped_reason, "enough");
	assert_int_equal(t->containers.v[0].exit_code.v, 143);
	assert_true(t->stopped_at.set && t->execution_stopped_at.set);
	assert_null(engine_task(arn));
	pass(3599 * 1000);
	assert_non_null(look(arn));
	pass(2 * 1000);
	assert_null(look(arn));
}

static void essential_exits(void **state)
{
	(void)state;
	struct ecs_container_definition k[2] = {container("app"), container("side")};
	k[1].essential = OPT_BOOL(false);
	define("pair", k, 2);
	struct str arn = run("pair");
	settle();
	exits(engine_task(arn), 1, 3, false);
	settle();
	assert_str(look(arn)->last_status, "RUNNING");
	assert_int_equal(look(arn)->containers.v[1].exit_code.v, 3);
	exits(engine_task(arn), 0, 137, true);
	settle();
	const struct ecs_task *t = look(arn);
	assert_str(t->last_status, "STOPPED");
	assert_str(t->stop_code, "EssentialContainerExited");
	assert_str(t->stopped_reason, "Essential container in task exited");
	assert_str(t->containers.v[0].reason, "OutOfMemoryError: Container killed due to memory usage");
}

static void starts_that_fail(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	k.image = S("missing");
	define("missing", &k, 1);
	struct str arn = run("missing");
	settle();
	const struct ecs_task *t = look(arn);
	assert_str(t->last_status, "STOPPED");
	assert_str(t->stop_code, "TaskFailedToStart");
	assert_true(str_starts(t->stopped_reason, S("CannotPullContainerError: ")));
	assert_false(t->containers.v[0].exit_code.set);
	struct ecs_secret secret = {S("PASSWORD"), S("/no/such")};
	k = container("app");
	k.secrets.v = &secret;
	k.secrets.n = 1;
	define("secret", &k, 1);
	arn = run("secret");
	settle();
	assert_true(str_starts(look(arn)->stopped_reason, S("ResourceInitializationError: unable to pull secrets")));
	w.no_ports = true;
	arn = run("missing");
	settle();
	assert_str(look(arn)->last_status, "PROVISIONING");
	pass(181 * 1000);
	assert_str(look(arn)->stopped_reason, "Timeout waiting for network interface provisioning to complete.");
	struct ecs_run_task_request in = request("missing");
	struct str other = S("subnet-9");
	struct ecs_aws_vpc_configuration vpc = {.subnets = {.v = &other, .n = 1, .set = true}};
	struct ecs_network_configuration network = {.awsvpc_configuration = &vpc};
	in.network_configuration = &network;
	ask(&ecs_api, "RunTask", &in, "InvalidParameterException");
}

static void variables_and_logs(void **state)
{
	(void)state;
	struct ssm_put_parameter_request put = {.name = S("/p"), .value = S("hush"), .type = S("SecureString")};
	ask(&ssm_api, "PutParameter", &put, "");
	struct ecs_secret secret = {S("PASSWORD"), S("/p")};
	struct ecs_key_value_pair own = {S("A"), S("own")};
	struct str_map_entry options[] = {{S("awslogs-group"), S("g")},
	                                  {S("awslogs-region"), S("us-east-1")},
	                                  {S("awslogs-stream-prefix"), S("p")},
	                                  {S("awslogs-create-group"), S("true")}};
	struct ecs_log_configuration log = {.log_driver = S("awslogs"), .options = {.v = options, .n = 4, .set = true}};
	struct ecs_container_definition k = container("app");
	k.secrets.v = &secret;
	k.environment.v = &own;
	k.secrets.n = k.environment.n = 1;
	k.log_configuration = &log;
	w.logs = true;
	define("vars", &k, 1);
	struct str arn = run("vars");
	settle();
	assert_str(look(arn)->last_status, "RUNNING");
	struct str environment = str_from(engine_task(arn)->c[0].environment);
	assert_true(str_find(environment, S("A=own\n")) >= 0 && str_find(environment, S("B=image\n")) >= 0);
	assert_true(str_find(environment, S("PASSWORD=hush\n")) >= 0);
	struct logs_describe_log_streams_request streams = {.log_group_name = S("g")};
	const struct logs_describe_log_streams_response *out = ask(&logs_api, "DescribeLogStreams", &streams, "");
	assert_int_equal(out->log_streams.n, 1);
	struct str stream = out->log_streams.v[0].log_stream_name;
	assert_true(str_starts(stream, S("p/app/")));
	struct task *t = engine_task(arn);
	struct arena CLEAN_ARENA a = {0};
	struct state_ecs_task_record r = {0};
	struct ecs_scope s = {.arena = &a, .account = S("000000000000"), .region = S("us-east-1")};
	s.txn = store_begin(w.cloud.store, &a);
	assert_true(ecs_task_find(&s, S("default"), str_from(t->id), &r));
	const struct json_value *whole = json_parse(&a, metadata_task(&(struct metadata_facts){&a, t->ctx, &r, NULL}, true), NULL);
	store_abort(s.txn);
	assert_str(json_get_str(whole, S("TaskARN")), arena_dupz(&a, arn));
	assert_str(json_get_str(whole, S("KnownStatus")), "RUNNING");
	const struct json_value *first = json_get(whole, S("Containers"))->first;
	assert_str(json_get_str(first, S("Name")), "app");
	assert_str(json_get_str(first, S("KnownStatus")), "RUNNING");
	assert_str(json_get_str(json_get(first, S("LogOptions")), S("awslogs-stream")), arena_dupz(&a, stream));
	calls->output(t->ctx, t, 0, false, w.wall_ms * 1000, S("one"));
	calls->output(t->ctx, t, 0, true, w.wall_ms * 1000, S("two"));
	settle();
	calls->output(t->ctx, t, 0, true, w.wall_ms * 1000, S("last words"));
	exits(t, 0, 0, false);
	settle();
	struct logs_get_log_events_request get = {
	        .log_group_name = S("g"), .log_stream_name = stream, .start_from_head = OPT_BOOL(true)};
	const struct logs_get_log_events_response *events = ask(&logs_api, "GetLogEvents", &get, "");
	assert_int_equal(events->events.n, 3);
	assert_str(events->events.v[2].message, "last words");
}

/* A stop asked for at every point of the way up ends in STOPPED, with nothing left of it. */
static void stops_on_the_way_up(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	for (int turns = 0; turns < 40; turns++) {
		struct str arn = run("web");
		give_ports(w.lent);
		engine_holds = turns % 2;
		for (int i = 0; i < turns; i++)
			loop_turn(w.cloud.loop, 200);
		if (turns % 3 == 0)
			obey();
		stop(arn);
		settle();
		engine_holds = false;
		settle();
		const struct ecs_task *t = look(arn);
		assert_str(t->last_status, "STOPPED");
		assert_str(t->stop_code, "UserInitiated");
		assert_null(engine_task(arn));
	}
}

/* The role ends and begins again: what runs is adopted, what ended meanwhile is found to have. */
static void restarts(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	struct str arn = run("web"), lost = run("web"), early = run("web");
	w.no_ports = false;
	settle();
	close_cloud();
	engine_task(lost)->there = false; /* its shim was killed */
	struct task *t = engine_task(early);
	open_cloud();
	calls->ready(engine_task(arn)->ctx, engine_task(arn));
	calls->started(engine_task(arn)->ctx, engine_task(arn), 0, w.wall_ms * 1000);
	calls->ready(t->ctx, t);
	exits(t, 0, 5, false);
	settle();
	assert_str(look(arn)->last_status, "RUNNING");
	assert_str(look(lost)->last_status, "STOPPED");
	assert_str(look(lost)->stop_code, "TerminationNotice");
	assert_str(look(early)->last_status, "STOPPED");
	assert_int_equal(look(early)->containers.v[0].exit_code.v, 5);
	stop(arn);
	settle();
	assert_str(look(arn)->last_status, "STOPPED");
}

static void tokens_and_room(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("web", &k, 1);
	struct ecs_run_task_request in = request("web");
	in.client_token = S("once");
	in.count = OPT_INT(2);
	const struct ecs_run_task_response *first = ask(&ecs_api, "RunTask", &in, "");
	const struct ecs_run_task_response *again = ask(&ecs_api, "RunTask", &in, "");
	assert_int_equal(again->tasks.n, 2);
	assert_true(str_eq(first->tasks.v[0].task_arn, again->tasks.v[0].task_arn));
	in.count = OPT_INT(1);
	ask(&ecs_api, "RunTask", &in, "ConflictException");
	struct ecs_delete_cluster_request gone = {.cluster = S("default")};
	ask(&ecs_api, "DeleteCluster", &gone, "ClusterContainsTasksException");
	((struct crew *)cloud_state(&w.cloud, &ecs_service))->memory_mib = 1600;
	settle();
	in = request("web");
	in.count = OPT_INT(2);
	first = ask(&ecs_api, "RunTask", &in, "");
	assert_int_equal(first->tasks.n, 1);
	assert_true(str_starts(first->failures.v[0].reason, S("Capacity is unavailable at this time.")));
}

/* --- services */

static const struct ecs_service *service(void)
{
	static struct str name = S_INIT("web");
	struct ecs_describe_services_request in = {.services = {.v = &name, .n = 1, .set = true}};
	const struct ecs_describe_services_response *out = ask(&ecs_api, "DescribeServices", &in, "");
	return &out->services.v[0];
}

static bool told(const char *text)
{
	const struct ecs_service *v = service();
	for (uint32_t i = 0; i < v->events.n; i++)
		if (str_find(v->events.v[i].message, str_from(text)) >= 0)
			return true;
	return false;
}

static void create_service(const char *family, int64_t desired, struct ecs_deployment_configuration *conf)
{
	struct ecs_run_task_request like = request(family);
	struct ecs_create_service_request in = {.service_name = S("web"),
	                                        .task_definition = str_from(family),
	                                        .desired_count = OPT_INT(desired),
	                                        .launch_type = S("FARGATE"),
	                                        .network_configuration = like.network_configuration,
	                                        .deployment_configuration = conf};
	ask(&ecs_api, "CreateService", &in, "");
}

static void update_service(struct str definition, int64_t desired)
{
	struct ecs_update_service_request in = {
	        .service = S("web"), .task_definition = definition, .desired_count = OPT_INT(desired)};
	ask(&ecs_api, "UpdateService", &in, "");
}

static int alive(void)
{
	int n = 0;
	for (int i = 0; i < TASKS; i++)
		n += task_list[i].there && task_list[i].c[0].runs;
	return n;
}

static void a_service_heals(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 3, NULL);
	settle();
	settle();
	assert_int_equal(service()->running_count.v, 3);
	assert_true(told("has started 3 tasks: (task "));
	assert_true(told("has reached a steady state."));
	assert_true(told("deployment completed."));
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	exits(&task_list[0], 0, 1, false);
	settle();
	settle();
	assert_int_equal(alive(), 3);
	assert_int_equal(service()->running_count.v, 3);
	close_cloud(); /* with all three running */
	open_cloud();
	for (int i = 0; i < TASKS; i++)
		if (task_list[i].there) {
			calls->ready(task_list[i].ctx, &task_list[i]);
			calls->started(task_list[i].ctx, &task_list[i], 0, w.wall_ms * 1000);
		}
	settle();
	settle();
	assert_int_equal(alive(), 3);
	update_service(STR_NONE, 1);
	settle();
	settle();
	assert_int_equal(alive(), 1);
	struct ecs_delete_service_request gone = {.service = S("web")};
	ask(&ecs_api, "DeleteService", &gone, "InvalidParameterException");
	gone.force = OPT_BOOL(true);
	ask(&ecs_api, "DeleteService", &gone, "");
	settle();
	settle();
	assert_int_equal(alive(), 0);
	assert_str(service()->status, "INACTIVE");
}

/* A deployment never takes away what it has no replacement for. */
static void a_deployment_rolls(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 3, NULL);
	settle();
	settle();
	pass(41 * 1000);
	define("app", &k, 1);
	update_service(S("app"), 3);
	for (int i = 0; i < 12; i++) {
		pass(5 * 1000);
		assert_true(alive() >= 3 && alive() <= 6);
	}
	const struct ecs_service *v = service();
	assert_int_equal(v->deployments.n, 1);
	assert_true(str_ends(v->deployments.v[0].task_definition, S(":2")));
	assert_str(v->deployments.v[0].rollout_state, "COMPLETED");
	assert_int_equal(alive(), 3);
	assert_true(told("has stopped 3 running tasks: (task "));
}

static void a_bad_deployment_is_rolled_back(void **state)
{
	(void)state;
	struct ecs_deployment_circuit_breaker breaker = {OPT_BOOL(true), OPT_BOOL(true)};
	struct ecs_deployment_configuration conf = {.deployment_circuit_breaker = &breaker};
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 2, &conf);
	settle();
	settle();
	pass(41 * 1000);
	k.image = S("missing");
	define("app", &k, 1);
	update_service(S("app"), 2);
	for (int i = 0; i < 8; i++) {
		pass(20 * 1000);
		assert_true(alive() >= 2 && alive() <= 4);
	}
	assert_true(told("deployment failed: tasks failed to start."));
	assert_true(told("rolling back to deployment ecs-svc/"));
	const struct ecs_service *v = service();
	assert_true(str_ends(v->task_definition, S("app:1")));
	assert_true(str_ends(v->deployments.v[0].task_definition, S("app:1")));
	for (int i = 0; i < 4; i++)
		pass(41 * 1000);
	assert_str(service()->deployments.v[0].rollout_state, "COMPLETED");
	assert_int_equal(service()->deployments.n, 1);
	assert_int_equal(alive(), 2);
}

static void protection(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	define("app", &k, 1);
	create_service("app", 2, NULL);
	settle();
	settle();
	struct str kept = str_from(task_list[0].id);
	struct ecs_update_task_protection_request in = {.tasks = {.v = &kept, .n = 1, .set = true},
	                                                .protection_enabled = OPT_BOOL(true)};
	in.cluster = S("default");
	const struct ecs_update_task_protection_response *out = ask(&ecs_api, "UpdateTaskProtection", &in, "");
	assert_int_equal(out->protected_tasks.n, 1);
	update_service(STR_NONE, 1);
	settle();
	settle();
	assert_int_equal(alive(), 1);
	assert_true(task_list[0].c[0].runs);
	update_service(STR_NONE, 0);
	settle();
	settle();
	assert_int_equal(alive(), 1); /* until it is not protected any more */
}

static uint32_t sessions(const char *of)
{
	struct ssm_describe_sessions_request in = {.state = str_from(of)};
	return ((const struct ssm_describe_sessions_response *)ask(&ssm_api, "DescribeSessions", &in, ""))->sessions.n;
}

/* A session in which nobody says anything for twenty minutes. */
static void sessions_idle(void **state)
{
	(void)state;
	struct ecs_container_definition k = container("app");
	struct ecs_task_override role = {.task_role_arn = S("exec")};
	define("app", &k, 1);
	struct ecs_run_task_request in = request("app");
	in.enable_execute_command = OPT_BOOL(true);
	in.overrides = &role;
	struct str arn = ((const struct ecs_run_task_response *)ask(&ecs_api, "RunTask", &in, ""))->tasks.v[0].task_arn;
	settle();
	struct ecs_execute_command_request command = {.task = arn, .command = S("sh"), .interactive = OPT_BOOL(true)};
	ask(&ecs_api, "ExecuteCommand", &command, "");
	pass(19 * 60 * 1000);
	assert_int_equal(sessions("Active"), 1);
	pass(2 * 60 * 1000);
	assert_int_equal(sessions("Active"), 0);
	assert_int_equal(sessions("History"), 1);
}

/* --- */

static int set_up(void **state)
{
	(void)state;
	memset(task_list, 0, sizeof(task_list));
	memset(&w, 0, sizeof(w));
	snprintf(w.dir, sizeof(w.dir), "/tmp/quartet-sim-XXXXXX");
	if (!mkdtemp(w.dir))
		return -1;
	w.wall_ms = INT64_C(1767225600000); /* 2026-01-01 */
	w.mono_us = 1000000000;
	clock_fake(w.wall_ms, w.mono_us);
	w.root = principal_new(PRINCIPAL_ROOT, S("000000000000"));
	open_cloud();
	struct iam_create_role_request role = {
	        .role_name = S("exec"),
	        .assume_role_policy_document =
	                S("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":"
	                  "\"ecs-tasks.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}")};
	ask(&iam_api, "CreateRole", &role, "");
	struct iam_put_role_policy_request may = {
	        .role_name = S("exec"),
	        .policy_name = S("all"),
	        .policy_document = S(
	                "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]}")};
	ask(&iam_api, "PutRolePolicy", &may, "");
	struct ecs_create_cluster_request cluster = {0};
	ask(&ecs_api, "CreateCluster", &cluster, "");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	close_cloud();
	principal_unref(w.root);
	arena_done(&w.arena);
	arena_done(&w.last);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_life, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(essential_exits, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(starts_that_fail, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(variables_and_logs, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(stops_on_the_way_up, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(restarts, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(tokens_and_room, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_service_heals, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_deployment_rolls, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(a_bad_deployment_is_rolled_back, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(protection, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(sessions_idle, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ecs tasks", tests, NULL, NULL);
}
