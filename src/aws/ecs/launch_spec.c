/* From a definition, its image's configuration and what was fetched for it, to the containers of an engine's task. */
#include "connect.h"

#include "base/json.h"

#include <signal.h>

/* This cloud, as what runs in a VPC reaches it. */
#define TASK_ENDPOINT "http://169.254.169.254:4566"

static const char *z(struct arena *a, struct str s)
{
	return arena_dupz(a, s);
}

struct words {
	const char **v;
	size_t n, cap;
};

static void add(struct arena *a, struct words *w, struct str s)
{
	if (w->n + 2 > w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 16;
		const char **v = arena_array(a, cap, sizeof(*v));
		if (w->n)
			memcpy(v, w->v, w->n * sizeof(*v));
		w->v = v;
		w->cap = cap;
	}
	w->v[w->n++] = z(a, s);
	w->v[w->n] = NULL;
}

static void add_list(struct arena *a, struct words *w, const struct str_list *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		add(a, w, l->v[i]);
}

static void add_json(struct arena *a, struct words *w, const struct json_value *l)
{
	json_each(l, e) if (e->kind == JSON_STRING) add(a, w, e->text);
}

/* A later one of the same name takes the place of the earlier. */
static void set(struct arena *a, struct words *w, struct str name, struct str value)
{
	for (size_t i = 0; i < w->n; i++) {
		struct str have = str_from(w->v[i]);
		if (str_starts(have, name) && have.n > name.n && have.p[name.n] == '=') {
			w->v[i] = ARENA_CAT(a, name, S("="), value).p;
			return;
		}
	}
	add(a, w, ARENA_CAT(a, name, S("="), value));
}

