/* What trust stores are made of lies in S3, and whoever asks for it must be allowed to read it there. */
#include "rows.h"

#include "gen/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The objects that one operation has read so far. */
struct reading {
	struct call_errand errand;
	struct arena arena;
	struct str_list read;
	char code[64]; /* why the next one cannot be read */
	bool large;
};

static void drop(struct call_errand *e)
{
	struct reading *l = (struct reading *)e;
	arena_done(&l->arena);
	free(l);
}

static void take(struct reading *l, struct call *sub)
{
	bool memory = sub->reply.kind == REPLY_MEMORY;
	uint64_t length = memory ? sub->reply.memory.n : sub->reply.length;
	l->large = length > ELB_OBJECT_BYTES_MAX;
	if (l->large || (!memory && sub->reply.kind != REPLY_FILE))
		return;
	char *bytes = arena_alloc(&l->arena, length + 1);
	if (memory)
		memcpy(bytes, sub->reply.memory.p, length);
	else if (pread(sub->reply.fd, bytes, length, (off_t)sub->reply.offset) != (ssize_t)length)
		return;
	*LIST_ADD(&l->arena, &l->read) = str_of(bytes, length);
}

static void answered(void *ctx, struct call *sub)
{
	struct reading *l = ctx;
	snprintf(l->code, sizeof(l->code), "%.*s", STR_ARG(sub->error.code));
	uint32_t before = l->read.n;
	if (!str_set(sub->error.code))
		take(l, sub);
	if (l->read.n == before && !l->code[0])
		snprintf(l->code, sizeof(l->code), "%s", l->large ? "EntityTooLarge" : "InternalError");
	call_over(&l->errand);
}

static int refused(struct call *c, const struct reading *l, const struct elb_object *o)
{
	if (strcmp(l->code, "AccessDenied") == 0)
		return call_fail(c, "AccessDenied", 403, "Access Denied for object '%.*s' in bucket '%.*s'", STR_ARG(o->key),
		                 STR_ARG(o->bucket));
	return call_fail(c, o->missing, 0, "The object '%.*s' in bucket '%.*s' cannot be read: %s", STR_ARG(o->key),
	                 STR_ARG(o->bucket), l->code);
}

int elb_object_read(struct call *c, uint32_t at, const struct elb_object *o, struct str *ret)
{
	struct reading *l = c->state;
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			abort();
		l->errand.drop = drop;
	}
	if (at < l->read.n) {
		*ret = l->read.v[at];
		return CALL_OK;
	}
	if (l->code[0])
		return refused(c, l, o);
	const struct s3_get_object_request in = {.bucket = o->bucket, .key = o->key, .version_id = o->version};
	call_op(c->cloud, c->caller, c->region, &s3_api, "GetObject", &in, answered, l);
	return call_wait_for(c, &l->errand);
}
