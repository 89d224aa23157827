#include "aws/lambda/launch.h"

#include "aws/lambda/code.h"
#include "aws/lambda/extension.h"
#include "aws/lambda/image.h"
#include "aws/lambda/interface.h"
#include "aws/lambda/pool.h"
#include "aws/lambda/provision.h"
#include "aws/lambda/snapstart.h"
#include "aws/lambda/telemetry.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
	CLAIM_AGAIN_US = 50 * 1000,
	CLAIM_TRIES = 40,
	LOST_STARTS = 2,
	USE_MS = 10 * 60 * 1000, /* a new environment is good for at least so long */
};

bool environment_is_stale_in(const struct environment *e, int64_t ms)
{
	int64_t need_ms = e->version->config->timeout.v * 1000 + CREDENTIALS_LEFT_MS + ms;
	return e->credentials && e->credentials->expires_ms - clock_wall_ms() < need_ms;
}

bool environment_is_stale(const struct environment *e)
{
	return environment_is_stale_in(e, 0) || (e->interface && interface_device(e->interface) != e->device);
}

/* --- steps */

static void have_credentials(void *ctx, const struct credentials *credentials)
{
	struct environment *e = ctx;
	e->credential_wait = NULL;
	if (!credentials) {
		struct invocation *inv = e->current;
		e->current = NULL;
		struct outcome o = {.code = "AccessDeniedException",
		                    .status = 403,
		                    .message = S("The role defined for the function cannot be assumed by Lambda.")};
		if (inv)
			invocation_end(inv, &o);
		else if (e->provisioned)
			provision_init_failed(pool_provision(e->pool));
		else if (e->taking)
			snapstart_fail(e, S("InsufficientRolePermissions"),
			               S("The role defined for the function cannot be assumed by Lambda."));
		environment_end(e);
		return;
	}
	e->credentials = (struct credentials *)(uintptr_t)credentials;
	e->credentials->refs++;
	output_set_principal(e->output, credentials->principal);
	launch_claim(e);
}

static void get_credentials(struct environment *e);

static void interface_came(void *ctx, int error)
{
	struct environment *e = ctx;
	e->interface_wait = NULL;
	if (!error) {
		get_credentials(e);
		return;
	}
	log_error("lambda: %.*s has no network interface", STR_ARG(e->version->name));
	environment_end(e);
}

/* Of a function in a VPC; there it has been since the function became active, but for a moment after a start. False: it is waited
 * for. */
static bool get_interface(struct environment *e)
{
	struct fn_version *v = e->version;
	if (!lambda_in_vpc(v->config) || e->interface)
		return true;
	e->interface = interface_take(e->lambda->interfaces, v->account, v->region, v->config);
	if (e->interface)
		return true;
	e->interface_wait = interface_await(e->lambda->interfaces, v->account, v->region, v->config, false, interface_came, e);
	return false;
}

static void get_credentials(struct environment *e)
{
	if (!get_interface(e))
		return;
	struct fn_version *v = e->version;
	e->credential_wait = credentials_get(e->lambda, v->account, v->region, v->config->role, v->name,
	                                     launch_credentials_life_ms(v->config), have_credentials, e);
}

static void code_is_ready(void *ctx, int error, struct str code_dir, struct str opt_dir)
{
	struct environment *e = ctx;
	if (!environment_step_done(e))
		return;
	if (error) {
		log_error("lambda: code of %.*s: %s", STR_ARG(e->version->name), strerror(-error));
		environment_end(e);
		return;
	}
	e->code_dir = arena_dup(&e->arena, code_dir);
	e->opt_dir = arena_dup(&e->arena, opt_dir);
	get_credentials(e);
}

static void image_is_ready(void *ctx, int error, const char *why)
{
	struct environment *e = ctx;
	if (!environment_step_done(e))
		return;
	if (!error) {
		get_credentials(e);
		return;
	}
	log_error("lambda: image of %.*s: %s", STR_ARG(e->version->name), *why ? why : strerror(-error));
	environment_end(e);
}

int64_t launch_credentials_life_ms(const struct lambda_function_configuration *f)
{
	return f->timeout.v * 1000 + CREDENTIALS_LEFT_MS + USE_MS;
}

