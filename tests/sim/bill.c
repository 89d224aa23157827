/* A month on a clock that the test moves: records of EC2 and counts of invocations become a bill that was worked out by hand. */
#include "world.h"

#include "aws/ec2/capacity/reserved_instances.h"
#include "aws/ec2/compute.h"
#include "aws/pricing/pricing.h"
#include "aws/s3/rows.h"
#include "core/call.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"
#include "gen/ce.h"
#include "gen/logs.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct service ce_service, iam_service, logs_service, sts_service;
/* Of EC2 what buys in advance; the rest of it would want networks and machines. */
static const struct service_op ec2_ops[] = {
        OP(ec2, describe_reserved_instances, DescribeReservedInstances, .flags = OP_READ),
        OP(ec2, describe_reserved_instances_offerings, DescribeReservedInstancesOfferings, .flags = OP_READ),
        OP(ec2, purchase_reserved_instances_offering, PurchaseReservedInstancesOffering),
};
static const struct service ec2_bought = {.api = &ec2_api, .iam_prefix = "ec2", .ops = ec2_ops, .op_count = 3};
const struct service *const cloud_services[] = {&ce_service, &ec2_bought,  &iam_service, &logs_service,
                                                &s3_service, &sts_service, NULL};

#define START INT64_C(1767225600000) /* 2026-01-01: a month of 31 days */
#define HOUR INT64_C(3600000)
#define DAY INT64_C(86400000)

static struct {
	bool done;
} w;

static int set_up(void **state)
{
	(void)state;
	return world_begin(1, WORLD_METER | WORLD_METRICS | WORLD_HTTP);
}

static int tear_down(void **state)
{
	(void)state;
	return world_end();
}

static void pass_to(int64_t ms)
{
	world_move_clock(ms - world.wall_ms);
	for (int i = 0; i < 100; i++)
		loop_turn(world.cloud.loop, 1000);
}

/* --- records */

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)ctx;
	(void)revision;
	assert_int_equal(result, 0);
	w.done = true;
}

static void put_in(const char *region, const struct ec2_kind *kind, const char *id, const void *record)
{
	struct ec2_scope s = {.txn = store_begin(world.cloud.store, &world.arena),
	                      .arena = &world.arena,
	                      .account = S("000000000000"),
	                      .region = str_from(region)};
	if (record)
		ec2_put(&s, kind, str_from(id), record);
	else
		ec2_drop(&s, kind, str_from(id));
	w.done = false;
	store_commit(s.txn, committed, NULL);
	while (!w.done)
		loop_turn(world.cloud.loop, 1000);
}

static void put_instance(const char *region, const char *id, const char *type, enum instance_state state)
{
	struct ec2_instance i = {.instance_id = str_from(id), .instance_type = str_from(type)};
	i.state = ec2_instance_state_shape(&world.arena, state);
	put_in(region, &ec2_kind_instance, id, &(struct state_ec2_instance_record){.instance = &i});
}

static void put_volume(const char *id, const char *type, int64_t gib, int64_t iops, int64_t throughput, const char *state)
{
	struct ec2_volume v = {.volume_id = str_from(id),
	                       .volume_type = str_from(type),
	                       .size = OPT_INT(gib),
	                       .iops = OPT_INT(iops),
	                       .throughput = OPT_INT(throughput),
	                       .state = str_from(state)};
	put_in("us-east-1", &ec2_kind_volume, id, &(struct state_ec2_volume_record){.volume = &v});
}

static void put_address(const char *id, const char *association)
{
	struct ec2_address a = {.allocation_id = str_from(id), .public_ip = S("127.64.0.1")};
	a.association_id = association ? str_from(association) : STR_NONE;
	put_in("us-east-1", &ec2_kind_address, id, &a);
}

/* --- the bill */

static const void *ask_api(const struct api *api, const char *operation, const void *in, const char *code)
{
	const void *out = world_ask(&world.arena, api, operation, in);
	assert_string_equal(world.code, code);
	return out;
}

static const void *ask(const char *operation, const void *in, const char *code)
{
	return ask_api(&ce_api, operation, in, code);
}

static const struct ce_get_cost_and_usage_response *usage(const char *start, const char *end, const char *granularity,
                                                          const char *group, const char *code)
{
	struct ce_date_interval days = {str_from(start), str_from(end)};
	struct str metrics[] = {S("UnblendedCost"), S("UsageQuantity")};
	struct ce_group_definition by = {S("DIMENSION"), str_from(group ? group : "")};
	struct ce_get_cost_and_usage_request in = {.time_period = &days,
	                                           .granularity = str_from(granularity),
	                                           .metrics = {.v = metrics, .n = 2, .set = true},
	                                           .group_by = {.v = &by, .n = group ? 1 : 0, .set = true}};
	return ask("GetCostAndUsage", &in, code);
}

