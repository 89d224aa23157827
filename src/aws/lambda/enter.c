#include "aws/lambda/enter.h"

#include "aws/lambda/directory.h"
#include "aws/lambda/pool.h"
#include "core/gate.h"

static struct fn_version *version_of(struct cloud *cloud, struct str account, struct str region, struct str name)
{
	struct lambda *l = lambda_of(cloud);
	struct lambda_name n;
	if (!lambda_name_split(name, &n) || (str_set(n.account) && !str_eq(n.account, account)))
		return NULL;
	struct fn *fn = directory_find(l->directory, account, str_set(n.region) ? n.region : region, n.name);
	return fn ? fn_choose_version(fn, n.qualifier) : NULL;
}

struct cell *lambda_enter(struct cloud *cloud, struct str account, struct str region, struct str name)
{
	struct fn_version *v = version_of(cloud, account, region, name);
	return v && v->pool ? pool_enter(v->pool) : NULL;
}

bool lambda_use(struct cloud *cloud, struct http_request *r, struct arena *a, const struct principal *who, struct str region,
                struct str name, struct workload_use *ret, unsigned *ret_status, struct str *ret_why)
{
	struct authz az = {.action = S("lambda:GetFunction"), .resource = name};
	struct str_map none = {0};
	*ret_status = 403;
	if (!gate_may(cloud->gate, r, who, region, &az, &none, ret_why))
		return false;
	struct fn_version *v = version_of(cloud, who->account, region, name);
	if (!v || !v->pool) {
		*ret_status = 404;
		*ret_why = arena_printf(a, "The function '%.*s' does not exist, or nothing of it runs", STR_ARG(name));
		return false;
	}
	*ret = (struct workload_use){.cpu_us = (uint64_t)pool_cpu_us(v->pool), .at_us = loop_now_us(cloud->loop)};
	return true;
}
