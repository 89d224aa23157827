#include "connect.h"

#include "scheduled.h"

enum { SERVICES_MAX = 20, NAME_MAX_CHARS = 64, ALIAS_MAX_CHARS = 127, PORT_MAX = 65535 };
enum { IDLE_HTTP_S = 300, IDLE_TCP_S = 3600, REQUEST_S = 15 };

static struct discovery_scope discovery(const struct ecs_scope *s)
{
	return (struct discovery_scope){.txn = s->txn, .arena = s->arena, .account = s->account, .region = s->region};
}

static const struct ecs_port_mapping *port_named(const struct ecs_task_definition *d, struct str name)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		for (uint32_t k = 0; k < d->container_definitions.v[i].port_mappings.n; k++)
			if (str_eq(d->container_definitions.v[i].port_mappings.v[k].name, name))
				return &d->container_definitions.v[i].port_mappings.v[k];
	return NULL;
}

/* --- who serves in a namespace */

static struct str name_of(const struct ecs_service_connect_service *v)
{
	return v->discovery_name.n ? v->discovery_name : v->port_name;
}

static struct str alias_of(struct arena *a, const struct ecs_service_connect_service *v, struct str namespace)
{
	if (!v->client_aliases.n)
		return STR_NONE;
	struct str given = v->client_aliases.v[0].dns_name;
	return given.n ? given : ARENA_CAT(a, name_of(v), S("."), namespace);
}

static struct connect_server server_of(const struct ecs_scope *s, const struct ecs_service_connect_service *v,
                                       const struct ecs_port_mapping *p, struct str namespace)
{
	bool http = p->app_protocol.n > 0;
	const struct ecs_timeout_configuration *t = v->timeout;
	return (struct connect_server){
	        .of = v,
	        .discovery_name = name_of(v),
	        .protocol = http ? p->app_protocol : S("tcp"),
	        .alias = alias_of(s->arena, v, namespace),
	        .alias_port = v->client_aliases.n ? v->client_aliases.v[0].port.v : 0,
	        .container_port = p->container_port.v,
	        .port = v->ingress_port_override.set ? v->ingress_port_override.v : p->container_port.v,
	        .idle_s = t && t->idle_timeout_seconds.set ? t->idle_timeout_seconds.v
	                  : http                           ? IDLE_HTTP_S
	                                                   : IDLE_TCP_S,
	        .request_s = t && t->per_request_timeout_seconds.set ? t->per_request_timeout_seconds.v
	                     : http                                  ? REQUEST_S
	                                                             : 0,
	};
}

static void add_servers(const struct ecs_scope *s, const struct state_ecs_service_record *r, struct str namespace,
                        struct connect_servers *to)
{
	struct state_ecs_definition_record definition = {0};
	if (!ecs_definition_in(s, r->service->task_definition, &definition))
		return;
	for (uint32_t i = 0; i < r->connect->services.n; i++) {
		const struct ecs_service_connect_service *v = &r->connect->services.v[i];
		const struct ecs_port_mapping *p = port_named(definition.definition, v->port_name);
		if (!p || i >= r->connect_resources.n)
			continue;
		struct connect_server *one = LIST_ADD(s->arena, to);
		*one = server_of(s, v, p, namespace);
		one->service = r;
		one->discovery_arn = r->connect_resources.v[i].discovery_arn;
	}
}

static bool in_namespace(const struct state_ecs_service_record *r, struct str arn)
{
	return r->connect && r->connect->enabled.v && str_eq(r->connect->namespace, arn) && !str_is(r->service->status, "INACTIVE");
}