static void assert_group(const struct ce_result_by_time *r, const char *key, const char *usd, const char *quantity,
                         const char *unit)
{
	for (uint32_t i = 0; i < r->groups.n; i++) {
		const struct ce_group *g = &r->groups.v[i];
		if (!str_is(g->keys.v[0], key))
			continue;
		assert_str(g->metrics.v[0].value.amount, usd);
		assert_str(g->metrics.v[1].value.amount, quantity);
		assert_str(g->metrics.v[1].value.unit, unit);
		return;
	}
	fail_msg("there is no %s", key);
}

static void by_hand(void **state)
{
	(void)state;
	/* An instance of ten hours, one of ten seconds, one of 25 hours over a midnight, each with a volume or an address. */
	put_instance("us-east-1", "i-00000000000000001", "t3.micro", INSTANCE_PENDING);
	pass_to(START + HOUR);
	put_instance("us-east-1", "i-00000000000000001", "t3.micro", INSTANCE_RUNNING);
	put_volume("vol-00000000000000001", "gp3", 100, 4000, 250, "creating");
	put_address("eipalloc-00000000000000001", NULL);
	pass_to(START + 2 * HOUR);
	put_address("eipalloc-00000000000000001", "eipassoc-00000000000000001");
	put_volume("vol-00000000000000001", "gp3", 100, 4000, 250, "in-use");
	pass_to(START + 11 * HOUR);
	put_instance("us-east-1", "i-00000000000000001", "t3.micro", INSTANCE_STOPPING);
	pass_to(START + 11 * HOUR + 5000);
	put_instance("us-east-1", "i-00000000000000001", "t3.micro", INSTANCE_STOPPED);
	put_instance("us-east-1", "i-00000000000000001", "t3.micro", INSTANCE_RUNNING);
	pass_to(START + 11 * HOUR + 15000);
	put_instance("us-east-1", "i-00000000000000001", "t3.micro", INSTANCE_TERMINATED);
	put_in("us-east-1", &ec2_kind_address, "eipalloc-00000000000000001", NULL);
	/* The cloud is started again while things go on. */
	world_close();
	world_open();
	pass_to(START + 12 * HOUR);
	put_instance("us-east-1", "i-00000000000000002", "m5.large", INSTANCE_RUNNING);
	pass_to(START + DAY);
	for (int i = 0; i < 1000; i++) {
		meter_count(world.cloud.meter, S("000000000000"), S("us-east-1"), S("Request"), 1001);
		meter_count(world.cloud.meter, S("000000000000"), S("us-east-1"), S("Lambda-GB-Second"), INT64_C(512) * 200 * 4001);
	}
	pass_to(START + DAY + 13 * HOUR);
	put_instance("us-east-1", "i-00000000000000002", "m5.large", INSTANCE_SHUTTING_DOWN);
	put_volume("vol-00000000000000001", "gp3", 100, 4000, 250, "deleting");
	put_in("us-east-1", &ec2_kind_volume, "vol-00000000000000001", NULL);
	pass_to(START + 2 * DAY);

	const struct ce_get_cost_and_usage_response *out = usage("2026-01-01", "2026-02-01", "MONTHLY", "USAGE_TYPE", "");
	assert_int_equal(out->results_by_time.n, 1);
	const struct ce_result_by_time *month = &out->results_by_time.v[0];
	assert_true(month->estimated.v);
	assert_int_equal(month->groups.n, 9);
	assert_group(month, "BoxUsage:t3.micro", "0.1041733333", "10.0166666667", "Hrs"); /* 10 h and a minute at 0.0104 */
	assert_group(month, "BoxUsage:m5.large", "2.4", "25", "Hrs");
	assert_group(month, "EBS:VolumeUsage.gp3", "0.3870967742", "4.8387096774", "GB-Mo");     /* 100 GiB, 36 of 744 h, at 0.08 */
	assert_group(month, "EBS:VolumeP-IOPS.gp3", "0.2419354839", "48.3870967742", "IOPS-Mo"); /* 1000 above 3000 */
	assert_group(month, "EBS:VolumeP-Throughput.gp3", "0.2419354839", "0.005906628", "GiBps-mo"); /* 125 above 125 */
	assert_group(month, "PublicIPv4:IdleAddress", "0.005", "1", "Hrs");
	assert_group(month, "PublicIPv4:InUseAddress", "0.0450208333", "9.0041666667", "Hrs");
	/* 1000 of 1,001,000 requests and 100 of 400,100 GB-seconds are not free */
	assert_group(month, "Request", "0.0002", "1001000", "Requests");
	assert_group(month, "Lambda-GB-Second", "0.00166667", "400100", "Lambda-GB-Second");
	/* To the cent: 0.10417 + 2.4 + 0.38710 + 0.24194 + 0.24194 + 0.005 + 0.04502 + 0.0002 + 0.00167 = 3.42703 */
	out = usage("2026-01-01", "2026-02-01", "MONTHLY", NULL, "");
	assert_str(out->results_by_time.v[0].total.v[0].value.amount, "3.4270285786");
	assert_str(out->results_by_time.v[0].total.v[1].value.unit, "N/A");

	out = usage("2026-01-01", "2026-01-03", "DAILY", "SERVICE", "");
	assert_int_equal(out->results_by_time.n, 2);
	assert_group(&out->results_by_time.v[0], "Amazon Elastic Compute Cloud - Compute", "1.2561733333", "22.0166666667", "Hrs");
	assert_group(&out->results_by_time.v[1], "Amazon Elastic Compute Cloud - Compute", "1.248", "13", "Hrs");
	assert_group(&out->results_by_time.v[1], "AWS Lambda", "0.00186667", "1401100", "N/A");
	/* A year later the days are still there, and not estimated any more; later they are not. */
	pass_to(START + 360 * DAY);
	out = usage("2026-01-01", "2026-02-01", "MONTHLY", NULL, "");
	assert_false(out->results_by_time.v[0].estimated.v);
	assert_str(out->results_by_time.v[0].total.v[0].value.amount, "3.4270285786");
	usage("2025-01-01", "2026-02-01", "MONTHLY", NULL, "ValidationException");
}

