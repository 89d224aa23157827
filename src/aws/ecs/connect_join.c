/* The proxy as a container among a task's own: it starts before them, ends after them, takes of their processors and memory, and
 * the task does not outlive it. It runs this machine's HAProxy as nobody, in a root file system with nothing else in it. */
#include "connect.h"

enum { WEIGHT = 256 };

static struct state_ecs_connect_owner *owner_of(struct arena *a, const struct connect_server *v)
{
	struct state_ecs_connect_owner *o = arena_new(a, struct state_ecs_connect_owner);
	*o = (struct state_ecs_connect_owner){
	        .discovery = v->discovery_name, .service = v->service->name, .cluster = v->service->cluster};
	return o;
}

void connect_join(const struct ecs_scope *s, const struct state_ecs_run *run, struct str task, struct ecs_task_definition *d,
                  struct state_ecs_connect_record **ret)
{
	const struct ecs_service_connect_configuration *conf = run->connect;
	if (!conf || !conf->enabled.v)
		return;
	struct state_ecs_connect_record *r = arena_new(s->arena, struct state_ecs_connect_record);
	struct connect_servers all = connect_servers(s, conf->namespace);
	for (uint32_t i = 0; i < all.n && r->names.n < CONNECT_NAMES_MAX; i++) {
		const struct connect_server *v = &all.v[i];
		struct str address = arena_printf(s->arena, "127.255.0.%u", r->names.n + 1);
		for (uint32_t k = 0; k < r->names.n; k++)
			if (str_eq(r->names.v[k].name, v->alias))
				address = r->names.v[k].address; /* one name with several ports */
		*LIST_ADD(s->arena, &r->names) = (struct state_ecs_connect_name){.name = v->alias,
		                                                                 .address = address,
		                                                                 .port = OPT_INT(v->alias_port),
		                                                                 .service = v->discovery_arn,
		                                                                 .protocol = v->protocol,
		                                                                 .idle_seconds = OPT_INT(v->idle_s),
		                                                                 .request_seconds = OPT_INT(v->request_s),
		                                                                 .server = owner_of(s->arena, v),
		                                                                 .door = OPT_BOOL(v->port != v->container_port)};
	}
	for (uint32_t i = 0; i < all.n; i++) {
		const struct connect_server *v = &all.v[i];
		bool own = false;
		for (uint32_t k = 0; k < run->connect_resources.n; k++)
			own = own || str_eq(run->connect_resources.v[k].discovery_arn, v->discovery_arn);
		if (own && v->port != v->container_port)
			*LIST_ADD(s->arena, &r->doors) = (struct state_ecs_connect_door){.port = OPT_INT(v->port),
			                                                                 .to = OPT_INT(v->container_port),
			                                                                 .protocol = v->protocol,
			                                                                 .idle_seconds = OPT_INT(v->idle_s),
			                                                                 .request_seconds = OPT_INT(v->request_s),
			                                                                 .server = owner_of(s->arena, v)};
	}
	struct str name = ARENA_CAT(s->arena, S("ecs-service-connect-"), str_sub(task, 0, 5));
	struct ecs_container_definitions with = {0};
	for (uint32_t i = 0; i < d->container_definitions.n; i++) {
		struct ecs_container_definition *k = LIST_ADD(s->arena, &with);
		*k = d->container_definitions.v[i];
		struct ecs_container_dependencies on = {0};
		for (uint32_t n = 0; n < k->depends_on.n; n++)
			*LIST_ADD(s->arena, &on) = k->depends_on.v[n];
		*LIST_ADD(s->arena, &on) = (struct ecs_container_dependency){.container_name = name, .condition = S("HEALTHY")};
		k->depends_on = on;
	}
	*LIST_ADD(s->arena, &with) = (struct ecs_container_definition){
	        .name = name, .essential = OPT_BOOL(true), .cpu = OPT_INT(0), .log_configuration = conf->log_configuration};
	d->container_definitions = with;
	*ret = r;
}

bool connect_is_proxy(const struct state_ecs_task_record *r, uint32_t index)
{
	return r->connect && index + 1 == r->definition->container_definitions.n;
}

void connect_container(struct arena *a, const struct state_ecs_task_record *r, struct task_container *ret)
{
	static const char *const argv[] = {"/bin/sh", "-c",
	                                   "printf %s \"$PROGRAM\" >/tmp/feed.lua; printf %s \"$CONFIG\" >/tmp/haproxy.cfg; "
	                                   "printf %s \"$RULES\" | nft -f - || exit 1; "
	                                   "unset PROGRAM CONFIG RULES; exec haproxy -db -f /tmp/haproxy.cfg",
	                                   NULL};
	static const char *const drop[] = {"ALL", NULL}, *const add[] = {"NET_ADMIN", "NET_BIND_SERVICE", "SETUID", "SETGID", NULL};
	static const char *const mode[] = {"mode=1777", "noexec", NULL};
	static const struct task_mount files = {.kind = TASK_MOUNT_TMPFS, .path = "/tmp", .bytes = 1 << 20, .options = mode};
	const char **environment = arena_array(a, 4, sizeof(*environment));
	environment[0] = ARENA_CAT(a, S("CONFIG="), connect_text(a, r->connect)).p;
	environment[1] = ARENA_CAT(a, S("PROGRAM="), str_from(connect_program)).p;
	environment[2] = ARENA_CAT(a, S("RULES="), connect_rules(a, r->connect)).p;
	uint32_t index = r->definition->container_definitions.n - 1;
	*ret = (struct task_container){.name = arena_dupz(a, r->definition->container_definitions.v[index].name),
	                               .argv = argv,
	                               .environment = environment,
	                               .user = "0:0",
	                               .workdir = "/",
	                               .capabilities_drop = drop,
	                               .capabilities_add = add,
	                               .mounts = &files,
	                               .mount_count = 1,
	                               .no_new_privileges = true,
	                               .read_only_root = true,
	                               .cpu_units = WEIGHT};
}