struct connect_servers connect_servers(const struct ecs_scope *s, struct str namespace_arn)
{
	struct connect_servers all = {0};
	struct discovery_scope d = discovery(s);
	struct discovery_namespace namespace;
	struct str under = KEY_UNDER(s->arena, S("ecs"), S("service"), s->account, s->region), key;
	struct store_value value;
	if (!discovery_find_namespace(&d, namespace_arn, &namespace))
		return all;
	struct store_iter *iter = store_scan(s->txn, under, store_prefix_end(s->arena, under), false);
	while (store_next(iter, &key, &value)) {
		struct state_ecs_service_record *r = arena_new(s->arena, struct state_ecs_service_record);
		if (ecs_service_read(s->arena, value.value, r) && in_namespace(r, namespace_arn))
			add_servers(s, r, namespace.name, &all);
	}
	return all;
}

/* --- checks */

static bool is_name(struct str name, size_t most, const char *more)
{
	bool good = name.n && name.n <= most && name.p[0] != '-';
	for (size_t i = 0; i < name.n; i++)
		good = good && ((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') ||
		                strchr(more, name.p[i]));
	return good;
}

static int unsupported(struct call *c, const char *what)
{
	return call_fail(c, "UnsupportedFeatureException", 400, "%s of Service Connect not supported by this cloud.", what);
}

/* The proxy's log is held against what a container's may be. */
static int check_log(struct call *c, const struct ecs_task_definition *d, const struct ecs_log_configuration *l)
{
	struct ecs_task_definition copy = *d;
	struct ecs_container_definition k = {.name = S("ecs-service-connect"),
	                                     .image = d->container_definitions.v[0].image,
	                                     .memory = OPT_INT(6),
	                                     .log_configuration = (struct ecs_log_configuration *)(uintptr_t)l};
	if (!l)
		return CALL_OK;
	copy.container_definitions = (struct ecs_container_definitions){.v = &k, .n = 1, .set = true};
	if (ecs_container_check(c, d, &k) != CALL_OK)
		return CALL_FAIL;
	struct str why = ecs_fargate_refuses(c, &copy);
	return str_set(why) ? ecs_invalid(c, "%.*s", STR_ARG(why)) : CALL_OK;
}

static int check_timeout(struct call *c, const struct ecs_service_connect_service *v, bool http)
{
	if (v->timeout && v->timeout->per_request_timeout_seconds.set && !http)
		return ecs_invalid(c, "perRequestTimeoutSeconds is not valid for the port mapping %.*s, which has no appProtocol.",
		                   STR_ARG(v->port_name));
	return CALL_OK;
}

static bool is_container_port(const struct ecs_task_definition *d, int64_t port)
{
	for (uint32_t i = 0; i < d->container_definitions.n; i++)
		for (uint32_t k = 0; k < d->container_definitions.v[i].port_mappings.n; k++)
			if (d->container_definitions.v[i].port_mappings.v[k].container_port.v == port)
				return true;
	return false;
}

static int check_service(struct call *c, const struct ecs_task_definition *d, const struct ecs_service_connect_service *v)
{
	const struct ecs_port_mapping *p = port_named(d, v->port_name);
	if (!v->port_name.n || !p)
		return ecs_invalid(c, "The portName %.*s is not the name of a port mapping of the task definition.",
		                   STR_ARG(v->port_name));
	if (str_is(p->protocol, "udp"))
		return ecs_invalid(c, "Service Connect does not support the protocol udp of the port mapping %.*s.",
		                   STR_ARG(v->port_name));
	if (!is_name(name_of(v), NAME_MAX_CHARS, "-_"))
		return ecs_invalid(c, "The discoveryName %.*s is not valid: lower-case letters, digits, '_' and '-', at most %d.",
		                   STR_ARG(name_of(v)), NAME_MAX_CHARS);
	if (v->client_aliases.n != 1)
		return ecs_invalid(c, "A Service Connect service must have one client alias.");
	const struct ecs_service_connect_client_alias *alias = &v->client_aliases.v[0];
	if (alias->port.v < 1 || alias->port.v > PORT_MAX)
		return ecs_invalid(c, "The port of a client alias must be between 1 and %d.", PORT_MAX);
	if (alias->dns_name.n && !is_name(alias->dns_name, ALIAS_MAX_CHARS, "-_."))
		return ecs_invalid(c, "The dnsName %.*s is not valid.", STR_ARG(alias->dns_name));
	if (alias->test_traffic_rules)
		return unsupported(c, "Test traffic rules are");
	if (v->tls)
		return unsupported(c, "TLS is");
	const struct opt_int override = v->ingress_port_override;
	if (override.set && (override.v < 1 || override.v > PORT_MAX || is_container_port(d, override.v)))
		return ecs_invalid(c, "The ingressPortOverride %lld is not valid, or is a container's own port.",
		                   (long long) override.v);
	return check_timeout(c, v, p->app_protocol.n > 0);
}

/* Names are unique in a namespace, and in the request. */
static int check_unique(struct call *c, const struct ecs_scope *s, const struct ecs_service_connect_configuration *conf,
                        const struct discovery_namespace *namespace, struct str cluster, struct str service)
{
	struct connect_servers others = connect_servers(s, namespace->arn);
	for (uint32_t i = 0; i < conf->services.n; i++) {
		const struct ecs_service_connect_service *v = &conf->services.v[i];
		struct str alias = alias_of(s->arena, v, namespace->name);
		bool taken = false;
		for (uint32_t k = 0; k < i && !taken; k++)
			taken = str_eq(name_of(&conf->services.v[k]), name_of(v)) ||
			        (str_eq(alias_of(s->arena, &conf->services.v[k], namespace->name), alias) &&
			         conf->services.v[k].client_aliases.v[0].port.v == v->client_aliases.v[0].port.v);
		for (uint32_t k = 0; k < others.n && !taken; k++) {
			const struct connect_server *o = &others.v[k];
			bool own = str_eq(o->service->name, service) && str_eq(o->service->cluster, cluster);
			taken = !own && (str_eq(o->discovery_name, name_of(v)) ||
			                 (str_eq(o->alias, alias) && o->alias_port == v->client_aliases.v[0].port.v));
		}
		if (taken)
			return ecs_invalid(c, "The discoveryName or client alias of %.*s is already in use in the namespace %.*s.",
			                   STR_ARG(name_of(v)), STR_ARG(namespace->name));
	}
	return CALL_OK;
}

static int find_namespace(struct call *c, const struct ecs_cluster *cluster, struct str given, struct discovery_namespace *ret)
{
	struct ecs_scope s = ecs_scope(c);
	struct discovery_scope d = discovery(&s);
	struct str text = given.n                             ? given
	                  : cluster->service_connect_defaults ? cluster->service_connect_defaults->namespace
	                                                      : STR_NONE;
	if (!text.n)
		return ecs_invalid(c, "A namespace must be given: the cluster has no default for Service Connect.");
	if (!discovery_find_namespace(&d, text, ret))
		return call_fail(c, "NamespaceNotFoundException", 400, "The namespace %.*s does not exist.", STR_ARG(text));
	return CALL_OK;
}

int connect_take(struct call *c, const struct ecs_cluster *cluster, struct str service, struct str definition,
                 const struct ecs_service_connect_configuration *given, struct ecs_service_connect_configuration **ret,
                 struct ecs_service_connect_service_resource_list *ret_resources)
{
	struct ecs_scope s = ecs_scope(c);
	struct discovery_scope d = discovery(&s);
	struct discovery_namespace namespace;
	struct state_ecs_definition_record r = {0};
	const struct ecs_service_connect_configuration *in = given ? given : *ret;
	if (!in || !in->enabled.v) {
		if (given)
			*ret = (struct ecs_service_connect_configuration *)(uintptr_t)given;
		*ret_resources = (struct ecs_service_connect_service_resource_list){0};
		return CALL_OK;
	}
	if (in->access_log_configuration)
		return unsupported(c, "Access logs are");
	if (in->services.n > SERVICES_MAX)
		return ecs_invalid(c, "services of a Service Connect configuration can have at most %d items.", SERVICES_MAX);
	if (!ecs_definition_in(&s, definition, &r))
		return ecs_client_error(c, "TaskDefinition not found.");
	if (find_namespace(c, cluster, in->namespace, &namespace) != CALL_OK ||
	    check_log(c, r.definition, in->log_configuration) != CALL_OK)
		return CALL_FAIL;
	for (uint32_t i = 0; i < in->services.n; i++)
		if (check_service(c, r.definition, &in->services.v[i]) != CALL_OK)
			return CALL_FAIL;
	if (check_unique(c, &s, in, &namespace, cluster->cluster_name, service) != CALL_OK)
		return CALL_FAIL;
	struct ecs_service_connect_configuration *kept = arena_new(c->arena, struct ecs_service_connect_configuration);
	*kept = *in;
	kept->namespace = namespace.arn;
	*ret = kept;
	*ret_resources = (struct ecs_service_connect_service_resource_list){0};
	for (uint32_t i = 0; i < in->services.n; i++)
		*LIST_ADD(c->arena, ret_resources) = (struct ecs_service_connect_service_resource){
		        .discovery_name = name_of(&in->services.v[i]),
		        .discovery_arn = discovery_make_service(&d, namespace.id, name_of(&in->services.v[i]), c->now_ms)};
	return CALL_OK;
}

void connect_registries(const struct ecs_scope *s, const struct ecs_service_connect_configuration *conf,
                        const struct ecs_service_connect_service_resource_list *resources, struct str definition,
                        struct ecs_service_registries *to)
{
	struct state_ecs_definition_record r = {0};
	struct ecs_service_registries all = {0};
	if (!conf || !conf->enabled.v || !resources->n || !ecs_definition_in(s, definition, &r))
		return;
	for (uint32_t i = 0; i < to->n; i++)
		*LIST_ADD(s->arena, &all) = to->v[i];
	for (uint32_t i = 0; i < conf->services.n && i < resources->n; i++) {
		const struct ecs_port_mapping *p = port_named(r.definition, conf->services.v[i].port_name);
		if (p)
			*LIST_ADD(s->arena, &all) = (struct ecs_service_registry){
			        .registry_arn = resources->v[i].discovery_arn,
			        .port = OPT_INT(server_of(s, &conf->services.v[i], p, STR_NONE).port)};
	}
	*to = all;
}

void connect_clean(const struct ecs_scope *s, struct state_ecs_service_record *r, bool all)
{
	struct discovery_scope d = discovery(s);
	struct str_list kept = {0};
	for (uint32_t i = 0; i < r->connect_made.n; i++) {
		bool used = false;
		for (uint32_t k = 0; k < r->connect_resources.n && !all; k++)
			used = used || str_eq(r->connect_resources.v[k].discovery_arn, r->connect_made.v[i]);
		if (used)
			*LIST_ADD(s->arena, &kept) = r->connect_made.v[i];
		else
			discovery_retire_service(&d, r->connect_made.v[i]);
	}
	r->connect_made = kept;
}

/* --- ListServicesByNamespace: in every cluster */

static bool is_of_namespace(const struct state_ecs_service_record *r, const void *ctx)
{
	return in_namespace(r, *(const struct str *)ctx);
}

int ecs_list_services_by_namespace(struct call *c, const struct ecs_list_services_by_namespace_request *in,
                                   struct ecs_list_services_by_namespace_response *out)
{
	struct ecs_scope s = ecs_scope(c);
	struct discovery_scope d = discovery(&s);
	struct discovery_namespace namespace;
	if (!discovery_find_namespace(&d, in->namespace, &namespace))
		return call_fail(c, "NamespaceNotFoundException", 400, "The namespace %.*s does not exist.",
		                 STR_ARG(in->namespace));
	return ecs_services_page(c, KEY_UNDER(c->arena, S("ecs"), S("service"), c->account, c->region), in->max_results,
	                         in->next_token, is_of_namespace, &namespace.arn, &out->service_arns, &out->next_token);
}
