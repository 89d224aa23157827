/* What a task needs before its containers can start, one thing after another:
 *
 *	the execution role's credentials   if it has such a role
 *	secrets, environment files         read as that role
 *	log groups and streams             made as that role
 *	images                             resolved and unpacked
 *	the engine's task                  with its interface and size
 *
 * Nothing of this is recorded: after a restart of the role it is done again. Each step ends in step_done() or fail(). */
#include "connect.h"

#include "aws/ec2/ec2.h"
#include "aws/ecr/ecr.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "gen/logs.h"
#include "gen/s3.h"
#include "gen/secretsmanager.h"
#include "gen/ssm.h"
#include "gen/sts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1 << 20, SECRETS_MAX = 512, SESSION_MAX = 64 };

struct launch {
	struct duty *duty; /* NULL: cancelled; freed when what is under way comes back */
	launch_done_fn *done;
	struct arena arena;
	struct state_ecs_task_record record;
	struct ec2_lent lent;
	const struct principal *role; /* the execution role's session; NULL: none */
	uint32_t container, item;     /* how far the step under way is */
	bool waiting;                 /* something is under way */
	bool group_tried;
	struct launch_secret secrets[SECRETS_MAX];
	uint32_t secret_count;
	struct launch_facts facts;
	int step;
};

static bool step_role(struct launch *l), step_secrets(struct launch *l), step_files(struct launch *l), step_logs(struct launch *l),
        step_images(struct launch *l), step_task(struct launch *l);
/* Each says true when there is nothing to wait for. */
static bool (*const steps[])(struct launch *l) = {step_role, step_secrets, step_files, step_logs, step_images, step_task};
enum { STEPS = sizeof(steps) / sizeof(*steps) };

static void launch_free(struct launch *l)
{
	if (l->role)
		principal_unref(l->role);
	arena_done(&l->arena);
	free(l);
}

static struct cloud *cloud_of(struct launch *l)
{
	return l->duty->crew->cloud;
}

/* True: it was cancelled meanwhile, and is gone. */
static bool gone(struct launch *l)
{
	l->waiting = false;
	if (l->duty)
		return false;
	launch_free(l);
	return true;
}

static void finish(struct launch *l)
{
	struct duty *i = l->duty;
	launch_done_fn *done = l->done;
	launch_free(l);
	done(i);
}

static void go_on(struct launch *l)
{
	while (l->step < STEPS && !l->duty->failed_code) {
		if (!steps[l->step](l)) {
			if (!l->duty->failed_code)
				return;
			break;
		}
		l->step++;
		l->container = l->item = 0;
	}
	finish(l);
}

/* Returns false, as a step does that is not done. */
__attribute__((format(printf, 2, 3))) static bool fail(struct launch *l, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	l->duty->failed_reason = arena_vprintf(&l->duty->arena, fmt, ap);
	va_end(ap);
	l->duty->failed_code = "TaskFailedToStart";
	return false;
}

static const struct ecs_container_definition *current(struct launch *l)
{
	return l->container < l->record.definition->container_definitions.n
	               ? &l->record.definition->container_definitions.v[l->container]
	               : NULL;
}

static bool next_container(struct launch *l)
{
	l->container++;
	l->item = 0;
	l->group_tried = false;
	return current(l) != NULL;
}

static void ask(struct launch *l, const struct principal *as, struct str region, const struct api *api, const char *operation,
                const void *in, call_done_fn *done)
{
	l->waiting = true;
	call_op(cloud_of(l), as, region, api, operation, in, done, l);
}

#define NO_SECRETS \
	"ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable "
#define RETRIED "service call has been retried 1 time(s): "

/* --- the execution role */

static void assumed(void *ctx, struct call *sub)
{
	struct launch *l = ctx;
	const struct sts_assume_role_response *out = sub->out;
	struct credential found = {0};
	if (gone(l))
		return;
	struct identity_source *source = &cloud_of(l)->identity;
	bool good = !str_set(sub->error.code) && out && out->credentials && source->find_key &&
	            source->find_key(source->ctx, out->credentials->access_key_id, out->credentials->session_token, clock_wall_ms(),
	                             &found) == KEY_GOOD;
	if (good) {
		l->role = found.principal;
		l->step++;
	} else {
		fail(l, NO_SECRETS "to get execution role credentials: %.*s: %.*s", STR_ARG(sub->error.code),
		     STR_ARG(sub->error.message));
	}
	go_on(l);
}

