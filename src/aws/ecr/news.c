#include "rows.h"

#include "aws/events/events.h"

enum { DETAIL_MAX = 4096 };

static void put(struct json_out *j, const char *key, struct str value)
{
	json_key(j, str_from(key));
	json_string(j, value);
}

void ecr_tell(struct call *c, const struct ecr_place *p, const char *action, struct str digest, struct str tag)
{
	struct buf CLEAN_BUF b = {0};
	if (!events_heard(p->account, p->region))
		return;
	buf_init(&b, DETAIL_MAX);
	struct json_out j = json_out(&b);
	json_open(&j, '{');
	put(&j, "result", S("SUCCESS"));
	put(&j, "repository-name", p->name);
	put(&j, "image-digest", digest);
	put(&j, "action-type", str_from(action));
	if (str_set(tag))
		put(&j, "image-tag", tag);
	json_close(&j, '}');
	const struct events_news news = {.account = p->account,
	                                 .region = p->region,
	                                 .source = S("aws.ecr"),
	                                 .type = S("ECR Image Action"),
	                                 .detail = arena_dup(c->arena, buf_str(&b)),
	                                 .at_ms = c->now_ms};
	events_tell(call_txn(c), c->arena, &news);
}