static void other_prices(void **state)
{
	(void)state;
	put_instance("eu-west-1", "i-00000000000000003", "t3.micro", INSTANCE_RUNNING);
	pass_to(START + HOUR);
	const struct ce_get_cost_and_usage_response *out = usage("2026-01-01", "2026-02-01", "MONTHLY", "USAGE_TYPE", "");
	assert_group(&out->results_by_time.v[0], "EU-BoxUsage:t3.micro", "0", "1", "Hrs");
	/* Beyond the first six thousand million GB-seconds of a month the price is lower: 7e9 on two days, of which
	 * 400,000 are free: (1e9 + 4e5) x 0.0000166667 + (1e9 - 4e5) x 0.000015. */
	meter_count(world.cloud.meter, S("000000000000"), S("us-east-1"), S("Lambda-GB-Second"), INT64_C(5000000000) * 1024 * 1000);
	pass_to(START + DAY + HOUR);
	meter_count(world.cloud.meter, S("000000000000"), S("us-east-1"), S("Lambda-GB-Second"), INT64_C(2000000000) * 1024 * 1000);
	pass_to(START + DAY + 2 * HOUR);
	out = usage("2026-01-02", "2026-01-03", "DAILY", "USAGE_TYPE", "");
	assert_group(&out->results_by_time.v[0], "Lambda-GB-Second", "31667.36668", "2000000000", "Lambda-GB-Second");
}

/* The price that a spot instance runs at is the one that requests are compared with. */
static void spot(void **state)
{
	(void)state;
	static const char id[] = "i-00000000000000004";
	struct ec2_instance i = {.instance_id = str_from(id), .instance_type = S("m5.large"), .instance_lifecycle = S("spot")};
	i.state = ec2_instance_state_shape(&world.arena, INSTANCE_RUNNING);
	put_in("us-east-1", &ec2_kind_instance, id, &(struct state_ec2_instance_record){.instance = &i});
	pass_to(START + 10 * HOUR);
	const struct ce_get_cost_and_usage_response *out = usage("2026-01-01", "2026-02-01", "MONTHLY", "USAGE_TYPE", "");
	assert_group(&out->results_by_time.v[0], "SpotUsage:m5.large", "0.288", "10", "Hrs");
}

static void commit(struct store_txn *t)
{
	w.done = false;
	store_commit(t, committed, NULL);
	while (!w.done)
		loop_turn(world.cloud.loop, 1000);
}

static void put_object(const char *bucket, const char *key, int64_t bytes, const char *class)
{
	static const struct record_type type = {&state_s3_api, "Bucket"};
	struct store_txn *t = store_begin(world.cloud.store, &world.arena);
	const struct state_s3_bucket b = {.account = S("000000000000"),
	                                  .region = S("us-east-1"),
	                                  .created = OPT_TIME(world.wall_ms),
	                                  .versioning = S("Enabled")};
	struct state_s3_object o = {
	        .size = OPT_INT(bytes), .last_modified = OPT_TIME(world.wall_ms), .storage_class = str_from(class)};
	record_put(t, &world.arena, KEY(&world.arena, S("s3"), S("bucket"), str_from(bucket)), &type, &b);
	object_install(t, &world.arena, VERSIONING_ENABLED, str_from(bucket), str_from(key), &o, world.wall_ms);
	commit(t);
}

