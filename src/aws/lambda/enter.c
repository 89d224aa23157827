#include "aws/lambda/enter.h"

#include "aws/lambda/directory.h"
#include "aws/lambda/pool.h"

struct cell *lambda_enter(struct cloud *cloud, struct str account, struct str region, struct str name)
{
	struct lambda *l = lambda_of(cloud);
	struct lambda_name n;
	if (!lambda_name_split(name, &n) || (str_set(n.account) && !str_eq(n.account, account)))
		return NULL;
	struct fn *fn = directory_find(l->directory, account, str_set(n.region) ? n.region : region, n.name);
	struct fn_version *v = fn ? fn_choose_version(fn, n.qualifier) : NULL;
	return v && v->pool ? pool_enter(v->pool) : NULL;
}
