/* Interfaces are made, looked at and removed for a function as its role might do it itself: what the role may not is refused before
 * anything is written. EC2 is asked by requests that say DryRun. */
#include "aws/lambda/credentials.h"
#include "gen/ec2.h"

#include <stdlib.h>

struct vpc_question {
	struct call *call; /* NULL: it is gone */
	struct cloud *cloud;
	struct arena arena;
	struct str region, subnet;
	struct credentials *role;
	unsigned step;
	const char *refused;
	bool no_role;
};

static const char *const operations[] = {"CreateNetworkInterface", "DescribeNetworkInterfaces", "DeleteNetworkInterface"};
enum { OPERATIONS = sizeof(operations) / sizeof(*operations) };

static void ask(struct vpc_question *q);

static void over(struct vpc_question *q)
{
	struct call *c = q->call;
	if (c) {
		struct lambda_work *w = c->state;
		w->vpc_question = NULL;
		w->vpc_asked = true;
		w->vpc_refused = q->refused;
		w->role_good &= !q->no_role;
	}
	credentials_unref(q->role);
	arena_done(&q->arena);
	free(q);
	if (c)
		call_resume(c);
}

static void answered(void *ctx, struct call *sub)
{
	struct vpc_question *q = ctx;
	if (str_is(sub->error.code, "UnauthorizedOperation"))
		q->refused = operations[q->step];
	if (q->refused || ++q->step == OPERATIONS)
		over(q);
	else
		ask(q);
}

static void ask(struct vpc_question *q)
{
	const struct ec2_create_network_interface_request create = {.dry_run = OPT_BOOL(true), .subnet_id = q->subnet};
	const struct ec2_describe_network_interfaces_request describe = {.dry_run = OPT_BOOL(true)};
	const struct ec2_delete_network_interface_request delete = {.dry_run = OPT_BOOL(true),
	                                                            .network_interface_id = S("eni-00000000000000000")};
	const void *const in[OPERATIONS] = {&create, &describe, &delete};
	call_op(q->cloud, q->role->principal, q->region, &ec2_api, operations[q->step], in[q->step], answered, q);
}

static void have_role(void *ctx, const struct credentials *role)
{
	struct vpc_question *q = ctx;
	if (!role || !role->principal) {
		q->no_role = true;
		over(q);
		return;
	}
	q->role = (struct credentials *)(uintptr_t)role;
	q->role->refs++;
	ask(q);
}

static void gone(struct call *c)
{
	struct lambda_work *w = c->state;
	w->vpc_question->call = NULL;
}

int lambda_check_vpc_role(struct call *c, const struct lambda_function_configuration *f, call_resume_fn *again)
{
	struct lambda_work *w = lambda_work(c);
	if (!lambda_in_vpc(f))
		return CALL_OK;
	if (w->vpc_asked && !w->role_good)
		return lambda_invalid(c, "The role defined for the function cannot be assumed by Lambda.");
	if (w->vpc_asked && w->vpc_refused)
		return lambda_invalid(c, "The provided execution role does not have permissions to call %s on EC2", w->vpc_refused);
	if (w->vpc_asked)
		return CALL_OK;
	struct vpc_question *q = calloc(1, sizeof(*q));
	if (!q)
		abort();
	q->call = c;
	q->cloud = c->cloud;
	arena_init(&q->arena, 0);
	q->region = arena_dup(&q->arena, c->region);
	q->subnet = arena_dup(&q->arena, f->vpc_config->subnet_ids.v[0]);
	w->vpc_question = q;
	w->role_good = true;
	int said = call_wait(c, again, gone);
	/* never at once: what is kept of the role would call back before this call waits */
	credentials_fetch(lambda_of(c->cloud), c->account, c->region, f->role, f->function_name, have_role, q);
	return said;
}