void launch_prepare(struct environment *e)
{
	struct fn_version *v = e->version;
	const struct lambda_function_configuration *f = v->config;
	/* 2024/05/01/[$LATEST]0123...: one stream an environment. */
	struct str day = time_format(&e->arena, clock_wall_ms(), TIME_ISO8601_MS);
	struct str stream = arena_printf(&e->arena, "%.4s/%.2s/%.2s/[%.*s]%.32s", day.p, day.p + 5, day.p + 8, STR_ARG(f->version),
	                                 id_hex(&e->arena, 32).p);
	struct str group = f->logging_config && str_set(f->logging_config->log_group)
	                           ? f->logging_config->log_group
	                           : ARENA_CAT(&e->arena, S("/aws/lambda/"), v->name);
	e->output = output_new(e->lambda, v->region, group, stream);
	if (e->snap)
		snapstart_set_token(e);
	bool good = v->image ? runtime_of_image(&e->runtime) : runtime_choose(f->runtime, &e->runtime);
	if (!good || !e->lambda->cloud->cells) {
		struct invocation *inv = e->current;
		e->current = NULL;
		struct str why =
		        e->lambda->cloud->cells ? str_from(e->runtime.why_not) : S("sandboxes do not work on this machine");
		struct outcome o = {
		        .code = "InvalidRuntimeException",
		        .status = 502,
		        .message = arena_printf(&e->arena, "The runtime %.*s cannot run here: %.*s.", STR_ARG(f->runtime),
		                                STR_ARG(why)),
		};
		if (inv)
			invocation_end(inv, &o);
		else if (e->taking)
			snapstart_fail(e, S("InvalidRuntime"), o.message);
		else
			provision_init_failed(pool_provision(e->pool));
		environment_end(e);
		return;
	}
	e->preparing = true;
	if (v->image)
		image_make_ready(v->image, image_is_ready, e);
	else
		code_prepare(e->lambda->code, v->code, &v->layer_code, code_is_ready, e);
}

/* --- the cell */

static void claim_again(void *ctx)
{
	struct environment *e = ctx;
	e->claim_timer = NULL;
	launch_claim(e);
}

static void claimed(void *ctx, struct cell *cell, int error)
{
	struct environment *e = ctx;
	if (error == -EAGAIN) {
		cell_destroy(cell);
		e->cell = NULL;
		enum pools_evicted evicted = pools_evict_idle(e->lambda->pools);
		if (evicted == POOLS_EVICTED) {
			launch_claim(e);
			return;
		}
		if (evicted == POOLS_EVICTING) {
			e->claim_timer = loop_add_timer(e->lambda->cloud->loop, CLAIM_AGAIN_US, claim_again, e);
			return;
		}
		struct invocation *inv = e->current;
		e->current = NULL;
		if (inv) {
			struct outcome o = {.code = "TooManyRequestsException",
			                    .status = 429,
			                    .message = S("Rate Exceeded."),
			                    .reason = "ConcurrentInvocationLimitExceeded"};
			invocation_end(inv, &o);
		}
		environment_end(e);
		return;
	}
	if ((error == -EIO || error == -EPIPE) && ++e->claim_tries < CLAIM_TRIES) {
		/* The cell died while it was made, or priv is being started again: it will be back in a moment. */
		cell_destroy(cell);
		e->cell = NULL;
		e->claim_timer = loop_add_timer(e->lambda->cloud->loop, CLAIM_AGAIN_US, claim_again, e);
		return;
	}
	if (error == -ESTALE && e->restoring) {
		snapstart_lost(e->lambda, e->version);
		e->restoring = false;
		cell_destroy(cell);
		e->cell = NULL;
		launch_claim(e);
		return;
	}
	if (error) {
		log_error("lambda: no cell: %s", strerror(-error));
		environment_end(e);
		return;
	}
	environment_has_cell(e);
}

static void process_exited(void *ctx, struct cell *cell, int process, int status)
{
	(void)cell;
	environment_process_exited(ctx, process, status);
}

static void emptied(void *ctx, struct cell *cell)
{
	(void)cell;
	environment_runtime_is_gone(ctx);
}

static void lost(void *ctx, struct cell *cell)
{
	(void)cell;
	struct environment *e = ctx;
	struct invocation *inv = e->current;
	/* The function has not seen the event yet, so another environment may have it. */
	bool again = inv && e->state == ENVIRONMENT_STARTING && !e->init_in_invoke && inv->lost_starts++ < LOST_STARTS;
	if (again)
		e->current = NULL;
	environment_end_now(e);
	if (again)
		invocation_start(inv);
}

static void connected(void *ctx, struct cell *cell, unsigned question, int fd)
{
	(void)cell;
	const struct environment *e = ctx;
	if (e->extensions)
		telemetry_connected(e->extensions->telemetry, question, fd);
	else if (fd >= 0)
		close(fd);
}

