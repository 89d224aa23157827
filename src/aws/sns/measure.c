/* What is counted: metrics of AWS/SNS by topic, requests and deliveries for the bill. */
#include "sns.h"

#include "core/meter.h"
#include "engine/metrics/metrics.h"

enum { CHUNK_BYTES = 64 * 1024 };

void sns_measure(const struct cloud *cloud, const struct sns_name *topic, const char *metric, const char *unit, double value)
{
	const struct metric_dimension by[] = {{S("TopicName"), topic->name}};
	metrics_add(cloud->metrics,
	            &(struct metric){topic->account, topic->region, S("AWS/SNS"), str_from(metric), str_from(unit), by, 1}, value);
}

static int64_t chunks(int64_t bytes)
{
	return bytes > CHUNK_BYTES ? (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES : 1;
}

/* Every 64 KiB that are published are a request. */
void sns_bill(const struct cloud *cloud, const struct sns_name *topic, int64_t bytes)
{
	meter_count(cloud->meter, topic->account, topic->region, S("SNS/Requests-Tier1"), chunks(bytes));
}

/* Deliveries to queues and functions cost nothing. */
void sns_bill_http(const struct cloud *cloud, const struct sns_name *topic, int64_t bytes)
{
	meter_count(cloud->meter, topic->account, topic->region, S("SNS/DeliveryAttempts-HTTP"), chunks(bytes));
}
