/* An archive as a target: the event is kept, by its own time. One that is kept already is kept once. */
#include "kept.h"
#include "send.h"

#include "base/clock.h"

#include <string.h>

static void written(void *ctx, int result, uint64_t revision)
{
	struct sending *s = ctx;
	(void)revision;
	if (result < 0)
		send_end(s, SEND_LATER, "INTERNAL_ERROR", str_from(strerror(-result)));
	else
		send_end(s, SEND_DONE, NULL, STR_NONE);
}

void send_to_archive(struct sending *s)
{
	struct arn_parts arn = send_arn(s->row->target->arn);
	struct kept_events *k = kept_open(events_state(s->cloud), true);
	int64_t time_ms = s->row->accepted.ms;
	if (!k) {
		send_end(s, SEND_LATER, "INTERNAL_ERROR", S("The store of archives cannot be opened."));
		return;
	}
	time_parse(json_get_str(json_parse(s->arena, s->payload, NULL), S("time")), &time_ms);
	kept_put(k, s->arena, kept_archive(s->arena, arn.account, arn.region, str_from_at(arn.rest, S("archive/").n)), time_ms,
	         s->payload, written, s);
}
