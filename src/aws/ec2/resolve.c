/* Images named by a parameter of the Systems Manager: resolve:ssm:NAME, NAME:VERSION or NAME:LABEL. The parameter is read through
 * the gate as the caller, so it needs ssm:GetParameters on it, and ec2:RunInstances on the image that it turns out to be. */
#include "aws/ec2/compute.h"
#include "gen/ssm.h"

#include <stdlib.h>

struct resolving {
	struct call *call; /* NULL: its client has left */
	struct arena arena;
	struct str name, image;
	bool done;
	struct str code, message; /* set: it failed so */
	unsigned status;
};

bool ec2_image_is_named(struct str id)
{
	return str_starts(id, S("resolve:ssm:"));
}

static void resolving_free(struct resolving *r)
{
	arena_done(&r->arena);
	free(r);
}

static void call_freed(struct call *c)
{
	struct resolving *r = c->state;
	if (!r)
		return;
	r->call = NULL;
	if (r->done)
		resolving_free(r);
}

static void call_gone(struct call *c)
{
	((struct resolving *)c->state)->call = NULL; /* found() frees it */
	c->state = NULL;
}

/* What a service keeps around its handlers holds for the second run as well. */
static int again(struct call *c)
{
	return ec2_run(c, c->row->handle);
}

static void found(void *ctx, struct call *sub)
{
	struct resolving *r = ctx;
	const struct ssm_get_parameters_result *out = sub->out;
	r->done = true;
	if (str_set(sub->error.code)) {
		/* A denial is EC2's to say in its own words. */
		bool denied = str_is(sub->error.code, "AccessDeniedException");
		r->code = denied ? S("UnauthorizedOperation") : arena_dup(&r->arena, sub->error.code);
		r->status = denied ? 403 : sub->error.status;
		r->message = arena_dup(&r->arena, sub->error.message);
	} else if (out->parameters.n == 1 && !str_is(out->parameters.v[0].type, "SecureString")) {
		r->image = arena_dup(&r->arena, out->parameters.v[0].value);
	}
	if (r->call)
		call_resume(r->call);
	else
		resolving_free(r);
}

static int result(struct call *c, const struct resolving *r, struct str *ret)
{
	if (str_set(r->code))
		return call_fail(c, arena_dupz(c->arena, r->code), r->status, "%.*s", STR_ARG(r->message));
	if (!str_set(r->image) || !ec2_id_well_formed(r->image, "ami"))
		return ec2_invalid(c, "The parameter '%.*s' of resolve:ssm does not hold the ID of an image", STR_ARG(r->name));
	*ret = arena_dup(c->arena, r->image);
	return call_allowed(c, "ec2:RunInstances", ec2_arn(c, &ec2_kind_image, *ret)) ? CALL_OK : CALL_FAIL;
}

int ec2_image_named(struct call *c, struct str id, struct str *ret)
{
	struct resolving *r = c->state;
	if (!ec2_image_is_named(id)) {
		*ret = id;
		return CALL_OK;
	}
	struct str name = str_from_at(id, S("resolve:ssm:").n);
	if (r && r->done)
		return result(c, r, ret);
	if (!name.n)
		return ec2_invalid(c, "Invalid id: \"%.*s\"", STR_ARG(id));
	r = calloc(1, sizeof(*r));
	if (!r)
		abort();
	r->call = c;
	r->name = arena_dup(&r->arena, name);
	c->state = r;
	call_on_free(c, call_freed);
	struct ssm_get_parameters_request in = {0};
	*LIST_ADD(&r->arena, &in.names) = r->name;
	call_op(c->cloud, c->caller, c->region, &ssm_api, "GetParameters", &in, found, r);
	return call_wait(c, again, call_gone);
}
