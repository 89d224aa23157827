/* Clusters: CreateCluster, UpdateCluster, UpdateClusterSettings, DeleteCluster, DescribeClusters, ListClusters. */
#include "aws/servicediscovery/servicediscovery.h"
#include "container_instance.h"
#include "provider.h"
#include "scheduled.h"

enum { DESCRIBED_MAX = 100, LISTED_MAX = 100 };

const struct record_type ecs_cluster_row = {&ecs_api, "Cluster"};

static struct str clusters_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("ecs"), S("cluster"), c->account, c->region);
}

static struct str cluster_key(struct call *c, struct str name)
{
	return KEY(c->arena, S("ecs"), S("cluster"), c->account, c->region, name);
}

struct str ecs_cluster_name(struct call *c, struct str text)
{
	return text.n ? ecs_of_arn(c, "cluster", text) : S("default");
}

struct str ecs_cluster_arn(struct call *c, struct str name)
{
	return ecs_arn(c, ARENA_CAT(c->arena, S("cluster/"), name));
}

bool ecs_cluster_find(struct call *c, struct str name, struct ecs_cluster *ret)
{
	return ecs_name_good(name) && record_get(call_txn(c), c->arena, cluster_key(c, name), &ecs_cluster_row, ret);
}

void ecs_cluster_put(struct call *c, const struct ecs_cluster *cluster)
{
	record_put(call_txn(c), c->arena, cluster_key(c, cluster->cluster_name), &ecs_cluster_row, cluster);
}

int ecs_cluster_get(struct call *c, struct str text, struct ecs_cluster *ret)
{
	if (!ecs_cluster_find(c, ecs_cluster_name(c, text), ret) || !str_is(ret->status, "ACTIVE"))
		return call_fail(c, "ClusterNotFoundException", 400, "Cluster not found.");
	return CALL_OK;
}

/* --- what a cluster may be like */

static int settings_check(struct call *c, const struct ecs_cluster_settings *settings)
{
	for (uint32_t i = 0; i < settings->n; i++) {
		const struct ecs_cluster_setting *s = &settings->v[i];
		if (!str_is(s->name, "containerInsights"))
			return ecs_invalid(c, "Setting name is required.");
		if (!str_is(s->value, "disabled") && !str_is(s->value, "enabled") && !str_is(s->value, "enhanced"))
			return ecs_invalid(c, "Invalid cluster setting value for containerInsights");
	}
	return CALL_OK;
}

static int refuse(struct call *c, const struct ecs_cluster_configuration *configuration)
{
	if (configuration)
		return call_fail(c, "UnsupportedFeatureException", 400,
		                 "Cluster configuration is not supported: neither ECS Exec's nor managed storage's.");
	return CALL_OK;
}

/* A namespace that is not there yet is made; "" takes the default away. */
static int take_defaults(struct call *c, const struct ecs_cluster_service_connect_defaults_request *in,
                         struct ecs_cluster_service_connect_defaults **to)
{
	struct ecs_scope s = ecs_scope(c);
	struct discovery_scope d = {.txn = s.txn, .arena = s.arena, .account = s.account, .region = s.region};
	struct discovery_namespace namespace;
	if (!in)
		return CALL_OK;
	*to = NULL;
	if (!in->namespace.n)
		return CALL_OK;
	if (!discovery_find_namespace(&d, in->namespace, &namespace)) {
		if (str_starts(in->namespace, S("arn:")))
			return call_fail(c, "NamespaceNotFoundException", 400, "The namespace %.*s does not exist.",
			                 STR_ARG(in->namespace));
		if (discovery_make_namespace(c, in->namespace, &namespace) != CALL_OK) {
			struct str why = c->error.message;
			return c->error.receiver ? CALL_FAIL : ecs_invalid(c, "%.*s", STR_ARG(why));
		}
	}
	*to = arena_new(c->arena, struct ecs_cluster_service_connect_defaults);
	(*to)->namespace = namespace.arn;
	return CALL_OK;
}

