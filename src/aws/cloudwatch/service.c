#include "aws/cloudwatch/metric.h"
#include "base/log.h"
#include "engine/metrics/metrics.h"

#include <stdio.h>

static const struct service_op ops[] = {
        OP(cloudwatch, get_metric_statistics, GetMetricStatistics, .flags = OP_READ),
        OP(cloudwatch, list_metrics, ListMetrics, .flags = OP_READ, .missing = "metrics of linked accounts"),
        OP(cloudwatch, put_metric_data, PutMetricData, .missing = "entities"),
};

static void prepare(const char *data_dir, bool ephemeral)
{
	char dir[4096];
	snprintf(dir, sizeof(dir), "%s/metrics", data_dir);
	metrics_make(dir, ephemeral);
}

/* Started before the services that record: cloud->metrics is theirs too. */
static int start(struct cloud *cloud, void **ret_state)
{
	char dir[4096], why[200];
	snprintf(dir, sizeof(dir), "%s/metrics", cloud->data_dir);
	int e = metrics_open(&cloud->metrics, cloud->loop, dir, cloud->ephemeral, why);
	if (e < 0)
		log_error("%s: %s", dir, why);
	*ret_state = cloud;
	return e;
}

static void stop(void *state)
{
	struct cloud *cloud = state;
	if (!cloud)
		return;
	metrics_close(cloud->metrics);
	cloud->metrics = NULL;
}

const struct service cloudwatch_service = {
        .api = &cloudwatch_api,
        .iam_prefix = "cloudwatch",
        .ops = ops,
        .op_count = sizeof(ops) / sizeof(*ops),
        .body_limit_bytes = 8 * 1024 * 1024, /* 1 MB as AWS counts it, and twice that with names around it */
        .prepare = prepare,
        .start = start,
        .stop = stop,
};
