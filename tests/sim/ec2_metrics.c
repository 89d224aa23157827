/* Instances' metrics over minutes without a machine: counters that the test sets become CloudWatch's numbers. */
#include "unit.h"

#include "aws/ec2/instance/credit.h"
#include "aws/ec2/instance/sample.h"
#include "aws/ec2/network/nat_usage.h"
#include "aws/ec2/state.h"
#include "aws/ec2/storage/volume_speed.h"
#include "base/clock.h"
#include "core/meter.h"
#include "core/record.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network.h"
#include "engine/vm/machine.h"
#include "gen/state_autoscaling.h"

#include <stdio.h>
#include <stdlib.h>

#define START INT64_C(1767225600000) /* 2026-01-01 */
#define ID "i-00000000000000001"

static struct machine_usage usage;
static unsigned limited;
static struct network_port_stats stats;
static bool stats_known;
static struct network_port_stats gate; /* of a NAT gateway */

void machine_usage(const struct machine *m, struct machine_usage *ret)
{
	(void)m;
	*ret = usage;
}

static struct machine_disk_use disks[2];
static size_t disk_count;

const struct machine_disk_use *machine_disk_uses(const struct machine *m, size_t *ret_count)
{
	(void)m;
	*ret_count = disk_count;
	return disks;
}

void machine_limit_cpu(struct machine *m, unsigned vcpus, unsigned percent)
{
	(void)m;
	assert_int_equal(vcpus, 2);
	limited = percent;
}

bool network_port_stats(struct networks *n, const char *port_id, struct network_port_stats *ret)
{
	(void)n;
	if (!strcmp(port_id, "eni-00000000000000009")) {
		*ret = gate;
		return true;
	}
	assert_string_equal(port_id, "eni-00000000000000001");
	*ret = stats;
	return stats_known;
}

static struct {
	struct cloud cloud;
	struct arena arena;
	struct ec2_state ec2;
	struct desk desk;
	struct desk_item item;
	struct sampler *sampler;
	char dir[64];
	int64_t wall_ms, mono_us;
	bool done;
} w;

static void committed(void *ctx, int result, uint64_t revision)
{
	(void)ctx;
	(void)revision;
	assert_int_equal(result, 0);
	w.done = true;
}

static void put(const struct ec2_kind *kind, const char *id, const void *record)
{
	struct ec2_scope s = {.txn = store_begin(w.cloud.store, &w.arena),
	                      .arena = &w.arena,
	                      .account = S("000000000000"),
	                      .region = S("us-east-1")};
	ec2_put(&s, kind, str_from(id), record);
	w.done = false;
	store_commit(s.txn, committed, NULL);
	while (!w.done)
		loop_turn(w.cloud.loop, 1000);
}

static bool detailed; /* monitoring */

static void put_instance(enum instance_state state, int64_t reached_ms)
{
	struct ec2_instance i = {.instance_id = S(ID), .instance_type = S("t3.micro"), .launch_time = OPT_TIME(START)};
	struct ec2_monitoring monitoring = {.state = detailed ? S("enabled") : S("disabled")};
	struct ec2_tag tag = {.key = S("aws:autoscaling:groupName"), .value = S("g")};
	i.state = ec2_instance_state_shape(&w.arena, state);
	i.monitoring = &monitoring;
	i.image_id = S("ami-1");
	i.tags = (struct ec2_tag_list){.v = &tag, .n = 1, .set = true};
	struct state_ec2_instance_record r = {.instance = &i, .changed = OPT_TIME(START)};
	if (reached_ms)
		r.reached = OPT_TIME(reached_ms);
	put(&ec2_kind_instance, ID, &r);
}