#define GIB (INT64_C(1) << 30)

/* What CloudWatch has of a bucket, by the day. */
static void assert_stored(const char *bucket, const char *name, const char *storage, int64_t day_ms, double wanted)
{
	const struct metric_dimension by[] = {{S("BucketName"), str_from(bucket)}, {S("StorageType"), str_from(storage)}};
	const struct metric metric = {S("000000000000"), S("us-east-1"), S("AWS/S3"), str_from(name), STR_NONE, by, 2};
	struct metric_points p = metrics_read(
	        world.cloud.metrics, &world.arena,
	        &(struct metric_query){.metric = &metric, .from_ms = day_ms, .to_ms = day_ms + DAY, .period_s = 86400});
	assert_int_equal(p.n, 1);
	assert_true(p.v[0].set.count == 1 && p.v[0].set.sum == wanted);
}

/* Objects are measured every hour, with all their versions, from when they came; over a restart and over days off too. */
static void objects(void **state)
{
	(void)state;
	pass_to(START + 10 * 60000); /* the first measurement finds nothing, and is where counting begins */
	for (int i = 0; i < 1200; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%d", i);
		put_object("many-buckets", key, GIB / 100, "STANDARD");
	}
	put_object("more", "cold", 744 * GIB, "STANDARD_IA");
	pass_to(START + HOUR + 10 * 60000);
	pass_to(START + HOUR + 10 * 60000 + 11000);
	struct ce_get_cost_and_usage_response before = *usage("2026-01-01", "2026-02-01", "MONTHLY", "USAGE_TYPE", "");
	/* 12 GB and 744 GB of one hour of 744, and eleven seconds */
	assert_int_equal(before.results_by_time.v[0].groups.n, 2);
	put_object("more", "cold", 744 * GIB, "STANDARD_IA"); /* and the version before it is still there */
	world_close();
	world_open();
	pass_to(START + 10 * HOUR + 10 * 60000 + 11000);
	pass_to(START + 2 * DAY);
	pass_to(START + 2 * DAY + 11000);
	const struct ce_get_cost_and_usage_response *out = usage("2026-01-01", "2026-02-01", "MONTHLY", "USAGE_TYPE", "");
	double cold = 0, warm = 0;
	for (uint32_t i = 0; i < 2; i++) {
		const struct ce_group *g = &out->results_by_time.v[0].groups.v[i];
		double n = strtod(g->metrics.v[1].value.amount.p, NULL);
		assert_str(g->metrics.v[1].value.unit, "GB-Mo");
		*(str_is(g->keys.v[0], "TimedStorage-SIA-ByteHrs") ? &cold : &warm) = n;
	}
	double hours = 48 - 10 / 60.0;
	assert_true(warm > 12 * hours / 744 * 0.9999 && warm < 12 * (hours + 0.01) / 744);
	assert_true(cold > hours + hours - 1 - 0.01 && cold < hours + hours - 1 + 0.01);
	assert_stored("many-buckets", "NumberOfObjects", "AllStorageTypes", START, 1200);
	assert_stored("many-buckets", "BucketSizeBytes", "StandardStorage", START, 1200.0 * (double)(GIB / 100));
	assert_stored("more", "BucketSizeBytes", "StandardIAStorage", START, 744.0 * (double)GIB);
	assert_stored("more", "NumberOfObjects", "AllStorageTypes", START + 2 * DAY, 2); /* both versions, days later */
	/* each day has its own */
	out = usage("2026-01-01", "2026-01-02", "DAILY", "USAGE_TYPE", "");
	for (uint32_t i = 0; i < 2; i++) {
		const struct ce_group *g = &out->results_by_time.v[0].groups.v[i];
		if (str_is(g->keys.v[0], "TimedStorage-ByteHrs"))
			assert_true(strtod(g->metrics.v[1].value.amount.p, NULL) < 12 * 24 / 744.0);
	}
}