void launch_claim(struct environment *e)
{
	static const struct cell_events events = {
	        .ready = claimed, .exited = process_exited, .emptied = emptied, .connected = connected, .lost = lost};
	const struct lambda_function_configuration *f = e->version->config;
	static const struct str_map no_variables;
	struct cell_spec spec = {
	        .kind = str_from(e->runtime.kind),
	        .stem_ok = !e->restoring && runtime_allows_stem(f->environment ? &f->environment->variables : &no_variables),
	        .code_dir = e->code_dir,
	        .opt_dir = e->opt_dir,
	        .memory_mb = (unsigned)f->memory_size.v,
	        .tmp_mb = f->ephemeral_storage ? (unsigned)f->ephemeral_storage->size.v : 512,
	};
	if (e->interface) {
		spec.shared_fd = interface_fd(e->interface);
		e->device = interface_device(e->interface);
	}
	if (e->restoring)
		spec.snapshot = e->version->snapshot;
	if (e->version->image)
		spec.layers = image_layers(e->version->image, &spec.layer_count);
	e->cell = cell_claim(e->lambda->cloud->cells, &spec, &events, e);
}

/* --- what the runtime sees */

static void set(struct arena *a, struct str_map *env, struct str name, struct str value)
{
	for (uint32_t i = 0; i < env->n; i++) {
		if (str_eq(env->v[i].key, name)) {
			env->v[i].value = value;
			return;
		}
	}
	*LIST_ADD(a, env) = (struct str_map_entry){name, value};
}

