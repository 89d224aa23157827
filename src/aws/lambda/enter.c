#include "aws/lambda/enter.h"

#include "aws/lambda/directory.h"
#include "aws/lambda/pool.h"

struct cell *lambda_enter(struct cloud *cloud, struct str account, struct str region, struct str name)
{
	struct lambda *l = lambda_of(cloud);
	struct fn *fn = directory_find(l->directory, account, region, name);
	struct fn_version *v = fn ? fn_choose_version(fn, STR_NONE) : NULL;
	return v && v->pool ? pool_enter(v->pool) : NULL;
}
