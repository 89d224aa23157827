/* Counters only grow, so what is recorded is how far each has come since the last minute; the first look at a machine (it has
 * started, or this role has) is a beginning and no sample. Basic monitoring has periods of five minutes, status checks of one. */
#include "aws/ec2/instance/sample.h"

#include "aws/autoscaling/autoscaling.h"
#include "aws/ec2/capacity/quota.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/instance/credit.h"
#include "aws/ec2/network/interface.h"
#include "aws/ec2/network/nat_usage.h"
#include "aws/ec2/storage/volume_speed.h"
#include "base/clock.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network.h"
#include "engine/vm/machine.h"

#include <stdlib.h>
#include <string.h>

enum { EVERY_US = 60 * 1000000, BEHIND_US = 1000000, CHECK_S = 60, CREDITS_S = 300, PLACES_S = 300 };

struct last_disk {
	struct machine_disk_use use;
	double spent; /* of its bucket of credits */
};
struct last {
	struct machine_usage usage;
	struct network_port_stats net;
	bool has_usage, has_net;
	struct last_disk *disks;
	size_t disk_count;
	unsigned round;
};

/* How many vCPUs of one kind an account runs in a region, counted anew every minute in its arena. */
struct used {
	struct str account, region, class; /* "Standard/OnDemand", "G/Spot" */
	int64_t vcpus;
};
struct used_list {
	struct used *v;
	uint32_t n;
	bool set;
};

/* Which members of a group of Auto Scaling warm up, asked once a round. */
struct warming {
	struct str account, region, group;
	struct str_list cold;
};
struct warming_list {
	struct warming *v;
	uint32_t n;
	bool set;
};

struct sampler {
	struct desk *desk;
	struct warming_list warming;
	struct used_list used;
	struct loop_timer *timer;
	struct map lasts; /* instance -> struct last */
	unsigned round;
};

struct record {
	struct metrics *metrics;
	struct metric metric;
	struct metric_dimension instance;
	struct metric_dimension group;       /* of Auto Scaling; no value: none */
	struct metric_dimension image, type; /* no values: nothing is added up by these, nor over all instances */
	int64_t now_ms;
	unsigned every_s; /* basic or detailed monitoring */
};

static void put_by(const struct record *r, const struct metric_dimension *by, unsigned resolution_s, const struct metric_set *set)
{
	struct metric m = r->metric;
	m.dimensions = by;
	m.dimension_count = by ? 1 : 0;
	metrics_put(r->metrics, &m, r->now_ms, resolution_s, set);
}

static void put(struct record *r, const char *name, const char *unit, unsigned resolution_s, double value)
{
	struct metric_set set = metric_sample(value);
	r->metric.name = str_from(name);
	r->metric.unit = str_from(unit);
	put_by(r, &r->instance, resolution_s, &set);
	/* what a group scales by is there by the minute, whatever the monitoring of its instances */
	if (str_set(r->group.value))
		put_by(r, &r->group, resolution_s < CHECK_S ? resolution_s : CHECK_S, &set);
}

/* What detailed monitoring adds up over instances, too. */
static void put_all(struct record *r, const char *name, const char *unit, double value)
{
	struct metric_set set = metric_sample(value);
	put(r, name, unit, r->every_s, value);
	if (!str_set(r->image.value))
		return;
	put_by(r, &r->image, r->every_s, &set);
	put_by(r, &r->type, r->every_s, &set);
	put_by(r, NULL, r->every_s, &set);
}

/* A counter that has become less has begun anew. */
static double grown(uint64_t now, uint64_t before)
{
	return (double)(now >= before ? now - before : now);
}

static void put_usage(struct record *r, struct last *last, const struct machine_usage *now, unsigned vcpus)
{
	if (!now->at_us || (last->has_usage && now->at_us <= last->usage.at_us))
		return;
	if (last->has_usage) {
		double share = grown(now->cpu_us, last->usage.cpu_us) / ((double)(now->at_us - last->usage.at_us) * vcpus);
		put_all(r, "CPUUtilization", "Percent", share > 1 ? 100 : share * 100);
		put_all(r, "EBSReadBytes", "Bytes", grown(now->disk_read_bytes, last->usage.disk_read_bytes));
		put_all(r, "EBSWriteBytes", "Bytes", grown(now->disk_write_bytes, last->usage.disk_write_bytes));
		put_all(r, "EBSReadOps", "Count", grown(now->disk_read_ops, last->usage.disk_read_ops));
		put_all(r, "EBSWriteOps", "Count", grown(now->disk_write_ops, last->usage.disk_write_ops));
	}
	last->usage = *now;
	last->has_usage = true;
}