static int set_up(void **state)
{
	(void)state;
	char why[200];
	memset(&w, 0, sizeof(w));
	memset(&usage, 0, sizeof(usage));
	memset(&stats, 0, sizeof(stats));
	stats_known = false;
	memset(disks, 0, sizeof(disks));
	disk_count = 0;
	memset(&gate, 0, sizeof(gate));
	detailed = false;
	snprintf(w.dir, sizeof(w.dir), "/tmp/quartet-metrics-XXXXXX");
	assert_non_null(mkdtemp(w.dir));
	w.wall_ms = START;
	w.mono_us = 1000000000;
	clock_fake(w.wall_ms, w.mono_us);
	w.cloud.loop = loop_new();
	assert_int_equal(store_open(&w.cloud.store, w.cloud.loop,
	                            &(struct store_config){.path = arena_printf(&w.arena, "%s/state", w.dir).p, .ephemeral = true},
	                            why),
	                 0);
	assert_int_equal(metrics_open(&w.cloud.metrics, w.cloud.loop, arena_printf(&w.arena, "%s/metrics", w.dir).p, true, why), 0);
	w.ec2 = (struct ec2_state){.cloud = &w.cloud, .desk = &w.desk, .networks = (struct networks *)&w};
	w.desk = (struct desk){.cloud = &w.cloud, .ec2 = &w.ec2};
	list_init(&w.desk.gates);
	w.item = (struct desk_item){.desk = &w.desk,
	                            .kind = &ec2_kind_instance,
	                            .account = S("000000000000"),
	                            .region = S("us-east-1"),
	                            .id = S(ID),
	                            .machine = (struct machine *)&w,
	                            .running = true};
	map_put(&w.desk.items, w.item.id, &w.item);
	struct ec2_network_interface_attachment at = {.instance_id = S(ID)};
	struct ec2_network_interface_private_ip_address address = {.private_ip_address = S("172.31.0.4")};
	struct ec2_network_interface eni = {.network_interface_id = S("eni-00000000000000001"),
	                                    .attachment = &at,
	                                    .private_ip_addresses = {.v = &address, .n = 1, .set = true}};
	put_instance(INSTANCE_RUNNING, 0);
	put(&ec2_kind_interface, "eni-00000000000000001", &(struct state_vpc_interface_record){.interface = &eni});
	w.sampler = sampler_start(&w.desk);
	assert_non_null(w.sampler);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	sampler_stop(w.sampler);
	nat_usage_forget(&w.desk);
	metrics_close(w.cloud.metrics);
	store_close(w.cloud.store);
	loop_free(w.cloud.loop);
	map_done(&w.desk.items);
	arena_done(&w.arena);
	snprintf(command, sizeof(command), "rm -rf %s", w.dir);
	return system(command);
}

/* One more minute, in which the processors were busy for so long and so much was read and received. */
static void minute(int64_t busy_us, uint64_t bytes)
{
	w.wall_ms += 60000;
	w.mono_us += 60000000;
	usage.cpu_us += (uint64_t)busy_us;
	usage.disk_read_bytes += bytes;
	usage.disk_read_ops += 3;
	usage.at_us = w.mono_us;
	stats.rx_bytes += 2 * bytes;
	stats.tx_packets += 7;
	/* The sampler looks a second later, and a second after that it is written. */
	for (int i = 0; i < 3; i++) {
		clock_fake(w.wall_ms + i * 1001, w.mono_us + i * 1001000);
		for (int k = 0; k < 20; k++)
			loop_turn(w.cloud.loop, 1000);
	}
}

static struct metric_points read_metric(const char *name, int64_t period_s)
{
	static const struct metric_dimension instance = {S_INIT("InstanceId"), S_INIT(ID)};
	struct metric m = {.account = S("000000000000"),
	                   .region = S("us-east-1"),
	                   .space = S("AWS/EC2"),
	                   .name = str_from(name),
	                   .dimensions = &instance,
	                   .dimension_count = 1};
	return metrics_read(w.cloud.metrics, &w.arena,
	                    &(struct metric_query){.metric = &m, .from_ms = START, .to_ms = START + 3600000, .period_s = period_s});
}

