/* Metrics of clusters: what instances have reserved (AWS/ECS), and Container Insights (ECS/ContainerInsights) where a cluster's
 * setting asks for it. usage.c measures tasks and hands over what it has found. Private to aws/ecs. */
#pragma once
#include "crew.h"

/* What a task used over the last minute. */
struct usage_load {
	struct {
		double processors;
		uint64_t memory_bytes;
		bool known, memory_known;
	} containers[TASK_CONTAINERS_MAX];
	double processors, bytes; /* of them all */
	bool known, memory_known; /* of one at least */
	double received, sent;    /* bytes a second */
	bool traffic_known;
};

void insights_task(const struct duty *i, const struct ecs_scope *s, const struct state_ecs_task_record *r,
                   const struct usage_load *l);
/* Once a minute, of all clusters; the transaction is the caller's. */
void insights_clusters(struct crew *crew, struct store_txn *t, struct arena *a);