static const struct last_disk *disk_before(const struct last *last, const char *volume)
{
	for (size_t i = 0; i < last->disk_count; i++)
		if (!strcmp(last->disks[i].use.volume, volume))
			return &last->disks[i];
	return NULL;
}

static void put_latency(struct record *r, const char *name, double took_s, double operations)
{
	put(r, name, "Milliseconds", CHECK_S, operations > 0 ? took_s * 1e3 / operations : 0);
}

/* What the operations took together, over the time that went by, is how many were under way on average; while there was one at a
 * time, the rest of the time was idle. */
static void put_disk(struct record *r, const struct machine_disk_use *now, const struct machine_disk_use *before, double passed_s)
{
	double read_s = grown(now->read_ns, before->read_ns) / 1e9, write_s = grown(now->write_ns, before->write_ns) / 1e9;
	double busy_s = read_s + write_s;
	put(r, "VolumeReadBytes", "Bytes", CHECK_S, grown(now->read_bytes, before->read_bytes));
	put(r, "VolumeWriteBytes", "Bytes", CHECK_S, grown(now->write_bytes, before->write_bytes));
	put(r, "VolumeReadOps", "Count", CHECK_S, grown(now->read_ops, before->read_ops));
	put(r, "VolumeWriteOps", "Count", CHECK_S, grown(now->write_ops, before->write_ops));
	put(r, "VolumeTotalReadTime", "Seconds", CHECK_S, read_s);
	put(r, "VolumeTotalWriteTime", "Seconds", CHECK_S, write_s);
	put_latency(r, "VolumeAvgReadLatency", read_s, grown(now->read_ops, before->read_ops));
	put_latency(r, "VolumeAvgWriteLatency", write_s, grown(now->write_ops, before->write_ops));
	put(r, "VolumeAvgIOPS", "Count/Second", CHECK_S,
	    (grown(now->read_ops, before->read_ops) + grown(now->write_ops, before->write_ops)) / passed_s);
	put(r, "VolumeAvgThroughput", "Bytes/Second", CHECK_S,
	    (grown(now->read_bytes, before->read_bytes) + grown(now->write_bytes, before->write_bytes)) / passed_s);
	put(r, "VolumeQueueLength", "Count", CHECK_S, busy_s / passed_s);
	put(r, "VolumeIdleTime", "Seconds", CHECK_S, busy_s < passed_s ? passed_s - busy_s : 0);
}

/* What follows from the volume's type. Whether a virtual machine's disk stands still or has nothing to do is not known. */
static void put_limits(struct record *r, const struct ec2_volume *v, const struct machine_disk_use *now,
                       const struct machine_disk_use *before, double passed_s, double *spent)
{
	double operations = grown(now->read_ops, before->read_ops) + grown(now->write_ops, before->write_ops);
	double bytes = grown(now->read_bytes, before->read_bytes) + grown(now->write_bytes, before->write_bytes);
	double busy_s = (grown(now->read_ns, before->read_ns) + grown(now->write_ns, before->write_ns)) / 1e9;
	struct volume_speed speed = ec2_volume_speed(v);
	struct volume_load load = ec2_volume_load(&speed, operations, bytes, passed_s, spent);
	if (operations > 0 || now->waiting >= 0)
		put(r, "VolumeStalledIOCheck", "None", CHECK_S, operations <= 0 && now->waiting > 0 && before->waiting > 0);
	if (!str_is(v->volume_type, "standard")) {
		put(r, "VolumeIOPSExceededCheck", "None", CHECK_S, load.iops_reached);
		put(r, "VolumeThroughputExceededCheck", "None", CHECK_S, load.mib_reached);
	}
	if (speed.burst)
		put(r, "BurstBalance", "Percent", CHECK_S, load.balance);
	if (!str_starts(v->volume_type, S("io")))
		return;
	/* Nobody waited: all that was asked for was delivered. */
	double share = busy_s < passed_s ? 100 : 100 * load.pieces / (speed.iops * passed_s);
	put(r, "VolumeThroughputPercentage", "Percent", CHECK_S, share > 100 ? 100 : share);
	put(r, "VolumeConsumedReadWriteOps", "Count", CHECK_S, load.pieces);
}