/* How many samples there are by the minute. by NULL: of all instances. */
static double samples_by(const char *name, const char *by, const char *value)
{
	const struct metric_dimension dimension = {by ? str_from(by) : STR_NONE, by ? str_from(value) : STR_NONE};
	struct metric m = {.account = S("000000000000"),
	                   .region = S("us-east-1"),
	                   .space = S("AWS/EC2"),
	                   .name = str_from(name),
	                   .dimensions = &dimension,
	                   .dimension_count = by != NULL};
	struct metric_points p =
	        metrics_read(w.cloud.metrics, &w.arena,
	                     &(struct metric_query){.metric = &m, .from_ms = START, .to_ms = START + 3600000, .period_s = 60});
	double count = 0;
	for (uint32_t i = 0; i < p.n; i++)
		count += p.v[i].set.count;
	return count;
}

static double of_volume(const char *volume, const char *name, double *ret_count)
{
	const struct metric_dimension dimension = {S("VolumeId"), str_from(volume)};
	struct metric m = {.account = S("000000000000"),
	                   .region = S("us-east-1"),
	                   .space = S("AWS/EBS"),
	                   .name = str_from(name),
	                   .dimensions = &dimension,
	                   .dimension_count = 1};
	struct metric_points p =
	        metrics_read(w.cloud.metrics, &w.arena,
	                     &(struct metric_query){.metric = &m, .from_ms = START, .to_ms = START + 3600000, .period_s = 60});
	double sum = 0;
	*ret_count = 0;
	for (uint32_t i = 0; i < p.n; i++) {
		sum += p.v[i].set.sum;
		*ret_count += p.v[i].set.count;
	}
	return sum;
}

static void assert_volume(const char *volume, const char *name, double count, double sum)
{
	double n, found = of_volume(volume, name, &n);
	if (n != count || found < sum - 0.001 || found > sum + 0.001)
		fail_msg("%s of %s: %g in %g samples, not %g in %g", name, volume, found, n, sum, count);
}

static void assert_sum(const char *name, double count, double sum)
{
	struct metric_points p = read_metric(name, 3600);
	assert_int_equal(p.n, count > 0);
	if (!p.n)
		return;
	assert_true(p.v[0].set.count == count);
	assert_true(p.v[0].set.sum > sum - 0.001 && p.v[0].set.sum < sum + 0.001);
}

static void counters(void **state)
{
	(void)state;
	minute(1000000, 5000); /* a beginning, no sample */
	assert_sum("CPUUtilization", 0, 0);
	stats_known = true;
	minute(30000000, 1000); /* half a minute of two processors */
	assert_sum("CPUUtilization", 1, 25);
	assert_sum("EBSReadBytes", 1, 1000);
	assert_sum("EBSReadOps", 1, 3);
	assert_sum("NetworkIn", 0, 0); /* known since now */
	minute(120000000, 1000);
	assert_sum("CPUUtilization", 2, 125);
	assert_sum("NetworkIn", 1, 2000);
	assert_sum("NetworkPacketsOut", 1, 7);
	assert_int_equal(read_metric("CPUUtilization", 60).n, 0); /* basic monitoring */
	assert_int_equal(read_metric("CPUUtilization", 300).n, 1);
	/* A process that counts for the machine was started again, or did not answer. */
	usage.cpu_us = 0;
	minute(12000000, 0);
	assert_sum("CPUUtilization", 3, 135);
	int64_t at = usage.at_us;
	minute(12000000, 0);
	usage.at_us = at;
	assert_sum("CPUUtilization", 4, 145);
	/* Stopped, and started as another machine: a beginning. */
	w.item.running = false;
	minute(0, 0);
	w.item.running = true;
	minute(60000000, 0);
	assert_sum("CPUUtilization", 4, 145);
	minute(60000000, 0);
	assert_sum("CPUUtilization", 5, 195);
}