static void logs(void **state)
{
	(void)state;
	struct str text = arena_printf(&world.arena, "%0999974d", 1);
	pass_to(START + 60000);
	struct logs_create_log_group_request group = {.log_group_name = S("g")};
	struct logs_create_log_stream_request stream = {.log_group_name = S("g"), .log_stream_name = S("s")};
	ask_api(&logs_api, "CreateLogGroup", &group, "");
	ask_api(&logs_api, "CreateLogStream", &stream, "");
	for (int i = 0; i < 10; i++) {
		struct logs_input_log_event event = {.timestamp = OPT_INT(world.wall_ms), .message = text};
		struct logs_put_log_events_request put = {.log_group_name = S("g"), .log_stream_name = S("s")};
		*LIST_ADD(&world.arena, &put.log_events) = event;
		ask_api(&logs_api, "PutLogEvents", &put, "");
	}
	/* A tick comes every ten seconds, and is a measurement once an hour. */
	for (int i = 1; i <= 24; i++)
		pass_to(START + i * HOUR + 120000);
	const struct ce_get_cost_and_usage_response *out = usage("2026-01-01", "2026-02-01", "MONTHLY", "USAGE_TYPE", "");
	assert_int_equal(out->results_by_time.v[0].groups.n, 2);
	/* 10,000,000 bytes, of 5 GB that are free */
	assert_group(&out->results_by_time.v[0], "DataProcessing-Bytes", "0", "0.0093132257", "GB");
	for (uint32_t i = 0; i < 2; i++) {
		const struct ce_group *g = &out->results_by_time.v[0].groups.v[i];
		double n = strtod(g->metrics.v[1].value.amount.p, NULL), day = 10e6 / (double)GIB / 31;
		if (str_is(g->keys.v[0], "TimedStorage-ByteHrs"))
			assert_true(n > day * 0.95 && n < day * 1.01);
	}
}

/* A snapshot costs what its own layer takes. */
static void snapshots(void **state)
{
	(void)state;
	struct ec2_snapshot snapshot = {.snapshot_id = S("snap-00000000000000001"), .state = S("pending"), .volume_id = S("vol-1")};
	struct state_ec2_snapshot_record r = {.snapshot = &snapshot};
	put_in("us-east-1", &ec2_kind_snapshot, "snap-00000000000000001", &r);
	pass_to(START + HOUR);
	snapshot.state = S("completed");
	r.bytes = OPT_INT(3 * GIB + 1);
	put_in("us-east-1", &ec2_kind_snapshot, "snap-00000000000000001", &r);
	pass_to(START + 32 * HOUR);
	put_in("us-east-1", &ec2_kind_snapshot, "snap-00000000000000001", NULL);
	pass_to(START + 40 * HOUR);
	const struct ce_get_cost_and_usage_response *out = usage("2026-01-01", "2026-02-01", "MONTHLY", "USAGE_TYPE", "");
	assert_int_equal(out->results_by_time.v[0].groups.n, 1);
	assert_group(&out->results_by_time.v[0], "EBS:SnapshotUsage", "0.0062520345", "0.1250406901",
	             "GB-Mo"); /* 3073 MiB, 31 of 744 h */
}

static void forecasts(void **state)
{
	(void)state;
	pass_to(START + 29 * DAY + 12 * HOUR); /* 30 January, noon */
	put_instance("us-east-1", "i-00000000000000004", "t3.micro", INSTANCE_RUNNING);
	struct ce_date_interval days = {S("2026-01-30"), S("2026-02-01")};
	struct ce_get_cost_forecast_request in = {.time_period = &days, .granularity = S("DAILY"), .metric = S("UNBLENDED_COST")};
	const struct ce_get_cost_forecast_response *out = ask("GetCostForecast", &in, "");
	assert_str(out->total->amount, "0.3744"); /* 36 hours */
	assert_int_equal(out->forecast_results_by_time.n, 2);
	assert_str(out->forecast_results_by_time.v[1].mean_value, "0.2496");
	days.start = S("2026-01-29");
	ask("GetCostForecast", &in, "ValidationException");
	/* Two days of counting later: 10 and 30 million reads are a mean of 20 more a day, and their costs 4 and 12 USD. */
	put_instance("us-east-1", "i-00000000000000004", "t3.micro", INSTANCE_TERMINATED);
	for (int day = 0; day < 2; day++) {
		pass_to(START + (31 + day) * DAY + HOUR);
		meter_count(world.cloud.meter, S("000000000000"), S("us-east-1"), S("S3/Requests-Tier2"),
		            day ? 30000000 : 10000000);
		pass_to(START + (31 + day) * DAY + 2 * HOUR);
	}
	pass_to(START + 45 * DAY - HOUR); /* 14 February: of the last two weeks, two days before today */
	days = (struct ce_date_interval){S("2026-02-15"), S("2026-02-17")};
	struct ce_dimension_values type = {.key = S("USAGE_TYPE")};
	struct ce_expression filter = {.dimensions = &type};
	*LIST_ADD(&world.arena, &type.values) = S("Requests-Tier2");
	in.filter = &filter;
	in.prediction_interval_level = OPT_INT(80);
	out = ask("GetCostForecast", &in, "");
	/* 40 million in 13 days: 3,076,923 a day, 1.2307692 USD; the deviation of 4, 12 and eleven nothings is 3.370 USD,
	 * times 1.2816 */
	assert_str(out->forecast_results_by_time.v[0].mean_value, "1.2307692");
	assert_str(out->forecast_results_by_time.v[0].prediction_interval_lower_bound, "0");
	assert_in_range((int)(strtod(out->forecast_results_by_time.v[0].prediction_interval_upper_bound.p, NULL) * 100), 561, 561);
	const struct ce_get_usage_forecast_request used = {
	        .time_period = &days, .granularity = S("DAILY"), .metric = S("USAGE_QUANTITY"), .filter = &filter};
	const struct ce_get_usage_forecast_response *usage_out = ask("GetUsageForecast", &used, "");
	assert_str(usage_out->total->amount, "6153846");
	assert_str(usage_out->total->unit, "Requests");
	type.key = S("SERVICE");
	ask("GetUsageForecast", &used, "ValidationException");
}