/* Before put_usage(), which notes when the last look was. Of volumes by the minute, whatever the monitoring. */
static void put_disks(const struct record *of, struct last *last, const struct ec2_scope *s, const struct machine *m,
                      const struct machine_usage *usage)
{
	size_t n;
	const struct machine_disk_use *now = machine_disk_uses(m, &n);
	if (!usage->at_us || (last->has_usage && usage->at_us <= last->usage.at_us))
		return;
	struct last_disk *disks = calloc(n + 1, sizeof(*disks));
	if (!disks)
		abort();
	double passed_s = (double)(usage->at_us - last->usage.at_us) / 1e6;
	for (size_t i = 0; i < n; i++) {
		const struct last_disk *before = last->has_usage ? disk_before(last, now[i].volume) : NULL;
		struct state_ec2_volume_record v;
		disks[i] = (struct last_disk){now[i], before ? before->spent : 0};
		if (!before)
			continue;
		struct record r = *of;
		r.instance = (struct metric_dimension){S("VolumeId"), str_from(now[i].volume)};
		r.metric.space = S("AWS/EBS");
		r.group.value = STR_NONE;
		put_disk(&r, &now[i], &before->use, passed_s);
		if (ec2_find(s, &ec2_kind_volume, r.instance.value, &v))
			put_limits(&r, v.volume, &now[i], &before->use, passed_s, &disks[i].spent);
	}
	free(last->disks);
	last->disks = disks;
	last->disk_count = n;
}

/* Of periods of five minutes, whatever the monitoring. */
static void put_credits(struct record *r, const struct last *last, struct desk_item *i, const struct ec2_scope *s,
                        const struct ec2_instance *instance, const struct machine_usage *now)
{
	struct credit_look look;
	if ((last->has_usage && now->at_us <= last->usage.at_us) || !credit_look(i, s, instance, now, &look))
		return;
	put(r, "CPUCreditUsage", "Count", CREDITS_S, (double)look.used / CREDIT);
	put(r, "CPUCreditBalance", "Count", CREDITS_S, (double)(look.account.balance + look.account.launch) / CREDIT);
	put(r, "CPUSurplusCreditBalance", "Count", CREDITS_S, (double)look.account.surplus / CREDIT);
	put(r, "CPUSurplusCreditsCharged", "Count", CREDITS_S, (double)look.charged / CREDIT);
}

static void put_network(struct record *r, struct last *last, struct ec2_state *ec2, const struct ec2_scope *s, struct str instance)
{
	struct network_port_stats now = {0};
	struct ec2_interfaces all;
	ec2_interfaces_of(s, instance, &all);
	for (uint32_t i = 0; i < all.n; i++) {
		struct network_port_stats one;
		if (!ec2->networks ||
		    !network_port_stats(ec2->networks, arena_dupz(s->arena, all.v[i].interface->network_interface_id), &one))
			return; /* asked for now, known the next time */
		now.rx_bytes += one.rx_bytes;
		now.tx_bytes += one.tx_bytes;
		now.rx_packets += one.rx_packets;
		now.tx_packets += one.tx_packets;
	}
	if (last->has_net) {
		put_all(r, "NetworkIn", "Bytes", grown(now.rx_bytes, last->net.rx_bytes));
		put_all(r, "NetworkOut", "Bytes", grown(now.tx_bytes, last->net.tx_bytes));
		put_all(r, "NetworkPacketsIn", "Count", grown(now.rx_packets, last->net.rx_packets));
		put_all(r, "NetworkPacketsOut", "Count", grown(now.tx_packets, last->net.tx_packets));
	}
	last->net = now;
	last->has_net = true;
}