/* With detailed monitoring instances are added up, by what they have in common and all together; a group's always are. */
static void adds_up(void **state)
{
	(void)state;
	minute(0, 0);
	minute(1000000, 1000);
	assert_true(samples_by("CPUUtilization", "AutoScalingGroupName", "g") == 1);
	assert_true(samples_by("CPUUtilization", "ImageId", "ami-1") == 0);
	detailed = true;
	put_instance(INSTANCE_RUNNING, w.wall_ms);
	minute(1000000, 1000);
	minute(1000000, 1000);
	static const struct {
		const char *by, *value;
	} all[] = {{"InstanceId", ID}, {"ImageId", "ami-1"}, {"InstanceType", "t3.micro"}, {NULL, NULL}};
	static const char *const names[] = {"CPUUtilization", "EBSReadBytes", "EBSWriteOps", "MetadataNoToken"};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(*names); k++)
			assert_true(samples_by(names[k], all[i].by, all[i].value) == 2);
	assert_true(samples_by("CPUUtilization", "AutoScalingGroupName", "g") == 3);
	assert_true(samples_by("StatusCheckFailed", "InstanceId", ID) == 2);
	assert_true(samples_by("StatusCheckFailed", "ImageId", "ami-1") == 0);
	/* Its processors are of the quota for standard types. */
	const struct metric_dimension used[] = {{S("Service"), S("EC2")},
	                                        {S("Type"), S("Resource")},
	                                        {S("Resource"), S("vCPU")},
	                                        {S("Class"), S("Standard/OnDemand")}};
	const struct metric m = {S("000000000000"), S("us-east-1"), S("AWS/Usage"), S("ResourceCount"), S("None"), used, 4};
	struct metric_points p =
	        metrics_read(w.cloud.metrics, &w.arena,
	                     &(struct metric_query){.metric = &m, .from_ms = START, .to_ms = START + 3600000, .period_s = 60});
	assert_true(p.n == 4 && p.v[3].set.sum == 2);
	/* Without tokens, and in vain. */
	w.item.tokenless = 3;
	w.item.tokenless_refused = 2;
	minute(0, 0);
	minute(0, 0);
	assert_sum("MetadataNoToken", 6, 3);
	assert_sum("MetadataNoTokenRejected", 6, 2);
}

/* Each disk by itself and by the minute, whatever the monitoring; one that is plugged in later begins then. */
static void volumes(void **state)
{
	(void)state;
	strcpy(disks[1].volume, "vol-2");
	disks[0] = (struct machine_disk_use){
	        .volume = "vol-1", .read_bytes = 700, .write_bytes = 70, .read_ops = 7, .write_ops = 7, .read_ns = 5000000000};
	disk_count = 1;
	minute(0, 0); /* a beginning */
	assert_volume("vol-1", "VolumeReadBytes", 0, 0);
	disks[0].read_bytes += 4096;
	disks[0].read_ops += 2;
	disks[0].read_ns += 6000000000;
	disks[0].write_bytes += 512;
	disks[0].write_ops += 1;
	disks[0].write_ns += 9000000000;
	disk_count = 2;
	minute(0, 0);
	assert_volume("vol-1", "VolumeReadBytes", 1, 4096);
	assert_volume("vol-1", "VolumeWriteBytes", 1, 512);
	assert_volume("vol-1", "VolumeReadOps", 1, 2);
	assert_volume("vol-1", "VolumeWriteOps", 1, 1);
	assert_volume("vol-1", "VolumeTotalReadTime", 1, 6);
	assert_volume("vol-1", "VolumeTotalWriteTime", 1, 9);
	assert_volume("vol-1", "VolumeAvgReadLatency", 1, 3000);
	assert_volume("vol-1", "VolumeAvgWriteLatency", 1, 9000);
	assert_volume("vol-1", "VolumeAvgIOPS", 1, 3 / 60.0);
	assert_volume("vol-1", "VolumeAvgThroughput", 1, (4096 + 512) / 60.0);
	assert_volume("vol-1", "VolumeQueueLength", 1, 0.25); /* 15 of 60 seconds */
	assert_volume("vol-1", "VolumeIdleTime", 1, 45);
	assert_volume("vol-2", "VolumeReadBytes", 0, 0);
	disks[1].read_bytes += 100;
	disks[0].write_ns += 120000000000; /* two at a time, all the time */
	minute(0, 0);
	assert_volume("vol-1", "VolumeQueueLength", 2, 2.25);
	assert_volume("vol-1", "VolumeIdleTime", 2, 45);
	assert_volume("vol-2", "VolumeReadBytes", 1, 100);
	/* It was plugged out and in again: its counters have begun anew. */
	disks[0] = (struct machine_disk_use){.volume = "vol-1", .read_bytes = 10};
	minute(0, 0);
	assert_volume("vol-1", "VolumeReadBytes", 3, 4096 + 10);
}