/* At four o'clock: three hours were bought, two of them used; of four that ran two were covered. */
static void look_at_shares(struct str id)
{
	struct ce_date_interval day = {S("2026-01-01"), S("2026-01-02")};
	struct ce_get_reservation_utilization_request used = {.time_period = &day, .granularity = S("DAILY")};
	const struct ce_get_reservation_utilization_response *use = ask("GetReservationUtilization", &used, "");
	const struct ce_reservation_aggregates *all = use->utilizations_by_time.v[0].total;
	assert_int_equal(use->utilizations_by_time.n, 1);
	assert_str(all->purchased_hours, "3");
	assert_str(all->purchased_units, "12"); /* a large one is four */
	assert_str(all->total_actual_hours, "2");
	assert_str(all->unused_units, "4");
	assert_str(all->utilization_percentage, "66.6666666667");
	assert_str(all->on_demand_cost_of_ri_hours_used, "0.192");
	assert_str(all->total_amortized_fee, "0.183"); /* 3 x 0.061 */
	assert_str(all->net_ri_savings, "0.009");
	assert_str(all->ri_cost_for_unused_hours, "0.061");
	assert_str(all->realized_savings, "0.07");            /* 2 x (0.096 - 0.061) */
	assert_str(all->total_potential_ri_savings, "0.105"); /* 3 x 0.035 */
	assert_str(all->unrealized_savings, "0.035");
	struct ce_group_definition by = {S("DIMENSION"), S("SUBSCRIPTION_ID")};
	used = (struct ce_get_reservation_utilization_request){.time_period = &day, .group_by = {.v = &by, .n = 1, .set = true}};
	use = ask("GetReservationUtilization", &used, "");
	assert_int_equal(use->utilizations_by_time.v[0].groups.n, 1);
	assert_true(str_eq(use->utilizations_by_time.v[0].groups.v[0].value, id));
	used.granularity = S("DAILY");
	ask("GetReservationUtilization", &used, "ValidationException");
	by = (struct ce_group_definition){S("DIMENSION"), S("INSTANCE_TYPE")};
	struct ce_get_reservation_coverage_request covered = {.time_period = &day, .group_by = {.v = &by, .n = 1, .set = true}};
	const struct ce_get_reservation_coverage_response *cover = ask("GetReservationCoverage", &covered, "");
	const struct ce_coverage *total = cover->total;
	assert_str(total->coverage_hours->on_demand_hours, "2");
	assert_str(total->coverage_hours->reserved_hours, "2");
	assert_str(total->coverage_hours->coverage_hours_percentage, "50");
	assert_str(total->coverage_normalized_units->total_running_normalized_units, "16");
	assert_str(total->coverage_cost->on_demand_cost, "0.192");
	assert_int_equal(cover->coverages_by_time.v[0].groups.n, 1);
	assert_str(cover->coverages_by_time.v[0].groups.v[0].attributes.v[0].value, "m5.large");
	struct str wrong = S("Hours");
	covered.metrics = (struct str_list){.v = &wrong, .n = 1, .set = true};
	ask("GetReservationCoverage", &covered, "ValidationException");
}

