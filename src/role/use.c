#include "role/use.h"
#include "role/exec.h"

#include "aws/ec2/instance/enter.h"
#include "aws/ecs/enter.h"
#include "aws/lambda/enter.h"
#include "base/json.h"
#include "base/uri.h"
#include "http/http.h"

static void reply(struct http_request *r, unsigned status, const char *type, struct str text)
{
	struct http_header h[] = {{S("content-type"), str_from(type)}};
	http_reply(r, status, h, 1, ARENA_CAT(http_arena(r), text, S("\n")));
}

void use_take(struct cloud *cloud, struct http_request *r)
{
	struct arena *a = http_arena(r);
	struct str name = uri_decode(a, str_from_at(http_head(r)->path, sizeof("/_quartet/use/") - 1)), why;
	struct str region = http_header(r, S("x-quartet-region"));
	const struct principal *who = exec_who_asks(cloud, r);
	struct workload_use use;
	unsigned status;
	if (!who) {
		reply(r, 403, "text/plain",
		      S("this is for those who have a key: that in the data directory's credentials, or a user's"));
		return;
	}
	bool function = str_find(name, S(":function:")) >= 0;
	bool known = function               ? lambda_use(cloud, r, a, who, region, name, &use, &status, &why)
	             : ecs_names_task(name) ? ecs_use(cloud, r, a, who, region, name, &use, &status, &why)
	                                    : ec2_use(cloud, r, a, who, region, name, &use, &status, &why);
	principal_unref(who);
	if (!known) {
		reply(r, status, "text/plain", why);
		return;
	}
	struct buf CLEAN_BUF b;
	buf_init(&b, 1024);
	struct json_out o = json_out(&b);
	json_open(&o, '{');
	json_key(&o, S("cpuMicroseconds"));
	json_int(&o, (int64_t)use.cpu_us);
	json_key(&o, S("memoryBytes"));
	json_int(&o, (int64_t)use.memory_bytes);
	json_key(&o, S("atMicroseconds"));
	json_int(&o, use.at_us);
	json_close(&o, '}');
	reply(r, 200, "application/json", buf_str(&b));
}