#define VOL_1 "vol-00000000000000001"
#define VOL_2 "vol-00000000000000002"

static void put_volume(const char *id, const char *type, int64_t gib, int64_t iops, int64_t mib_per_s)
{
	struct ec2_volume v = {.volume_id = str_from(id), .volume_type = str_from(type), .size = OPT_INT(gib)};
	if (iops)
		v.iops = OPT_INT(iops);
	if (mib_per_s)
		v.throughput = OPT_INT(mib_per_s);
	put(&ec2_kind_volume, id, &(struct state_ec2_volume_record){.volume = &v});
}

/* A member of a group counts for it when it has served for the group's default warm-up. */
static void warm_up(void **state)
{
	(void)state;
	struct autoscaling_auto_scaling_group g = {.auto_scaling_group_name = S("g"), .default_instance_warmup = OPT_INT(180)};
	struct state_autoscaling_member m = {.id = S(ID), .state = S("InService"), .in_service = OPT_TIME(START + 60000)};
	struct state_autoscaling_group_record r = {.group = &g, .members = {.v = &m, .n = 1, .set = true}};
	struct store_txn *t = store_begin(w.cloud.store, &w.arena);
	record_put(t, &w.arena, KEY(&w.arena, S("autoscaling"), S("group"), S("000000000000"), S("us-east-1"), S("g")),
	           &(const struct record_type){&state_autoscaling_api, "GroupRecord"}, &r);
	w.done = false;
	store_commit(t, committed, NULL);
	while (!w.done)
		loop_turn(w.cloud.loop, 1000);
	detailed = true;
	put_instance(INSTANCE_RUNNING, 0);
	for (int i = 0; i < 6; i++)
		minute(1000000, 0); /* the first one is a beginning */
	assert_true(samples_by("CPUUtilization", "InstanceId", ID) == 5);
	assert_true(samples_by("CPUUtilization", "AutoScalingGroupName", "g") == 3); /* from the fourth minute on */
}