static struct ecs_cluster_settings settings_of(struct call *c, const struct ecs_cluster_settings *given)
{
	struct ecs_cluster_settings all = {0};
	struct str value = given->n ? given->v[given->n - 1].value : ecs_setting(c, "containerInsights");
	*LIST_ADD(c->arena, &all) = (struct ecs_cluster_setting){S("containerInsights"), value};
	return all;
}

static void show(struct call *c, const struct ecs_cluster *cluster, const struct str_list *include, struct ecs_cluster *ret)
{
	bool all = !include;
	*ret = *cluster;
	ret->statistics.set = ret->tags.set = ret->settings.set = true;
	ret->capacity_providers.set = ret->default_capacity_provider_strategy.set = true;
	ret->registered_container_instances_count = OPT_INT(ecs_instance_count(c, cluster->cluster_name));
	struct ecs_task_counts tasks = ecs_task_count(c, cluster->cluster_name);
	ret->running_tasks_count = OPT_INT(tasks.running);
	ret->pending_tasks_count = OPT_INT(tasks.pending);
	ret->active_services_count = OPT_INT(ecs_service_count(c, cluster->cluster_name));
	bool tags = all, settings = all;
	for (uint32_t i = 0; include && i < include->n; i++) {
		tags = tags || str_is(include->v[i], "TAGS");
		settings = settings || str_is(include->v[i], "SETTINGS");
	}
	if (!tags)
		ret->tags = (struct ecs_tags){.set = true};
	if (!settings)
		ret->settings = (struct ecs_cluster_settings){.set = true};
}

/* --- operations */

int ecs_create_cluster(struct call *c, const struct ecs_create_cluster_request *in, struct ecs_create_cluster_response *out)
{
	struct str name = in->cluster_name.n ? in->cluster_name : S("default");
	struct ecs_cluster cluster = {0};
	if (!ecs_name_good(name))
		return ecs_invalid(c, "Cluster name contains invalid characters.");
	if (settings_check(c, &in->settings) != CALL_OK || ecs_tags_check(c, &in->tags) != CALL_OK ||
	    refuse(c, in->configuration) != CALL_OK ||
	    ecs_strategy_check(c, &in->default_capacity_provider_strategy, &in->capacity_providers) != CALL_OK)
		return CALL_FAIL;
	out->cluster = arena_new(c->arena, struct ecs_cluster);
	if (ecs_cluster_find(c, name, &cluster) && str_is(cluster.status, "ACTIVE")) {
		show(c, &cluster, NULL, out->cluster);
		return CALL_OK;
	}
	cluster = (struct ecs_cluster){
	        .cluster_arn = ecs_cluster_arn(c, name),
	        .cluster_name = name,
	        .status = S("ACTIVE"),
	        .tags = in->tags,
	        .settings = settings_of(c, &in->settings),
	        .capacity_providers = in->capacity_providers,
	        .default_capacity_provider_strategy = in->default_capacity_provider_strategy,
	};
	static const struct str_list none;
	if (take_defaults(c, in->service_connect_defaults, &cluster.service_connect_defaults) != CALL_OK ||
	    ecs_providers_associate(c, name, &none, &cluster.capacity_providers) != CALL_OK)
		return CALL_FAIL;
	ecs_cluster_put(c, &cluster);
	show(c, &cluster, NULL, out->cluster);
	return CALL_OK;
}

static int update(struct call *c, struct str text, const struct ecs_cluster_settings *settings,
                  const struct ecs_cluster_service_connect_defaults_request *defaults, struct ecs_cluster **ret)
{
	struct ecs_cluster cluster = {0};
	if (settings_check(c, settings) != CALL_OK || ecs_cluster_get(c, text, &cluster) != CALL_OK)
		return CALL_FAIL;
	if (settings->n)
		cluster.settings = settings_of(c, settings);
	if (take_defaults(c, defaults, &cluster.service_connect_defaults) != CALL_OK)
		return CALL_FAIL;
	ecs_cluster_put(c, &cluster);
	*ret = arena_new(c->arena, struct ecs_cluster);
	show(c, &cluster, NULL, *ret);
	return CALL_OK;
}

