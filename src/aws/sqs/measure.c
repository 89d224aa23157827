/* What is counted: metrics of AWS/SQS, requests for the bill, and once a minute how full queues are. */
#include "sqs.h"

#include "base/clock.h"
#include "core/meter.h"
#include "engine/metrics/metrics.h"

enum { TICK_US = 60 * 1000 * 1000, REQUEST_BYTES = 64 * 1024 };

void sqs_measure(const struct cloud *cloud, struct str account, struct str region, struct str name, const char *metric,
                 const char *unit, double value)
{
	const struct metric_dimension by[] = {{S("QueueName"), name}};
	metrics_add(cloud->metrics, &(struct metric){account, region, S("AWS/SQS"), str_from(metric), str_from(unit), by, 1},
	            value);
}

static void measure_one(struct sqs_state *s, const struct sqs_queue *q, struct str region, struct queue *messages, int64_t now_ms)
{
	struct queue_counts n;
	queue_count(messages, now_ms, &n);
	int64_t oldest = n.visible || n.in_flight ? queue_oldest_ms(messages) : 0, age_ms = oldest ? now_ms - oldest : 0;
	const struct {
		const char *name, *unit;
		double value;
	} all[] = {
	        {"ApproximateNumberOfMessagesVisible", "Count", (double)n.visible},
	        {"ApproximateNumberOfMessagesNotVisible", "Count", (double)n.in_flight},
	        {"ApproximateNumberOfMessagesDelayed", "Count", (double)n.delayed},
	        {"ApproximateAgeOfOldestMessage", "Seconds", age_ms > 0 ? (double)(age_ms / 1000) : 0},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		sqs_measure(s->cloud, q->at.account, region, q->at.name, all[i].name, all[i].unit, all[i].value);
}

static void tick(void *ctx)
{
	struct sqs_state *s = ctx;
	int64_t now_ms = clock_wall_ms();
	s->tick = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, s);
	if (!s->queues)
		return;
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	struct store_txn *t = store_begin(s->cloud->store, &a);
	struct str under = KEY_UNDER(&a, S("sqs"), S("queue")), key;
	struct store_iter *i = store_scan(t, under, store_prefix_end(&a, under), false);
	struct store_value v;
	while (store_next(i, &key, &v)) {
		struct str_list parts = record_key_parts(&a, key);
		struct sqs_queue q;
		if (parts.n != 5 || !record_read(&a, v.value, SQS_ROW("Queue"), &q.record))
			continue;
		q.at = (struct sqs_name){parts.v[2], parts.v[4]};
		q.id = (uint64_t)q.record.id.v;
		struct queue *messages = sqs_messages(s, &q, now_ms);
		queue_sweep(messages, now_ms);
		measure_one(s, &q, parts.v[3], messages, now_ms);
	}
	store_abort(t);
}

void sqs_tick_start(struct sqs_state *s)
{
	s->tick = loop_add_clock_timer(s->cloud->loop, TICK_US, tick, s);
}

/* Every 64 KiB of what goes either way are a request. */
void sqs_bill(struct call *c)
{
	if (str_set(c->error.code) || !c->op)
		return;
	const struct call_facts f = call_facts(c);
	const struct shape *in = operation_input(&sqs_api, c->op);
	struct str url = STR_NONE;
	for (uint32_t i = 0; in && c->in && i < in->members; i++) {
		const struct member *m = &sqs_api.members[in->first_member + i];
		if (str_is(api_text(&sqs_api, m->name), "QueueUrl"))
			url = *(const struct str *)(const void *)((const char *)c->in + m->offset);
	}
	uint64_t bytes = f.bytes_in > f.bytes_out ? f.bytes_in : f.bytes_out, chunks = (bytes + REQUEST_BYTES - 1) / REQUEST_BYTES;
	meter_count(c->cloud->meter, c->account, c->region,
	            sqs_is_fifo(url) ? S("SQS/Requests-FIFO-Tier1") : S("SQS/Requests-Tier1"), (int64_t)(chunks ? chunks : 1));
}