/* What a volume's type allows, and how much of it is used up. */
static void speeds(void **state)
{
	(void)state;
	put_volume(VOL_1, "gp2", 10, 100, 0);
	put_volume(VOL_2, "io1", 4, 200, 0);
	strcpy(disks[0].volume, VOL_1);
	strcpy(disks[1].volume, VOL_2);
	disks[1].waiting = -1;
	disk_count = 2;
	minute(0, 0);
	disks[0].read_ops += 180000; /* all that the burst lets through */
	disks[1].write_ops += 3000;
	disks[1].write_bytes += 3000 * 524288ull; /* each counts twice */
	disks[1].write_ns += 10000000000;
	minute(0, 0);
	assert_volume(VOL_1, "VolumeIOPSExceededCheck", 1, 1);
	assert_volume(VOL_1, "VolumeThroughputExceededCheck", 1, 0);
	assert_volume(VOL_1, "BurstBalance", 1, 100 * (1 - (180000 - 6000) / 5400000.0));
	assert_volume(VOL_1, "VolumeConsumedReadWriteOps", 0, 0);
	assert_volume(VOL_2, "BurstBalance", 0, 0);
	assert_volume(VOL_2, "VolumeIOPSExceededCheck", 1, 0);
	assert_volume(VOL_2, "VolumeConsumedReadWriteOps", 1, 6000);
	assert_volume(VOL_2, "VolumeThroughputPercentage", 1, 100);
	disks[0].waiting = 1; /* and nothing comes of it */
	disks[1].write_ops += 6000;
	disks[1].write_ns += 120000000000;
	minute(0, 0);
	assert_volume(VOL_1, "VolumeStalledIOCheck", 2, 0);
	assert_volume(VOL_1, "VolumeIOPSExceededCheck", 2, 1);
	assert_volume(VOL_1, "BurstBalance", 2, 200 * (1 - (180000 - 6000) / 5400000.0) + 100 * 6000 / 5400000.0);
	assert_volume(VOL_2, "VolumeThroughputPercentage", 2, 150);
	minute(0, 0);
	assert_volume(VOL_1, "VolumeStalledIOCheck", 3, 1);
	assert_volume(VOL_2, "VolumeStalledIOCheck", 2, 0); /* of a virtual machine that does nothing it is not known */
	/* Of hard disks it is the bytes. */
	struct ec2_volume v = {.volume_type = S("st1"), .size = OPT_INT(1024)};
	struct volume_speed s = ec2_volume_speed(&v);
	assert_int_equal(s.mib_per_s, 40);
	assert_int_equal(s.burst, 250);
	assert_int_equal(s.burst_s, 1048576 / 250);
	double spent = 0;
	struct volume_load load = ec2_volume_load(&s, 100, 250.0 * 60 * 1048576, 60, &spent);
	assert_true(load.mib_reached && !load.iops_reached && load.balance < 99 && load.balance > 98);
	v.size = OPT_INT(16384);
	assert_int_equal(ec2_volume_speed(&v).burst, 0); /* as fast all the time */
	v.volume_type = S("gp2");
	v.iops = OPT_INT(3000);
	assert_int_equal(ec2_volume_speed(&v).burst, 0);
}

static void checks(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++)
		minute(0, 0);
	assert_sum("StatusCheckFailed", 0, 0); /* initializing */
	minute(0, 0);
	minute(0, 0);
	assert_sum("StatusCheckFailed", 2, 2);
	assert_sum("StatusCheckFailed_System", 2, 0);
	assert_int_equal(read_metric("StatusCheckFailed_Instance", 60).n, 2);
	put_instance(INSTANCE_RUNNING, w.wall_ms);
	minute(0, 0);
	assert_sum("StatusCheckFailed_Instance", 3, 2);
	put_instance(INSTANCE_STOPPING, w.wall_ms);
	minute(0, 0);
	assert_sum("StatusCheckFailed_Instance", 3, 2);
}

static void with_instance(bool stopped, struct str mode)
{
	struct ec2_scope s = {.txn = store_begin(w.cloud.store, &w.arena),
	                      .arena = &w.arena,
	                      .account = S("000000000000"),
	                      .region = S("us-east-1")};
	struct state_ec2_instance_record r;
	assert_true(ec2_find(&s, &ec2_kind_instance, S(ID), &r));
	if (stopped)
		credit_end(&s, r.instance, false);
	else
		credit_open(&s, r.instance, instance_type_find(S("t3.micro")), mode);
	w.done = false;
	store_commit(s.txn, committed, NULL);
	while (!w.done)
		loop_turn(w.cloud.loop, 1000);
}

static double last_of(const char *name)
{
	struct metric_points p = read_metric(name, 300);
	assert_true(p.n > 0);
	return p.v[p.n - 1].set.max;
}