/* A year of m5.large bought in advance: what it covers costs its fee, and when it has ended the list price again. */
static void reservations(void **state)
{
	(void)state;
	struct ec2_describe_reserved_instances_offerings_request offered = {.instance_type = S("m5.large")};
	pass_to(START + HOUR);
	const struct ec2_describe_reserved_instances_offerings_result *offers =
	        ask_api(&ec2_api, "DescribeReservedInstancesOfferings", &offered, "");
	assert_int_equal(offers->reserved_instances_offerings.n, 1);
	const struct ec2_reserved_instances_offering *o = &offers->reserved_instances_offerings.v[0];
	assert_true(o->recurring_charges.v[0].amount.v > 0.0609 && o->recurring_charges.v[0].amount.v < 0.0611);
	struct ec2_purchase_reserved_instances_offering_request buy = {
	        .reserved_instances_offering_id = o->reserved_instances_offering_id, .instance_count = OPT_INT(21)};
	ask_api(&ec2_api, "PurchaseReservedInstancesOffering", &buy, "ReservedInstancesLimitExceeded");
	buy.instance_count = OPT_INT(1);
	const struct ec2_purchase_reserved_instances_offering_result *bought =
	        ask_api(&ec2_api, "PurchaseReservedInstancesOffering", &buy, "");
	struct str id = arena_dup(&world.arena, bought->reserved_instances_id);
	buy.reserved_instances_offering_id = S("00000000-0000-0000-0000-000000000000");
	ask_api(&ec2_api, "PurchaseReservedInstancesOffering", &buy, "InvalidReservedInstancesOfferingId");
	/* Two of them for two hours. */
	put_instance("us-east-1", "i-00000000000000001", "m5.large", INSTANCE_RUNNING);
	put_instance("us-east-1", "i-00000000000000002", "m5.large", INSTANCE_RUNNING);
	pass_to(START + 3 * HOUR);
	put_instance("us-east-1", "i-00000000000000001", "m5.large", INSTANCE_TERMINATED);
	put_instance("us-east-1", "i-00000000000000002", "m5.large", INSTANCE_TERMINATED);
	pass_to(START + 4 * HOUR);
	struct ce_date_interval days = {S("2026-01-01"), S("2026-02-01")};
	struct str metrics[] = {S("UnblendedCost"), S("UsageQuantity"), S("AmortizedCost")};
	struct ce_group_definition by = {S("DIMENSION"), S("RECORD_TYPE")};
	struct ce_get_cost_and_usage_request in = {.time_period = &days,
	                                           .granularity = S("MONTHLY"),
	                                           .metrics = {.v = metrics, .n = 3, .set = true},
	                                           .group_by = {.v = &by, .n = 1, .set = true}};
	const struct ce_get_cost_and_usage_response *out = ask("GetCostAndUsage", &in, "");
	const struct ce_result_by_time *month = &out->results_by_time.v[0];
	assert_int_equal(month->groups.n, 3);
	assert_group(month, "DiscountedUsage", "0", "2", "Hrs");
	assert_group(month, "Usage", "0.192", "2", "Hrs");
	assert_group(month, "RIFee", "45.323", "743", "Hrs"); /* from one o'clock on: 743 x 0.061 */
	assert_str(month->groups.v[0].metrics.v[2].value.amount, "0.122");
	assert_str(month->groups.v[1].metrics.v[2].value.amount, "0.061"); /* the third hour was not used */
	look_at_shares(id);
	/* By the hour and by resource it is the same. */
	days = (struct ce_date_interval){S("2026-01-01T01:00:00Z"), S("2026-01-01T03:00:00Z")};
	in.granularity = S("HOURLY");
	out = ask("GetCostAndUsage", &in, "");
	assert_int_equal(out->results_by_time.n, 2);
	assert_group(&out->results_by_time.v[1], "DiscountedUsage", "0", "1", "Hrs");
	assert_group(&out->results_by_time.v[1], "Usage", "0.096", "1", "Hrs");
	const struct ec2_describe_reserved_instances_request mine = {.reserved_instances_ids = {.v = &id, .n = 1, .set = true}};
	const struct ec2_describe_reserved_instances_result *seen = ask_api(&ec2_api, "DescribeReservedInstances", &mine, "");
	assert_str(seen->reserved_instances.v[0].state, "active");
	pass_to(START + 366 * DAY);
	seen = ask_api(&ec2_api, "DescribeReservedInstances", &mine, "");
	assert_str(seen->reserved_instances.v[0].state, "retired");
	put_instance("us-east-1", "i-00000000000000003", "m5.large", INSTANCE_RUNNING);
	pass_to(START + 366 * DAY + HOUR);
	put_instance("us-east-1", "i-00000000000000003", "m5.large", INSTANCE_TERMINATED);
	days = (struct ce_date_interval){S("2027-01-02"), S("2027-01-03")};
	in.granularity = S("DAILY");
	out = ask("GetCostAndUsage", &in, "");
	assert_int_equal(out->results_by_time.v[0].groups.n, 1);
	assert_group(&out->results_by_time.v[0], "Usage", "0.096", "1", "Hrs");
}

/* One m5.large runs for the last seven days, another for 126 of their 168 hours; on demand 0.096, by the plan 0.06. A commitment of
 * 0.06 saves 168 x 0.036 = 6.048; of 0.12 it is (168 + 126) x 0.096 = 28.224 less 168 x 0.12 = 20.16: 8.064. */