static const char *const *environment(struct arena *a, const struct launch_facts *f, uint32_t index,
                                      const struct json_value *config)
{
	const struct state_ecs_task_record *r = f->record;
	const struct ecs_container_definition *k = &r->definition->container_definitions.v[index];
	struct words w = {0};
	add(a, &w, S("AWS_ENDPOINT_URL=" TASK_ENDPOINT));
	add(a, &w, ARENA_CAT(a, S("HOSTNAME="), f->host_name)); /* as container engines do it: the image may say otherwise */
	json_each(json_get(config, S("Env")), e)
	{
		struct str value = e->text, name = str_cut(&value, '=');
		set(a, &w, name, str_set(value) ? value : S(""));
	}
	for (uint32_t i = f->secret_count; i-- > 0;) /* of two files the first wins */
		if (f->secrets[i].container == index && f->secrets[i].from_file)
			set(a, &w, f->secrets[i].name, f->secrets[i].value);
	for (uint32_t i = 0; i < k->environment.n; i++)
		set(a, &w, k->environment.v[i].name, k->environment.v[i].value);
	for (uint32_t i = 0; i < f->secret_count; i++)
		if (f->secrets[i].container == index && !f->secrets[i].from_file)
			set(a, &w, f->secrets[i].name, f->secrets[i].value);
	struct str at = arena_printf(a, "%.*s-%u", STR_ARG(r->id), (unsigned)index);
	set(a, &w, S("AWS_EXECUTION_ENV"), S("AWS_ECS_FARGATE"));
	set(a, &w, S("AWS_REGION"), f->region);
	set(a, &w, S("AWS_DEFAULT_REGION"), f->region);
	set(a, &w, S("ECS_CONTAINER_METADATA_URI"), ARENA_CAT(a, S("http://169.254.170.2/v3/"), at));
	set(a, &w, S("ECS_CONTAINER_METADATA_URI_V4"), ARENA_CAT(a, S("http://169.254.170.2/v4/"), at));
	set(a, &w, S("ECS_AGENT_URI"), ARENA_CAT(a, S("http://169.254.170.2/api/"), at));
	if (str_set(r->task_role))
		set(a, &w, S("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), ARENA_CAT(a, S("/v2/credentials/"), r->id));
	return w.v;
}

/* As Docker joins them: a definition's entry point puts aside the image's command too. */
static const char *const *arguments(struct arena *a, const struct ecs_container_definition *k, const struct json_value *config)
{
	struct words w = {0};
	if (k->entry_point.n)
		add_list(a, &w, &k->entry_point);
	else
		add_json(a, &w, json_get(config, S("Entrypoint")));
	if (k->command.n)
		add_list(a, &w, &k->command);
	else if (!k->entry_point.n)
		add_json(a, &w, json_get(config, S("Cmd")));
	return w.v;
}

static int signal_number(struct str s)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {{"TERM", SIGTERM}, {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
	             {"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};
	int64_t n;
	if (str_to_i64(s, &n) && n > 0 && n < 65)
		return (int)n;
	if (str_starts(s, S("SIG")))
		s = str_from_at(s, 3);
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (str_is(s, known[i].name))
			return known[i].number;
	return 0;
}

static void health(struct arena *a, const struct ecs_container_definition *k, struct task_health *ret)
{
	const struct ecs_health_check *h = k->health_check;
	struct words w = {0};
	if (!h || str_is(h->command.v[0], "NONE"))
		return;
	if (str_is(h->command.v[0], "CMD-SHELL")) {
		add(a, &w, S("/bin/sh"));
		add(a, &w, S("-c"));
	}
	for (uint32_t i = 1; i < h->command.n; i++)
		add(a, &w, h->command.v[i]);
	*ret = (struct task_health){.argv = w.v,
	                            .interval_us = h->interval.v * 1000000,
	                            .timeout_us = h->timeout.v * 1000000,
	                            .start_period_us = h->start_period.v * 1000000,
	                            .retries = (unsigned)h->retries.v};
}

static void add_mounts(struct arena *a, const struct ecs_container_definition *k, bool read_only, struct task_mount *v, size_t *n)
{
	for (uint32_t i = 0; i < k->mount_points.n && *n < TASK_MOUNTS_MAX; i++)
		v[(*n)++] = (struct task_mount){.kind = TASK_MOUNT_VOLUME,
		                                .path = z(a, k->mount_points.v[i].container_path),
		                                .volume = z(a, k->mount_points.v[i].source_volume),
		                                .read_only = read_only || k->mount_points.v[i].read_only.v};
}

/* As Docker mounts them, unless the options say otherwise: nothing in them can be executed. */
static void add_tmpfs(struct arena *a, const struct ecs_container_definition *k, struct task_mount *v, size_t *n)
{
	const struct ecs_linux_parameters *l = k->linux_parameters;
	for (uint32_t i = 0; l && i < l->tmpfs.n && *n < TASK_MOUNTS_MAX; i++) {
		struct words options = {0};
		bool exec = false;
		for (uint32_t o = 0; o < l->tmpfs.v[i].mount_options.n; o++)
			exec = exec || str_is(l->tmpfs.v[i].mount_options.v[o], "exec");
		if (!exec) /* an option does not take back one before it */
			add(a, &options, S("noexec"));
		add_list(a, &options, &l->tmpfs.v[i].mount_options);
		v[(*n)++] = (struct task_mount){.kind = TASK_MOUNT_TMPFS,
		                                .path = z(a, l->tmpfs.v[i].container_path),
		                                .bytes = (uint64_t)l->tmpfs.v[i].size.v << 20,
		                                .options = options.v};
	}
}

static void mounts(struct arena *a, const struct ecs_task_definition *d, const struct ecs_container_definition *k,
                   struct task_container *ret)
{
	struct task_mount *v = arena_array(a, TASK_MOUNTS_MAX, sizeof(*v));
	add_mounts(a, k, false, v, &ret->mount_count);
	for (uint32_t i = 0; i < k->volumes_from.n; i++)
		for (uint32_t n = 0; n < d->container_definitions.n; n++)
			if (str_eq(d->container_definitions.v[n].name, k->volumes_from.v[i].source_container))
				add_mounts(a, &d->container_definitions.v[n], k->volumes_from.v[i].read_only.v, v,
				           &ret->mount_count);
	add_tmpfs(a, k, v, &ret->mount_count);
	ret->mounts = v;
}

static void limits(struct arena *a, const struct ecs_container_definition *k, struct task_container *ret)
{
	struct task_ulimit *u = arena_array(a, k->ulimits.n + 1, sizeof(*u));
	for (uint32_t i = 0; i < k->ulimits.n; i++) {
		const struct ecs_ulimit *l = &k->ulimits.v[i];
		u[ret->ulimit_count++] =
		        (struct task_ulimit){z(a, l->name), l->soft_limit.v < 0 ? UINT64_MAX : (uint64_t)l->soft_limit.v,
		                             l->hard_limit.v < 0 ? UINT64_MAX : (uint64_t)l->hard_limit.v};
	}
	ret->ulimits = u;
	struct task_pair *s = arena_array(a, k->system_controls.n + 1, sizeof(*s));
	for (uint32_t i = 0; i < k->system_controls.n; i++)
		s[ret->sysctl_count++] =
		        (struct task_pair){z(a, k->system_controls.v[i].namespace), z(a, k->system_controls.v[i].value)};
	ret->sysctls = s;
}

static void rights(struct arena *a, const struct ecs_container_definition *k, struct task_container *ret)
{
	const struct ecs_linux_parameters *l = k->linux_parameters;
	struct words with = {0}, without = {0};
	if (!l)
		return;
	ret->init_process = l->init_process_enabled.v;
	if (!l->capabilities)
		return;
	add_list(a, &with, &l->capabilities->add);
	add_list(a, &without, &l->capabilities->drop);
	ret->capabilities_add = with.v;
	ret->capabilities_drop = without.v;
}

bool launch_containers(struct arena *a, const struct launch_facts *f, struct duty_container *more, struct task_container *ret,
                       struct str *ret_why)
{
	enum { MIB = 1 << 20, STOP_S = 30 };
	const struct ecs_task_definition *d = f->record->definition;
	for (uint32_t i = 0; i < d->container_definitions.n; i++) {
		const struct ecs_container_definition *k = &d->container_definitions.v[i];
		if (connect_is_proxy(f->record, i)) {
			connect_container(a, f->record, &ret[i]);
			continue;
		}
		struct json_value *whole = json_parse(a, f->configs[i], NULL);
		const struct json_value *config = json_get(whole, S("config"));
		struct str user = k->user.n ? k->user : json_get_str(config, S("User"));
		struct str workdir = k->working_directory.n ? k->working_directory : json_get_str(config, S("WorkingDir"));
		ret[i] = (struct task_container){
		        .name = z(a, k->name),
		        .image = more[i].image,
		        .argv = arguments(a, k, config),
		        .environment = environment(a, f, i, config),
		        .user = z(a, str_set(user) ? user : S("")),
		        .workdir = workdir.n ? z(a, workdir) : NULL,
		        .read_only_root = k->readonly_root_filesystem.v,
		        .tty = k->pseudo_terminal.v,
		        .memory_bytes = (uint64_t)k->memory.v * MIB,
		        .memory_soft_bytes = (uint64_t)k->memory_reservation.v * MIB,
		        .cpu_units = (uint32_t)k->cpu.v,
		        .stop_signal = signal_number(json_get_str(config, S("StopSignal"))),
		        .stop_timeout_us = (k->stop_timeout.set ? k->stop_timeout.v : STOP_S) * INT64_C(1000000),
		};
		health(a, k, &ret[i].health);
		mounts(a, d, k, &ret[i]);
		limits(a, k, &ret[i]);
		rights(a, k, &ret[i]);
		if (!ret[i].argv || !ret[i].argv[0]) {
			*ret_why = arena_printf(a, "CannotCreateContainerError: no command specified for container '%.*s'",
			                        STR_ARG(k->name));
			return false;
		}
	}
	return true;
}

const char *const *launch_volumes(struct arena *a, const struct ecs_task_definition *d)
{
	struct words w = {0};
	for (uint32_t i = 0; i < d->volumes.n; i++)
		add(a, &w, d->volumes.v[i].name);
	return w.v;
}