static int64_t used(const char *usage_type)
{
	struct store_txn *t = store_begin(w.cloud.store, &w.arena);
	struct meter_lines lines =
	        meter_read(t, &w.arena, S("000000000000"), METER_PLAIN, START / METER_DAY_MS, START / METER_DAY_MS + 2, w.wall_ms);
	int64_t sum = 0;
	for (uint32_t i = 0; i < lines.n; i++)
		if (str_is(lines.v[i].usage, usage_type))
			sum += lines.v[i].amount;
	store_abort(t);
	return sum;
}

static int64_t charged(void)
{
	return used("CPUCredits:t3");
}

/* The sum of what a gateway has published, in this unit. */
static double of_gateway(const char *name, const char *unit)
{
	const struct metric_dimension dimension = {S("NatGatewayId"), S("nat-00000000000000001")};
	const struct metric m = {
	        S("000000000000"), S("us-east-1"), S("AWS/NATGateway"), str_from(name), str_from(unit), &dimension, 1};
	struct metric_points p =
	        metrics_read(w.cloud.metrics, &w.arena,
	                     &(struct metric_query){.metric = &m, .from_ms = START, .to_ms = START + 3600000, .period_s = 60});
	double sum = 0;
	for (uint32_t i = 0; i < p.n; i++)
		sum += p.v[i].set.sum;
	return sum;
}

/* What a NAT gateway carries is the meter's within a minute; what it had carried when the role began is not. */
static void gateways(void **state)
{
	(void)state;
	struct ec2_nat_gateway_address address = {.network_interface_id = S("eni-00000000000000009")};
	struct ec2_nat_gateway nat = {.nat_gateway_id = S("nat-00000000000000001"),
	                              .state = S("pending"),
	                              .nat_gateway_addresses = {.v = &address, .n = 1, .set = true}};
	w.cloud.meter = meter_new(w.cloud.loop, w.cloud.store);
	put(&ec2_kind_nat, "nat-00000000000000001", &nat);
	minute(0, 0);
	assert_int_equal(used("NatGateway-Bytes"), 0);
	gate.tx_bytes = 1000;
	ec2_nat_in_place(&w.ec2, "eni-00000000000000009");
	minute(0, 0);
	assert_int_equal(used("NatGateway-Bytes"), 1000);
	gate.tx_bytes += 5000;
	ec2_nat_in_place(&w.ec2, "eni-00000000000000009"); /* the router was made anew */
	minute(0, 0);
	gate.tx_bytes = 300; /* and has begun to count anew */
	minute(0, 0);
	assert_int_equal(used("NatGateway-Bytes"), 6300);
	nat_usage_forget(&w.desk);
	gate.tx_bytes = 900;
	ec2_nat_in_place(&w.ec2, "eni-00000000000000009"); /* the role was */
	minute(0, 0);
	gate.tx_bytes = 1000;
	minute(0, 0);
	assert_int_equal(used("NatGateway-Bytes"), 6400);
	gate.tx_packets = 7;
	gate.rx_packets = 5;
	gate.rx_bytes = 4000;
	gate.drops = 2;
	gate.gate.active = 3;
	gate.gate.tried = 6;
	gate.gate.met = 4;
	gate.gate.unported = 2;
	gate.gate.idle = 1;
	minute(0, 0);
	assert_int_equal(used("NatGateway-Bytes"), 10400);
	for (int k = 0; k < 2; k++) {
		assert_int_equal(of_gateway(k ? "BytesOutToDestination" : "BytesInFromSource", "Bytes"), 6400);
		assert_int_equal(of_gateway(k ? "BytesOutToSource" : "BytesInFromDestination", "Bytes"), 4000);
		assert_int_equal(of_gateway(k ? "PacketsOutToDestination" : "PacketsInFromSource", "Count"), k ? 5 : 7);
		assert_int_equal(of_gateway(k ? "PacketsOutToSource" : "PacketsInFromDestination", "Count"), 5);
	}
	assert_int_equal(of_gateway("PacketsDropCount", "Count"), 2);
	assert_int_equal(of_gateway("ErrorPortAllocation", "Count"), 2);
	assert_int_equal(of_gateway("ConnectionAttemptCount", "Count"), 6);
	assert_int_equal(of_gateway("ConnectionEstablishedCount", "Count"), 4);
	assert_int_equal(of_gateway("IdleTimeoutCount", "Count"), 1);
	assert_int_equal(of_gateway("ActiveConnectionCount", "Count"), 3);
	/* The greatest of a minute's tens of seconds: the bytes of the fourth, and nothing of the minute before. */
	double peak = of_gateway("PeakBytesPerSecond", "Count"), packets = of_gateway("PeakPacketsPerSecond", "Count");
	for (int k = 0; k < 6; k++) {
		gate.tx_bytes += k == 3 ? 50000 : 1000;
		gate.tx_packets += k == 4 ? 200 : 10;
		w.wall_ms += 10000;
		w.mono_us += 10000000;
		clock_fake(w.wall_ms + 3000, w.mono_us + 3000000);
		for (int i = 0; i < 20; i++)
			loop_turn(w.cloud.loop, 1000);
	}
	minute(0, 0);
	peak = of_gateway("PeakBytesPerSecond", "Count") - peak;
	packets = of_gateway("PeakPacketsPerSecond", "Count") - packets;
	assert_in_range(peak, 5000, 5500);
	assert_in_range(packets, 20, 24);
	nat.state = S("deleted");
	put(&ec2_kind_nat, "nat-00000000000000001", &nat);
	gate.tx_bytes = 2000;
	minute(0, 0);
	assert_int_equal(used("NatGateway-Bytes"), 65400);
	assert_true(list_empty(&w.desk.gates));
	meter_free(w.cloud.meter);
	w.cloud.meter = NULL;
}