static void recommended(void **state)
{
	(void)state;
	struct str why = STR_NONE;
	struct ce_get_savings_plans_purchase_recommendation_request in = {.savings_plans_type = S("COMPUTE_SP"),
	                                                                  .term_in_years = S("ONE_YEAR"),
	                                                                  .payment_option = S("NO_UPFRONT"),
	                                                                  .lookback_period_in_days = S("SEVEN_DAYS")};
	put_instance("us-east-1", "i-00000000000000001", "m5.large", INSTANCE_RUNNING);
	pass_to(START + DAY + 42 * HOUR);
	put_instance("us-east-1", "i-00000000000000002", "m5.large", INSTANCE_RUNNING);
	pass_to(START + 8 * DAY);
	const struct ce_get_savings_plans_purchase_recommendation_response *out =
	        ask("GetSavingsPlansPurchaseRecommendation", &in, "");
	assert_int_equal(out->savings_plans_purchase_recommendation->savings_plans_purchase_recommendation_details.n, 0);
	assert_true(str_find(out->metadata->additional_metadata, S("no rates")) > 0);
	world.cloud.prices = price_book_read(
	        &world.arena,
	        S("{\"savings_plans\": [{\"type\": \"Compute\", \"years\": 1, \"payment\": \"No Upfront\", \"rates\": {\"us-east-1\": "
	          "{\"BoxUsage:m5.large\": 0.06}}}]}"),
	        &why);
	assert_non_null(world.cloud.prices);
	out = ask("GetSavingsPlansPurchaseRecommendation", &in, "");
	assert_int_equal(out->savings_plans_purchase_recommendation->savings_plans_purchase_recommendation_details.n, 1);
	const struct ce_savings_plans_purchase_recommendation_detail *d =
	        &out->savings_plans_purchase_recommendation->savings_plans_purchase_recommendation_details.v[0];
	assert_str(d->hourly_commitment_to_purchase, "0.12");
	assert_str(d->estimated_on_demand_cost_with_current_commitment, "28.224");
	assert_str(d->estimated_sp_cost, "20.16");
	assert_str(d->estimated_on_demand_cost, "0");
	assert_str(d->estimated_savings_amount, "8.064");
	assert_str(d->estimated_savings_percentage, "28.5714285714");
	assert_str(d->estimated_roi, "40");
	assert_str(d->estimated_average_utilization, "87.5");     /* (168 + 126) x 0.06 = 17.64 of 20.16 */
	assert_str(d->estimated_monthly_savings_amount, "35.04"); /* 8.064 / 168 x 730 */
	assert_str(d->current_minimum_hourly_on_demand_spend, "0.096");
	assert_str(d->current_maximum_hourly_on_demand_spend, "0.192");
	assert_str(d->current_average_hourly_on_demand_spend, "0.168");
	in.savings_plans_type = S("SAGEMAKER_SP");
	ask("GetSavingsPlansPurchaseRecommendation", &in, "ValidationException");
	in.savings_plans_type = S("EC2_INSTANCE_SP");
	out = ask("GetSavingsPlansPurchaseRecommendation", &in, "");
	assert_int_equal(out->savings_plans_purchase_recommendation->savings_plans_purchase_recommendation_details.n, 0);
	world.cloud.prices = NULL;
}

static void refusals(void **state)
{
	(void)state;
	usage("2026-01-02", "2026-01-01", "DAILY", NULL, "ValidationException");
	usage("2026-02-30", "2026-03-01", "DAILY", NULL, "ValidationException");
	usage("2026-01-01", "2026-01-02", "HOURLY", NULL, "ValidationException");
	usage("2026-01-01", "2026-01-02", "DAILY", "AZ", "ValidationException");
	struct ce_date_interval days = {S("2026-01-01"), S("2026-01-02")};
	struct ce_dimension_values none = {.key = S("SERVICE")};
	struct ce_expression one = {.dimensions = &none}, both = {.dimensions = &none, .not = &one};
	struct ce_get_dimension_values_request in = {.time_period = &days, .dimension = S("SERVICE"), .filter = &both};
	ask("GetDimensionValues", &in, "ValidationException");
	both.not = NULL;
	ask("GetDimensionValues", &in, "ValidationException");
	in.filter = NULL;
	const struct ce_get_dimension_values_response *out = ask("GetDimensionValues", &in, "");
	assert_int_equal(out->total_size.v, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(by_hand, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(other_prices, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(spot, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(objects, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(logs, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(snapshots, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(forecasts, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(reservations, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(recommended, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(refusals, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("bill", tests, NULL, NULL);
}