int ecs_update_cluster(struct call *c, const struct ecs_update_cluster_request *in, struct ecs_update_cluster_response *out)
{
	if (refuse(c, in->configuration) != CALL_OK)
		return CALL_FAIL;
	return update(c, in->cluster, &in->settings, in->service_connect_defaults, &out->cluster);
}

int ecs_update_cluster_settings(struct call *c, const struct ecs_update_cluster_settings_request *in,
                                struct ecs_update_cluster_settings_response *out)
{
	return update(c, in->cluster, &in->settings, NULL, &out->cluster);
}

int ecs_delete_cluster(struct call *c, const struct ecs_delete_cluster_request *in, struct ecs_delete_cluster_response *out)
{
	struct ecs_cluster cluster = {0};
	if (ecs_cluster_get(c, in->cluster, &cluster) != CALL_OK)
		return CALL_FAIL;
	struct ecs_task_counts tasks = ecs_task_count(c, cluster.cluster_name);
	if (ecs_service_count(c, cluster.cluster_name))
		return call_fail(c, "ClusterContainsServicesException", 400,
		                 "The Cluster cannot be deleted while Services are active.");
	if (ecs_instance_count(c, cluster.cluster_name))
		return call_fail(c, "ClusterContainsContainerInstancesException", 400,
		                 "The Cluster cannot be deleted while Container Instances are active or draining.");
	if (tasks.running || tasks.pending)
		return call_fail(c, "ClusterContainsTasksException", 400, "The Cluster cannot be deleted while Tasks are active.");
	static const struct str_list none;
	if (ecs_providers_associate(c, cluster.cluster_name, &cluster.capacity_providers, &none) != CALL_OK)
		return CALL_FAIL;
	cluster.capacity_providers = none;
	cluster.default_capacity_provider_strategy.n = 0;
	cluster.status = S("INACTIVE");
	ecs_cluster_put(c, &cluster);
	out->cluster = arena_new(c->arena, struct ecs_cluster);
	show(c, &cluster, NULL, out->cluster);
	return CALL_OK;
}

int ecs_describe_clusters(struct call *c, const struct ecs_describe_clusters_request *in,
                          struct ecs_describe_clusters_response *out)
{
	struct str_list only = {.v = &(struct str)S_INIT("default"), .n = 1};
	const struct str_list *names = in->clusters.n ? &in->clusters : &only;
	out->clusters.set = out->failures.set = true;
	if (names->n > DESCRIBED_MAX)
		return ecs_invalid(c, "clusters can have at most %d items.", DESCRIBED_MAX);
	for (uint32_t i = 0; i < names->n; i++) {
		struct ecs_cluster cluster = {0};
		struct str name = ecs_cluster_name(c, names->v[i]);
		if (ecs_cluster_find(c, name, &cluster))
			show(c, &cluster, &in->include, LIST_ADD(c->arena, &out->clusters));
		else
			ecs_failure(c, &out->failures, str_starts(names->v[i], S("arn:")) ? names->v[i] : ecs_cluster_arn(c, name),
			            "MISSING");
	}
	return CALL_OK;
}

int ecs_list_clusters(struct call *c, const struct ecs_list_clusters_request *in, struct ecs_list_clusters_response *out)
{
	struct ecs_walk w;
	struct str last = STR_NONE;
	uint32_t limit;
	out->cluster_arns.set = true;
	if (ecs_page_size(c, in->max_results, LISTED_MAX, &limit) != CALL_OK ||
	    ecs_walk_begin(c, &w, clusters_under(c), in->next_token, false) != CALL_OK)
		return CALL_FAIL;
	while (ecs_walk_next(&w)) {
		struct ecs_cluster cluster = {0};
		if (!record_read(c->arena, w.value, &ecs_cluster_row, &cluster) || !str_is(cluster.status, "ACTIVE"))
			continue;
		if (out->cluster_arns.n == limit) {
			out->next_token = ecs_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->cluster_arns) = cluster.cluster_arn;
		last = w.key;
	}
	return CALL_OK;
}
