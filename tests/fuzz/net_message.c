/* What api says to net: whatever passes the check makes rules of plain words alone. */
#include "engine/net/network_proto.h"
#include "engine/net/rules.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint32_t number(void *ctx, const char *group)
{
	(void)ctx;
	return (uint32_t)strlen(group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union net_message *m = calloc(1, sizeof(*m));
	struct buf CLEAN_BUF b;
	buf_init(&b, 1 << 20);
	memcpy(m, data, size < sizeof(*m) ? size : sizeof(*m));
	if (network_check(m, size) == 0) {
		const uint32_t groups[NETWORK_GROUPS_MAX] = {1};
		if (m->h.verb == NET_GROUP)
			rules_group(&b, 1, &m->rules, number, NULL);
		if (m->h.verb == NET_ACL)
			rules_acl(&b, 1, &m->rules);
		if (m->h.verb == NET_VPC)
			rules_dns(&b, m->vpc.prefixes, m->h.value);
		if (m->h.verb == NET_PORT)
			rules_port(&b,
			           &(struct rules_port){.number = 1, .subnet = 1, .mark = 2, .groups = groups, .port = &m->port});
		assert(!b.overflow);
		for (size_t i = 0; i < b.n; i++)
			assert(b.p[i] == '\n' || (b.p[i] >= ' ' && b.p[i] <= '~' && b.p[i] != '$' && b.p[i] != '#'));
		struct str text = buf_str(&b);
		assert(str_find(text, S("include")) < 0 && str_find(text, S("ruleset")) < 0);
	}
	struct link_request r;
	if (size == sizeof(r) && link_check(data, size) == 0) {
		memcpy(&r, data, sizeof(r));
		assert(r.address == 0 || r.address >> 24 == 127);
	}
	free(m);
	return 0;
}