static void credits(void **state)
{
	(void)state;
	with_instance(false, S("standard"));
	/* what an idle minute earns may be spent in the next */
	minute(0, 0);
	assert_in_range(limited, 40, 41);
	for (int i = 0; i < 9; i++)
		minute(0, 0);
	assert_int_equal(limited, 200);
	assert_true(last_of("CPUCreditBalance") > 1.9 && last_of("CPUCreditBalance") < 2.1);
	minute(120000000, 0);
	assert_true(limited < 50);
	for (int i = 0; i < 5; i++)
		minute(24000000, 0);
	assert_in_range(limited, 20, 25);
	/* the role begins anew: what was used meanwhile is known by the machine */
	sampler_stop(w.sampler);
	for (int i = 0; i < 20; i++) {
		w.wall_ms += 60000;
		w.mono_us += 60000000;
	}
	clock_fake(w.wall_ms, w.mono_us);
	usage.cpu_us += 120000000;
	w.sampler = sampler_start(&w.desk);
	minute(0, 0);
	assert_int_equal(limited, 200); /* four earned, two used */
	assert_true(last_of("CPUCreditBalance") > 1.9 && last_of("CPUCreditBalance") < 2.6);
	assert_true(last_of("CPUSurplusCreditBalance") == 0);
	assert_int_equal(charged(), 0);
}

static void surplus_is_paid_at_the_end(void **state)
{
	(void)state;
	with_instance(false, S("unlimited"));
	for (int i = 0; i < 10; i++)
		minute(120000000, 0);
	assert_int_equal(limited, 200);
	assert_true(last_of("CPUCreditUsage") == 2);
	assert_true(last_of("CPUSurplusCreditBalance") > 17.5 && last_of("CPUSurplusCreditBalance") < 18.1);
	assert_int_equal(charged(), 0);
	with_instance(true, STR_NONE);
	assert_in_range(charged(), 175 * CREDIT / 10, 181 * CREDIT / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(counters, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(credits, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(surplus_is_paid_at_the_end, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(adds_up, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(volumes, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(warm_up, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(speeds, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(gateways, set_up, tear_down),
	        cmocka_unit_test_setup_teardown(checks, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("ec2 metrics", tests, NULL, NULL);
}