/* An image brings its own; where it says nothing, a container's usual PATH. */
static void add_image_environment(struct arena *a, const struct function_image *image, struct str_map *env)
{
	const struct str_list *list = &image_record(image)->environment;
	set(a, env, S("PATH"), S("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
	for (uint32_t i = 0; i < list->n; i++) {
		struct str value = list->v[i], name = str_cut(&value, '=');
		if (name.n)
			set(a, env, name, str_set(value) ? value : S(""));
	}
}

static void build_environment(struct environment *e, struct arena *a, struct str_map *env)
{
	const struct fn_version *v = e->version;
	const struct lambda_function_configuration *f = v->config;
	const struct lambda_logging_config *logging = f->logging_config;
	if (v->image)
		add_image_environment(a, v->image, env);
	else
		runtime_default_environment(a, &e->runtime, f->runtime, env);
	set(a, env, S("AWS_XRAY_CONTEXT_MISSING"), S("LOG_ERROR"));
	set(a, env, S("AWS_XRAY_DAEMON_ADDRESS"), S("169.254.79.129:2000"));
	set(a, env, S("AWS_ENDPOINT_URL"), S("http://127.0.0.1:4566"));
	for (uint32_t i = 0; f->environment && i < f->environment->variables.n; i++)
		set(a, env, f->environment->variables.v[i].key, f->environment->variables.v[i].value);
	if (!v->image)
		set(a, env, S("_HANDLER"), str_set(f->handler) ? f->handler : S(""));
	set(a, env, S("AWS_REGION"), v->region);
	set(a, env, S("AWS_DEFAULT_REGION"), v->region);
	/* AWS's clients in packages put their messages into frames where they find this; ours do it anyway. */
	if (e->runtime.family == RUNTIME_PROVIDED)
		set(a, env, S("_LAMBDA_TELEMETRY_LOG_FD"), S("1"));
	else
		set(a, env, S("AWS_EXECUTION_ENV"), ARENA_CAT(a, S("AWS_Lambda_"), f->runtime));
	set(a, env, S("AWS_LAMBDA_FUNCTION_NAME"), v->name);
	set(a, env, S("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), arena_printf(a, "%lld", (long long)f->memory_size.v));
	set(a, env, S("AWS_LAMBDA_FUNCTION_VERSION"), f->version);
	set(a, env, S("AWS_LAMBDA_INITIALIZATION_TYPE"), str_from(launch_initialization_type(e)));
	set(a, env, S("AWS_LAMBDA_LOG_GROUP_NAME"),
	    logging && str_set(logging->log_group) ? logging->log_group : ARENA_CAT(a, S("/aws/lambda/"), v->name));
	set(a, env, S("AWS_LAMBDA_LOG_STREAM_NAME"), output_stream(e->output));
	if (logging && str_eq(logging->log_format, S("JSON"))) {
		set(a, env, S("AWS_LAMBDA_LOG_FORMAT"), S("JSON"));
		if (str_set(logging->application_log_level))
			set(a, env, S("AWS_LAMBDA_LOG_LEVEL"), logging->application_log_level);
	}
	if (e->snap) {
		/* a snapshot holds no keys: they are asked for */
		set(a, env, S("AWS_CONTAINER_CREDENTIALS_FULL_URI"), S("http://127.0.0.1:9001/2021-04-23/credentials"));
		set(a, env, S("AWS_CONTAINER_AUTHORIZATION_TOKEN"), str_from(e->token));
	} else {
		set(a, env, S("AWS_ACCESS_KEY_ID"), e->credentials->access_key);
		set(a, env, S("AWS_SECRET_ACCESS_KEY"), e->credentials->secret);
		set(a, env, S("AWS_SESSION_TOKEN"), e->credentials->token);
	}
	set(a, env, S("AWS_LAMBDA_RUNTIME_API"), S("127.0.0.1:9001"));
	set(a, env, S("LAMBDA_TASK_ROOT"), S("/var/task"));
	set(a, env, S("LAMBDA_RUNTIME_DIR"), S("/var/runtime"));
}

static int wake_stem(struct environment *e, struct arena *a, const struct str_map *env)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 256 * 1024);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("env"));
	json_open(&o, '{');
	for (uint32_t i = 0; i < env->n; i++) {
		json_key(&o, env->v[i].key);
		json_string(&o, env->v[i].value);
	}
	json_close(&o, '}');
	json_key(&o, S("handler"));
	json_string(&o, e->version->config->handler);
	json_key(&o, S("task_root"));
	json_string(&o, S("/var/task"));
	json_close(&o, '}');
	(void)a;
	int error = b.overflow ? -EMSGSIZE : cell_stem_message(e->cell, buf_str(&b));
	return error < 0 ? error : CELL_STEM_PROCESS;
}

/* The place of a tree on the disk; NULL when there is none. */
static const char *place(struct environment *e, struct arena *a, struct str relative)
{
	return str_set(relative) ? ARENA_CAT(a, str_from(e->lambda->cloud->data_dir), S("/code/"), relative).p : NULL;
}

static const char *const *environment_list(struct arena *a, const struct str_map *env, bool extension)
{
	const char **list = arena_array(a, env->n + 1, sizeof(*list));
	size_t n = 0;
	for (uint32_t i = 0; i < env->n; i++)
		if (!extension || !extension_hides(env->v[i].key))
			list[n++] = ARENA_CAT(a, env->v[i].key, S("="), env->v[i].value).p;
	return list;
}

int launch_extension(struct environment *e, const char *name, int output)
{
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str_map env = {0};
	build_environment(e, &a, &env);
	const char *argv[] = {ARENA_CAT(&a, S("/opt/extensions/"), str_from(name)).p, NULL};
	struct cell_process process = {.argv = argv, .env = environment_list(&a, &env, true), .cwd = "/", .output = output};
	return cell_start(e->cell, &process);
}

/* The image's entry point and command, unless the function has its own; NULL: there is neither. */
static const char *const *image_command(struct arena *a, const struct fn_version *v, struct str *ret_directory)
{
	const struct state_lambda_image_record *r = image_record(v->image);
	const struct lambda_image_config_response *config = v->config->image_config_response;
	const struct lambda_image_config *own = config ? config->image_config : NULL;
	const struct str_list *parts[2] = {own && own->entry_point.n ? &own->entry_point : &r->entry_point,
	                                   own && own->command.n ? &own->command : &r->command};
	const char **argv = arena_array(a, parts[0]->n + parts[1]->n + 1u, sizeof(*argv));
	size_t n = 0;
	for (int p = 0; p < 2; p++)
		for (uint32_t i = 0; i < parts[p]->n; i++)
			argv[n++] = arena_dupz(a, parts[p]->v[i]);
	bool directory = own && str_set(own->working_directory) && own->working_directory.n;
	*ret_directory = directory ? own->working_directory : image_default_directory(v->image);
	return n && *argv[0] ? argv : NULL;
}

const char *launch_initialization_type(const struct environment *e)
{
	return e->snap ? "snap-start" : e->provisioned ? "provisioned-concurrency" : "on-demand";
}

int launch_runtime(struct environment *e)
{
	if (e->restoring)
		return cell_restore(e->cell);
	struct arena CLEAN_ARENA a;
	arena_init(&a, 0);
	struct str_map env = {0};
	build_environment(e, &a, &env);
	if (e->init_attempts == 1 && cell_is_stem(e->cell))
		return wake_stem(e, &a, &env);
	struct str wrapper = str_map_get(&env, S("AWS_LAMBDA_EXEC_WRAPPER")), directory = S("/var/task");
	bool image = e->version->image != NULL;
	const char *const *argv = image ? image_command(&a, e->version, &directory)
	                                : runtime_command(&a, &e->runtime, place(e, &a, e->code_dir), place(e, &a, e->opt_dir),
	                                                  wrapper, e->version->config->memory_size.v);
	if (!argv)
		return -ENOENT;
	struct cell_process process = {
	        .argv = argv, .env = environment_list(&a, &env, false), .cwd = arena_dupz(&a, directory), .exact = image};
	return cell_start(e->cell, &process);
}
