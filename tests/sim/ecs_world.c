#include "ecs_world.h"

#include "aws/ecr/ecr.h"
#include "aws/iam/iam.h"
#include "base/clock.h"
#include "core/listen.h"
#include "gen/iam.h"
#include "gen/ssm.h"
#include "http/http.h"
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define DIFF_ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A cloud is never taken apart in the program; this one is, and what its identities held goes with the test. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

__attribute__((weak))
const struct service *const cloud_services[] = {&ecs_service, &iam_service, &logs_service, &ssm_service, &sts_service, NULL};

struct ecs_world w;

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
	                             "\"rootfs\":{\"diff_ids\":[\"sha256:" DIFF_ID "\"]}}";
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
	assert_string_equal(layers[0].diff_id, DIFF_ID);
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

struct task task_list[TASKS];
const struct task_events *calls;
bool engine_holds, engine_is_slow;
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

bool task_has_begun(const struct task *t, unsigned index)
{
	return t->c[index].runs;
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

void exits(struct task *t, unsigned index, int code, bool oom)
{
	t->c[index].runs = t->c[index].starts = t->c[index].stops = false;
	calls->exited(t->ctx, t, index, &(struct task_exit){.code = code, .oom = oom, .why = "", .at_us = w.wall_ms * 1000});
}

/* What was asked of it and is done at once: a start, a stop, an end. */
void obey(void)
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
			} else if (t->c[k].stops && t->c[k].runs && !engine_is_slow) {
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

void open_cloud(void)
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

void close_cloud(void)
{
	struct cloud *c = &w.cloud;
	store_settle(c->store);
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

void give_ports(unsigned from)
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

void settle(void)
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

void pass(int64_t ms)
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

const void *ask(const struct api *api, const char *operation, const void *in, const char *code)
{
	struct waiting o = {0};
	call_op(&w.cloud, w.root, S("us-east-1"), api, operation, in, op_done, &o);
	while (!o.done)
		loop_turn(w.cloud.loop, 1000);
	assert_string_equal(w.code, code);
	return o.out;
}

/* --- what tests ask */

struct ecs_container_definition container(const char *name)
{
	return (struct ecs_container_definition){.name = str_from(name), .image = S("app")};
}

void define(const char *family, struct ecs_container_definition *k, uint32_t n)
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

struct ecs_run_task_request request(const char *family)
{
	static struct str subnet = S_INIT("subnet-1");
	static struct ecs_aws_vpc_configuration vpc;
	static struct ecs_network_configuration network = {.awsvpc_configuration = &vpc};
	vpc.subnets = (struct str_list){.v = &subnet, .n = 1, .set = true};
	return (struct ecs_run_task_request){
	        .task_definition = str_from(family), .launch_type = S("FARGATE"), .network_configuration = &network};
}

struct str run(const char *family)
{
	struct ecs_run_task_request in = request(family);
	const struct ecs_run_task_response *out = ask(&ecs_api, "RunTask", &in, "");
	assert_int_equal(out->tasks.n, 1);
	return out->tasks.v[0].task_arn;
}

const struct ecs_task *look(struct str arn)
{
	struct ecs_describe_tasks_request in = {.tasks = {.v = &arn, .n = 1, .set = true}};
	const struct ecs_describe_tasks_response *out = ask(&ecs_api, "DescribeTasks", &in, "");
	return out->tasks.n ? &out->tasks.v[0] : NULL;
}

struct task *engine_task(struct str arn)
{
	for (int i = 0; i < TASKS; i++)
		if (task_list[i].there && str_ends(arn, str_from(task_list[i].id)))
			return &task_list[i];
	return NULL;
}

void stop(struct str arn)
{
	struct ecs_stop_task_request in = {.task = arn, .reason = S("enough")};
	ask(&ecs_api, "StopTask", &in, "");
}

int set_up(void **state)
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

int tear_down(void **state)
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
