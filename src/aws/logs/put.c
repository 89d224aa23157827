/* PutLogEvents. What is too old, expired or too new is left out and reported; the rest is durable when the reply goes out. */
#include "forward.h"
#include "measure.h"

#include "base/log.h"
#include "core/meter.h"

#include <errno.h>
#include <stdlib.h>

enum {
	BATCH_BYTES_MAX = 1048576,
	DAY_MS = 24 * 3600 * 1000,
	OLD_MS = 14 * DAY_MS,
	NEW_MS = 2 * 3600 * 1000,
};

/* An append under way; it outlives the call when the client leaves. */
struct put {
	struct call *call;
	int result;
	int64_t bytes; /* as AWS counts what comes in */
};

static void put_done(void *ctx, int result)
{
	struct put *p = ctx;
	p->result = result;
	if (p->call)
		call_resume(p->call);
	else
		free(p);
}

static void put_gone(struct call *c)
{
	struct put *p = c->state;
	p->call = NULL;
}

static int put_resume(struct call *c)
{
	struct put *p = c->state;
	int result = p->result;
	int64_t bytes = p->bytes;
	free(p);
	c->state = NULL;
	if (result == -ENOSPC)
		return call_fail(c, "ServiceUnavailableException", 503, "There is no room left for log events.");
	if (result < 0)
		return call_broken(c, "log events: %s", strerror(-result));
	meter_count(c->cloud->meter, c->account, c->region, S("DataProcessing-Bytes"), bytes);
	return CALL_OK;
}

static int check_batch(struct call *c, const struct logs_put_log_events_request *in)
{
	size_t bytes = 0;
	int64_t last = 0;
	for (uint32_t i = 0; i < in->log_events.n; i++) {
		const struct logs_input_log_event *e = &in->log_events.v[i];
		bytes += e->message.n + LOG_EVENT_OVERHEAD_BYTES;
		if (e->timestamp.v < last)
			return logs_invalid(c, "Log events in a single PutLogEvents request must be in chronological order.");
		last = e->timestamp.v;
	}
	if (bytes > BATCH_BYTES_MAX)
		return logs_invalid(c, "Upload too large: %zu bytes exceeds limit of %d", bytes, BATCH_BYTES_MAX);
	if (last - in->log_events.v[0].timestamp.v > DAY_MS)
		return logs_invalid(c, "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
	return CALL_OK;
}

/* Says which events of the batch, which is in order, are kept: [*ret_first, *ret_end). */
static void reject(struct call *c, const struct logs_put_log_events_request *in, const struct logs_group *group,
                   struct logs_put_log_events_response *out, uint32_t *ret_first, uint32_t *ret_end)
{
	int64_t cutoff = logs_cutoff_ms(c, group);
	uint32_t old = 0, expired = 0, end = in->log_events.n;
	while (old < end && in->log_events.v[old].timestamp.v < c->now_ms - OLD_MS)
		old++;
	while (expired < end && in->log_events.v[expired].timestamp.v < cutoff)
		expired++;
	while (end > 0 && in->log_events.v[end - 1].timestamp.v > c->now_ms + NEW_MS)
		end--;
	*ret_first = old > expired ? old : expired;
	*ret_end = end;
	if (*ret_first == 0 && end == in->log_events.n)
		return;
	struct logs_rejected_log_events_info *info = arena_new(c->arena, struct logs_rejected_log_events_info);
	if (old)
		info->too_old_log_event_end_index = OPT_INT(old);
	if (expired)
		info->expired_log_event_end_index = OPT_INT(expired);
	if (end < in->log_events.n)
		info->too_new_log_event_start_index = OPT_INT(end);
	out->rejected_log_events_info = info;
}

int logs_put_log_events(struct call *c, const struct logs_put_log_events_request *in, struct logs_put_log_events_response *out)
{
	struct logs_group group;
	struct logs_stream stream;
	uint32_t first, end;
	if (check_batch(c, in) != CALL_OK || logs_get_group(c, in->log_group_name, &group) != CALL_OK ||
	    logs_get_stream(c, &group, in->log_stream_name, &stream) != CALL_OK)
		return CALL_FAIL;
	reject(c, in, &group, out, &first, &end);
	out->next_sequence_token = logs_position_digits(c->arena, (struct log_position){c->now_ms, in->log_events.n}, stream.id);
	if (first >= end)
		return CALL_OK;
	struct log_input *events = arena_array(c->arena, end - first, sizeof(*events));
	for (uint32_t i = first; i < end; i++)
		events[i - first] =
		        (struct log_input){.time_ms = in->log_events.v[i].timestamp.v, .message = in->log_events.v[i].message};
	struct put *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory (PutLogEvents)");
	p->call = c;
	for (uint32_t i = first; i < end; i++)
		p->bytes += (int64_t)in->log_events.v[i].message.n + LOG_EVENT_OVERHEAD_BYTES;
	c->state = p;
	measure_events(c, &group, events, end - first);
	forward_events(c, &group, in->log_stream_name, events, end - first);
	logs_append(logs_events(c), group.id, stream.id, events, end - first, c->now_ms, put_done, p);
	return call_wait(c, put_resume, put_gone);
}