static bool step_role(struct launch *l)
{
	if (!str_set(l->record.execution_role))
		return true;
	struct sts_assume_role_request in = {.role_arn = l->record.execution_role,
	                                     .role_session_name = str_sub(l->record.id, 0, SESSION_MAX)};
	ask(l, l->duty->crew->self, l->duty->region, &sts_api, "AssumeRole", &in, assumed);
	return false;
}

/* --- secrets */

static bool add_variable(struct launch *l, struct str name, struct str value, bool from_file)
{
	if (l->secret_count == SECRETS_MAX)
		return fail(l, "ResourceInitializationError: more than %d variables from secrets and files", SECRETS_MAX);
	l->secrets[l->secret_count++] = (struct launch_secret){.name = arena_dup(&l->arena, name),
	                                                       .value = arena_dup(&l->arena, value),
	                                                       .container = l->container,
	                                                       .from_file = from_file};
	return true;
}

static void parameter_read(void *ctx, struct call *sub)
{
	struct launch *l = ctx;
	const struct ssm_get_parameters_result *out = sub->out;
	if (gone(l))
		return;
	const struct ecs_secret *s = &current(l)->secrets.v[l->item];
	if (str_set(sub->error.code))
		fail(l, NO_SECRETS "to retrieve secrets from ssm: %.*s: %.*s", STR_ARG(sub->error.code),
		     STR_ARG(sub->error.message));
	else if (!out->parameters.n)
		fail(l, NO_SECRETS "to retrieve secrets from ssm: invalid parameters: %.*s", STR_ARG(s->value_from));
	else
		add_variable(l, s->name, out->parameters.v[0].value, false);
	l->item++;
	go_on(l);
}