/* As DescribeInstanceStatus says it; while it is initializing there is nothing to record. */
static void put_checks(struct record *r, const struct state_ec2_instance_record *i)
{
	bool failed = ec2_instance_impaired(i, r->now_ms);
	if (!i->reached.set && !failed)
		return;
	put(r, "StatusCheckFailed", "Count", CHECK_S, failed);
	put(r, "StatusCheckFailed_Instance", "Count", CHECK_S, failed);
	put(r, "StatusCheckFailed_System", "Count", CHECK_S, 0);
	put(r, "StatusCheckFailed_AttachedEBS", "Count", CHECK_S, 0); /* an instance without its disks has ended */
}

/* Questions to the metadata service without a token, since the last minute. */
static void put_metadata(struct record *r, struct desk_item *i)
{
	put_all(r, "MetadataNoToken", "Count", i->tokenless);
	put_all(r, "MetadataNoTokenRejected", "Count", i->tokenless_refused);
	i->tokenless = i->tokenless_refused = 0;
}

/* --- AWS/Usage */

static void add_used(struct sampler *s, struct arena *a, const struct desk_item *i, const struct ec2_instance *instance,
                     unsigned vcpus)
{
	struct str bucket = quota_bucket(instance->instance_type);
	uint32_t at = 0;
	if (!bucket.n)
		return;
	struct str class = arena_printf(a, "%c%.*s/%s", bucket.p[0] - 'a' + 'A', STR_ARG(str_from_at(bucket, 1)),
	                                str_is(instance->instance_lifecycle, "spot") ? "Spot" : "OnDemand");
	while (at < s->used.n && !(str_eq(s->used.v[at].class, class) && str_eq(s->used.v[at].account, i->account) &&
	                           str_eq(s->used.v[at].region, i->region)))
		at++;
	if (at == s->used.n)
		*LIST_ADD(a, &s->used) = (struct used){i->account, i->region, class, 0};
	s->used.v[at].vcpus += vcpus;
}

static void put_used(struct sampler *s)
{
	for (uint32_t k = 0; k < s->used.n; k++) {
		const struct used *u = &s->used.v[k];
		const struct metric_dimension by[] = {
		        {S("Service"), S("EC2")}, {S("Type"), S("Resource")}, {S("Resource"), S("vCPU")}, {S("Class"), u->class}};
		const struct metric m = {u->account, u->region, S("AWS/Usage"), S("ResourceCount"), S("None"), by, 4};
		metrics_add(s->desk->cloud->metrics, &m, (double)u->vcpus);
	}
	s->used = (struct used_list){0};
}

static bool warms_up(struct sampler *s, const struct ec2_scope *scope, struct str group, struct str instance)
{
	uint32_t at = 0;
	while (at < s->warming.n && !(str_eq(s->warming.v[at].group, group) && str_eq(s->warming.v[at].account, scope->account) &&
	                              str_eq(s->warming.v[at].region, scope->region)))
		at++;
	if (at == s->warming.n)
		*LIST_ADD(scope->arena, &s->warming) = (struct warming){
		        scope->account, scope->region, group,
		        autoscaling_cold(scope->txn, scope->arena, scope->account, scope->region, group, clock_wall_ms())};
	const struct str_list *cold = &s->warming.v[at].cold;
	for (uint32_t i = 0; i < cold->n; i++)
		if (str_eq(cold->v[i], instance))
			return true;
	return false;
}

static void look_at(struct sampler *s, struct store_txn *t, struct arena *a, struct desk_item *i)
{
	struct ec2_scope scope = {.txn = t, .arena = a, .account = i->account, .region = i->region};
	struct state_ec2_instance_record record;
	struct machine_usage usage = {0};
	struct last *last = map_get(&s->lasts, i->id);
	if (!ec2_find(&scope, &ec2_kind_instance, i->id, &record) || ec2_instance_state(record.instance) != INSTANCE_RUNNING)
		return;
	const struct instance_type *type = instance_type_find(record.instance->instance_type);
	if (!last) {
		last = calloc(1, sizeof(*last));
		if (!last)
			abort();
		map_put(&s->lasts, i->id, last);
	}
	last->round = s->round;
	add_used(s, a, i, record.instance, type ? type->vcpus : 1);
	struct record r = {.metrics = s->desk->cloud->metrics,
	                   .metric = {.account = i->account, .region = i->region, .space = S("AWS/EC2")},
	                   .instance = {S("InstanceId"), i->id},
	                   .now_ms = clock_wall_ms(),
	                   .every_s = ec2_metrics_every_s(record.instance)};
	if (r.every_s == CHECK_S) {
		r.image = (struct metric_dimension){S("ImageId"), record.instance->image_id};
		r.type = (struct metric_dimension){S("InstanceType"), record.instance->instance_type};
	}
	for (uint32_t k = 0; k < record.instance->tags.n; k++)
		if (str_is(record.instance->tags.v[k].key, "aws:autoscaling:groupName") &&
		    !warms_up(s, &scope, record.instance->tags.v[k].value, i->id))
			r.group = (struct metric_dimension){S("AutoScalingGroupName"), record.instance->tags.v[k].value};
	machine_usage(i->machine, &usage);
	put_credits(&r, last, i, &scope, record.instance, &usage);
	put_disks(&r, last, &scope, i->machine, &usage);
	put_usage(&r, last, &usage, type ? type->vcpus : 1);
	put_network(&r, last, s->desk->ec2, &scope, i->id);
	put_checks(&r, &record);
	put_metadata(&r, i);
}

static void count_places(struct sampler *s, struct store_txn *t, struct arena *a, const struct desk_item *i)
{
	struct ec2_scope scope = {.txn = t, .arena = a, .account = i->account, .region = i->region};
	struct ec2_capacity_reservation of;
	if (!ec2_find(&scope, &ec2_kind_reservation, i->id, &of) || !str_is(of.state, "active"))
		return;
	double total = (double)of.total_instance_count.v, used = total - (double)of.available_instance_count.v;
	struct record r = {.metrics = s->desk->cloud->metrics,
	                   .metric = {.account = i->account, .region = i->region, .space = S("AWS/EC2CapacityReservations")},
	                   .instance = {S("CapacityReservationId"), i->id},
	                   .now_ms = clock_wall_ms()};
	put(&r, "UsedInstanceCount", "Count", PLACES_S, used);
	put(&r, "AvailableInstanceCount", "Count", PLACES_S, total - used);
	put(&r, "TotalInstanceCount", "Count", PLACES_S, total);
	put(&r, "InstanceUtilization", "Percent", PLACES_S, total > 0 ? 100 * used / total : 0);
}

static void forget(struct sampler *s, bool all)
{
	struct map kept = {0};
	size_t at = 0;
	struct str key;
	void *value;
	while (map_next(&s->lasts, &at, &key, &value)) {
		struct last *last = value;
		if (all || last->round != s->round) {
			free(last->disks);
			free(last);
		} else {
			map_put(&kept, key, last);
		}
	}
	map_done(&s->lasts);
	s->lasts = kept;
}

static void look_at_all(void *ctx)
{
	struct sampler *s = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct store_txn *t = store_begin(s->desk->cloud->store, &a);
	size_t at = 0;
	struct str key;
	void *value;
	s->round++;
	while (map_next(&s->desk->items, &at, &key, &value)) {
		struct desk_item *i = value;
		if (i->kind == &ec2_kind_instance && i->machine && i->running)
			look_at(s, t, &a, i);
		else if (i->kind == &ec2_kind_reservation)
			count_places(s, t, &a, i);
	}
	s->warming = (struct warming_list){0};
	put_used(s);
	nat_usage_count(s->desk, t, &a);
	store_abort(t);
	forget(s, false);
	s->timer = loop_add_clock_timer(s->desk->cloud->loop, EVERY_US, look_at_all, s);
}

struct sampler *sampler_start(struct desk *d)
{
	if (!d->cloud->metrics)
		return NULL;
	struct sampler *s = calloc(1, sizeof(*s));
	if (!s)
		abort();
	s->desk = d;
	/* A little after machines were asked, so that the answers are there. */
	s->timer = loop_add_clock_timer(d->cloud->loop, EVERY_US + BEHIND_US, look_at_all, s);
	return s;
}

void sampler_stop(struct sampler *s)
{
	if (!s)
		return;
	loop_remove_timer(s->desk->cloud->loop, s->timer);
	forget(s, true);
	free(s);
}