static void secret_read(void *ctx, struct call *sub)
{
	struct launch *l = ctx;
	const struct secretsmanager_get_secret_value_response *out = sub->out;
	struct str text = out ? out->secret_string : STR_NONE;
	if (gone(l))
		return;
	struct launch_wanted w = launch_wanted(current(l)->secrets.v[l->item].value_from);
	if (str_set(sub->error.code))
		fail(l,
		     NO_SECRETS "to retrieve secret from asm: " RETRIED
		                "failed to fetch secret %.*s from secrets manager: %.*s: %.*s",
		     STR_ARG(w.arn), STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	else if (!str_set(text))
		fail(l, NO_SECRETS "to retrieve secret from asm: secret %.*s has no text", STR_ARG(w.arn));
	else if (str_set(w.json_key) && !launch_member(&l->arena, text, w.json_key, &text))
		fail(l,
		     NO_SECRETS "to retrieve secret from asm: " RETRIED
		                "retrieved secret from Secrets Manager did not contain json key %.*s",
		     STR_ARG(w.json_key));
	else
		add_variable(l, current(l)->secrets.v[l->item].name, text, false);
	l->item++;
	go_on(l);
}

static bool step_secrets(struct launch *l)
{
	while (current(l) && l->item >= current(l)->secrets.n)
		if (!next_container(l))
			return true;
	if (!current(l))
		return true;
	struct str name = current(l)->secrets.v[l->item].value_from, rest = name, region = l->duty->region;
	for (int i = 0; str_starts(name, S("arn:")) && i < 4; i++)
		region = str_cut(&rest, ':'); /* arn:aws:ssm:REGION */
	if (str_starts(name, S("arn:aws:secretsmanager:"))) {
		struct launch_wanted w = launch_wanted(name);
		struct secretsmanager_get_secret_value_request in = {w.arn, .version_id = w.version, .version_stage = w.stage};
		ask(l, l->role, region, &secretsmanager_api, "GetSecretValue", &in, secret_read);
		return false;
	}
	struct ssm_get_parameters_request in = {.with_decryption = OPT_BOOL(true)};
	*LIST_ADD(&l->arena, &in.names) = name;
	ask(l, l->role, region, &ssm_api, "GetParameters", &in, parameter_read);
	return false;
}

/* --- environment files: VAR=VALUE a line, '#' comments, quotes are part of the value */

static bool take_file(struct launch *l, struct str text)
{
	while (str_set(text)) {
		struct str line = str_trim(str_cut(&text, '\n')), value = line, name = str_cut(&value, '=');
		if (!line.n || line.p[0] == '#' || !str_set(value) || !name.n)
			continue;
		if (!add_variable(l, name, value, true))
			return false;
	}
	return true;
}

static void file_read(void *ctx, struct call *sub)
{
	struct launch *l = ctx;
	if (gone(l))
		return;
	bool memory = sub->reply.kind == REPLY_MEMORY;
	uint64_t length = memory ? sub->reply.memory.n : sub->reply.length;
	if (str_set(sub->error.code)) {
		fail(l, "ResourceInitializationError: failed to download env files: %.*s: %.*s", STR_ARG(sub->error.code),
		     STR_ARG(sub->error.message));
	} else if ((!memory && sub->reply.kind != REPLY_FILE) || length > FILE_BYTES_MAX) {
		fail(l, "ResourceInitializationError: failed to download env files: the file is too large");
	} else if (memory) {
		take_file(l, sub->reply.memory);
	} else {
		char *bytes = arena_alloc(&l->arena, length + 1);
		ssize_t n = pread(sub->reply.fd, bytes, length, (off_t)sub->reply.offset);
		if (n < 0 || (uint64_t)n != length)
			fail(l, "ResourceInitializationError: failed to download env files: the file cannot be read");
		else
			take_file(l, str_of(bytes, length));
	}
	l->item++;
	go_on(l);
}

static struct str file_key(struct launch *l)
{
	return str_from_at(current(l)->environment_files.v[l->item].value, sizeof("arn:aws:s3:::") - 1);
}

/* A bucket is asked where it lies. */
static void bucket_found(void *ctx, struct call *sub)
{
	struct launch *l = ctx;
	const struct s3_get_bucket_location_output *out = sub->out;
	if (gone(l))
		return;
	if (str_set(sub->error.code)) {
		fail(l, "ResourceInitializationError: failed to download env files: %.*s: %.*s", STR_ARG(sub->error.code),
		     STR_ARG(sub->error.message));
		go_on(l);
		return;
	}
	struct str key = file_key(l);
	struct s3_get_object_request in = {.bucket = str_cut(&key, '/')};
	in.key = key;
	ask(l, l->role, out->location_constraint.n ? out->location_constraint : S("us-east-1"), &s3_api, "GetObject", &in,
	    file_read);
}

static bool step_files(struct launch *l)
{
	while (current(l) && l->item >= current(l)->environment_files.n)
		if (!next_container(l))
			return true;
	if (!current(l))
		return true;
	struct str key = file_key(l);
	struct s3_get_bucket_location_request in = {.bucket = str_cut(&key, '/')};
	ask(l, l->role, l->duty->region, &s3_api, "GetBucketLocation", &in, bucket_found);
	return false;
}

/* --- log groups and streams */

static struct str log_option(struct launch *l, const char *name)
{
	return str_map_get(&current(l)->log_configuration->options, str_from(name));
}

static void stream_made(void *ctx, struct call *sub);

static void make_stream(struct launch *l)
{
	struct logs_create_log_stream_request in = {.log_group_name = log_option(l, "awslogs-group"),
	                                            .log_stream_name = ARENA_CAT(&l->arena, log_option(l, "awslogs-stream-prefix"),
	                                                                         S("/"), current(l)->name, S("/"), l->record.id)};
	ask(l, l->role, log_option(l, "awslogs-region"), &logs_api, "CreateLogStream", &in, stream_made);
}

static void log_failed(struct launch *l, const struct call *sub)
{
	fail(l,
	     "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create "
	     "Cloudwatch log stream: %.*s: %.*s : exit status 1",
	     STR_ARG(sub->error.code), STR_ARG(sub->error.message));
	go_on(l);
}

static void group_made(void *ctx, struct call *sub)
{
	struct launch *l = ctx;
	if (gone(l))
		return;
	if (str_set(sub->error.code) && !str_is(sub->error.code, "ResourceAlreadyExistsException"))
		log_failed(l, sub);
	else
		make_stream(l);
}

static void stream_made(void *ctx, struct call *sub)
{
	struct launch *l = ctx;
	if (gone(l))
		return;
	if (str_is(sub->error.code, "ResourceNotFoundException") && !l->group_tried &&
	    str_is(log_option(l, "awslogs-create-group"), "true")) {
		struct logs_create_log_group_request in = {.log_group_name = log_option(l, "awslogs-group")};
		l->group_tried = true;
		ask(l, l->role, log_option(l, "awslogs-region"), &logs_api, "CreateLogGroup", &in, group_made);
	} else if (str_set(sub->error.code) && !str_is(sub->error.code, "ResourceAlreadyExistsException")) {
		log_failed(l, sub);
	} else {
		next_container(l);
		go_on(l);
	}
}

static bool step_logs(struct launch *l)
{
	while (current(l) && !current(l)->log_configuration)
		next_container(l);
	if (!current(l))
		return true;
	make_stream(l);
	return false;
}

/* --- images */

static int open_layer(void *ctx, size_t index)
{
	struct launch *l = ctx;
	int fd = open(l->duty->more[l->container].pulled->layers[index].path.p, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void unpacked(void *ctx, struct image *image, int error, const char *why)
{
	struct launch *l = ctx;
	(void)image;
	l->waiting = false;
	if (error) {
		fail(l, "CannotPullContainerError: failed to extract layer: %s", why);
	} else if (!next_container(l)) {
		l->duty->pulled_ms = clock_wall_ms();
	}
	go_on(l);
}

static struct str digest_hex(struct str digest)
{
	return str_starts(digest, S("sha256:")) ? str_from_at(digest, 7) : digest;
}

static bool read_config(struct launch *l, struct ecr_pulled *p, struct str *ret)
{
	int fd = open(p->config.path.p, O_RDONLY | O_CLOEXEC);
	char *bytes = p->config.size <= FILE_BYTES_MAX ? arena_alloc(&l->arena, p->config.size + 1) : NULL;
	bool good = fd >= 0 && bytes && read(fd, bytes, p->config.size) == (ssize_t)p->config.size;
	if (fd >= 0)
		close(fd);
	if (good)
		*ret = str_of(bytes, p->config.size);
	return good;
}

static void unpack(struct launch *l, struct ecr_pulled *p)
{
	struct str *config = &l->facts.configs[l->container];
	struct image_layer *layers = arena_array(&l->arena, p->layer_count + 1, sizeof(*layers));
	uint32_t n = 0;
	if (!read_config(l, p, config)) {
		fail(l, "CannotPullContainerError: the image's configuration cannot be read");
		go_on(l);
		return;
	}
	const struct json_value *ids = json_get(json_get(json_parse(&l->arena, *config, NULL), S("rootfs")), S("diff_ids"));
	json_each(ids, id)
	{
		if (n == p->layer_count || id->kind != JSON_STRING || digest_hex(id->text).n != 64)
			break;
		layers[n] = (struct image_layer){.digest = arena_dupz(&l->arena, digest_hex(p->layers[n].digest)),
		                                 .diff_id = arena_dupz(&l->arena, digest_hex(id->text)),
		                                 .bytes = p->layers[n].size};
		n++;
	}
	if (!ids || n != p->layer_count || ids->count != n) {
		fail(l, "CannotPullContainerError: the image's configuration does not fit its layers");
		go_on(l);
		return;
	}
	l->waiting = true;
	l->duty->more[l->container].image = image_prepare(l->duty->crew->images, layers, n, open_layer, unpacked, l);
}

static void pulled(void *ctx, struct ecr_pulled *image, struct str code, struct str message)
{
	struct launch *l = ctx;
	if (gone(l)) {
		ecr_pulled_free(image);
		return;
	}
	struct str name = current(l)->image;
	if (!image) {
		fail(l,
		     "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref %.*s: %.*s: %.*s",
		     STR_ARG(name), STR_ARG(code), STR_ARG(message));
		go_on(l);
		return;
	}
	l->duty->more[l->container].pulled = image;
	l->duty->more[l->container].digest = arena_dup(&l->duty->arena, image->digest);
	unpack(l, image);
}

static bool step_images(struct launch *l)
{
	struct ecr_reference ref;
	if (!current(l))
		return true;
	if (connect_is_proxy(&l->record, l->container)) { /* the last: it has no image of the registry */
		l->duty->pulled_ms = clock_wall_ms();
		return true;
	}
	struct str name = current(l)->image;
	if (!ecr_reference_read(name, &ref))
		return fail(l,
		            "CannotPullContainerError: failed to resolve ref %.*s: images come from this cloud's own registry, as "
		            "ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG",
		            STR_ARG(name));
	ref.account = str_set(ref.account) ? ref.account : l->duty->account;
	ref.region = str_set(ref.region) ? ref.region : l->duty->region;
	l->waiting = true;
	ecr_pull(cloud_of(l), l->role, &ref, STR_NONE, pulled, l);
	return false;
}

void launch_drop_images(struct duty *i)
{
	for (uint32_t k = 0; k < TASK_CONTAINERS_MAX; k++) {
		struct duty_container *m = &i->more[k];
		if (m->image)
			image_release(m->image);
		ecr_pulled_free(m->pulled);
		m->image = NULL;
		m->pulled = NULL;
	}
}

/* --- the task */

static bool step_task(struct launch *l)
{
	struct duty *i = l->duty;
	const struct ecs_task_definition *d = l->record.definition;
	struct task_container containers[TASK_CONTAINERS_MAX] = {0};
	struct str why = STR_NONE;
	l->facts.record = &l->record;
	l->facts.secrets = l->secrets;
	l->facts.secret_count = l->secret_count;
	const char *name = arena_dupz(&l->arena, str_set(l->lent.private_name) ? l->lent.private_name : l->lent.address);
	l->facts.region = i->region;
	l->facts.host_name = str_from(name);
	if (!launch_containers(&l->arena, &l->facts, i->more, containers, &why))
		return fail(l, "%.*s", STR_ARG(why));
	struct task_port port = {.fd = i->port_fd,
	                         .address = l->lent.ip,
	                         .gateway = l->lent.gateway,
	                         .prefix = l->lent.prefix,
	                         .has_address6 = str_set(l->lent.address6)};
	memcpy(port.address6, l->lent.ip6, sizeof(port.address6));
	char resolver[16];
	snprintf(resolver, sizeof(resolver), "%u.%u.%u.%u", l->lent.resolver >> 24, l->lent.resolver >> 16 & 255,
	         l->lent.resolver >> 8 & 255, l->lent.resolver & 255);
	struct task_pair *hosts = arena_array(&l->arena, CONNECT_NAMES_MAX + 1, sizeof(*hosts));
	size_t host_count = 1;
	hosts[0] = (struct task_pair){name, arena_dupz(&l->arena, l->lent.address)};
	for (uint32_t k = 0; l->record.connect && k < l->record.connect->names.n && k < CONNECT_NAMES_MAX; k++)
		hosts[host_count++] = (struct task_pair){arena_dupz(&l->arena, l->record.connect->names.v[k].name),
		                                         arena_dupz(&l->arena, l->record.connect->names.v[k].address)};
	const struct task_spec spec = {
	        .id = arena_dupz(&l->arena, l->record.id),
	        .port = &port,
	        .cpu_units = (uint32_t)ecs_cpu_units(d->cpu),
	        .memory_bytes = (uint64_t)ecs_memory_mib(d->memory) << 20,
	        .scratch_bytes = d->ephemeral_storage ? (uint64_t)d->ephemeral_storage->size_in_gib.v << 30 : 0,
	        .host_name = name,
	        .dns_servers = (const char *const[]){resolver, NULL},
	        .hosts = hosts,
	        .host_count = host_count,
	        .volumes = launch_volumes(&l->arena, d),
	        .shared_processes = str_is(d->pid_mode, "task"),
	        .containers = containers,
	        .container_count = d->container_definitions.n,
	};
	i->task = task_new(i->crew->tasks, &spec, i);
	return true;
}

/* --- beginning and end */

static void begin(void *ctx)
{
	struct launch *l = ctx;
	if (!gone(l))
		go_on(l);
}

struct launch *launch_begin(struct duty *i, const struct state_ecs_task_record *r, const struct ecs_scope *s, launch_done_fn *done)
{
	struct launch *l = calloc(1, sizeof(*l));
	if (!l)
		abort();
	l->duty = i;
	l->done = done;
	struct record_type row = {&state_ecs_api, "TaskRecord"};
	if (!record_read(&l->arena, arena_dup(&l->arena, record_write(s->arena, &row, r)), &row, &l->record))
		die("a task's record does not read (ecs)");
	if (!ec2_find_lent(s->txn, &l->arena, i->account, i->region, r->interface, &l->lent))
		fail(l, "ResourceInitializationError: the network interface of the task is gone");
	/* Never from inside: whoever begins has not kept the handle yet. */
	l->waiting = true;
	loop_add_timer(i->crew->cloud->loop, 0, begin, l);
	return l;
}

void launch_cancel(struct launch *l)
{
	if (!l)
		return;
	struct duty *i = l->duty;
	l->duty = NULL;
	/* An image that is being unpacked is let go, and then nothing comes back. */
	bool unpacking = l->step == 4 && l->container < TASK_CONTAINERS_MAX && i->more[l->container].image;
	launch_drop_images(i);
	if (!l->waiting || unpacking)
		launch_free(l);
}
