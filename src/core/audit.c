/* What was asked of the policies lately and how they decided, for `quartet why`. In memory, the newest few thousand decisions: a
 * person asks about a denial that is on the screen. */
#include "core/gate_call.h"

#include "base/log.h"

#include <stdlib.h>

enum { AUDIT_ENTRIES = 4096, AUDIT_TEXT = 1024 };

struct audit_entry {
	char id[37];
	char *text; /* lines for a person */
};
struct audit {
	struct audit_entry entries[AUDIT_ENTRIES];
	unsigned next;
};

struct audit *audit_new(void)
{
	struct audit *a = calloc(1, sizeof(*a));
	if (!a)
		die("out of memory (audit)");
	return a;
}

void audit_free(struct audit *a)
{
	if (!a)
		return;
	for (unsigned i = 0; i < AUDIT_ENTRIES; i++)
		free(a->entries[i].text);
	free(a);
}

static const char *const result_names[] = {
        [AUTHZ_ALLOW] = "allowed",
        [AUTHZ_DENY_EXPLICIT] = "denied by an explicit deny",
        [AUTHZ_DENY_IDENTITY] = "denied: no identity-based policy allows it",
        [AUTHZ_DENY_BOUNDARY] = "denied: the permissions boundary does not allow it",
        [AUTHZ_DENY_SESSION] = "denied: the session policy does not allow it",
        [AUTHZ_DENY_RESOURCE] = "denied: no resource-based policy allows it",
        [AUTHZ_DENY_ENDPOINT] = "denied: the policy of the VPC endpoint does not allow it",
};

void audit_add(struct audit *a, const struct call *c, const struct principal *who, const struct authz *az,
               const struct authz_decision *d)
{
	/* A root caller's every request is allowed for the same reason; keeping those would push out what is worth asking about. */
	if (who->kind == PRINCIPAL_ROOT && d->result == AUTHZ_ALLOW)
		return;
	struct audit_entry *e = &a->entries[a->next++ % AUDIT_ENTRIES];
	memcpy(e->id, c->request_id.p, 36);
	e->id[36] = '\0';
	free(e->text);
	struct buf text;
	buf_init(&text, AUDIT_TEXT);
	buf_printf(&text, "%.*s asked for %.*s on %.*s: %s", STR_ARG(who->arn), STR_ARG(az->action), STR_ARG(az->resource),
	           result_names[d->result]);
	if (d->by.n)
		buf_printf(&text, " (%.*s)", STR_ARG(d->by));
	buf_add_char(&text, '\0');
	/* only as long as it is: there are thousands */
	e->text = strndup(text.p, text.n);
	buf_done(&text);
}

struct str audit_why(const struct audit *a, struct arena *arena, struct str request_id)
{
	struct str lines = STR_NONE;
	for (unsigned i = 0; i < AUDIT_ENTRIES; i++) {
		const struct audit_entry *e = &a->entries[(a->next + i) % AUDIT_ENTRIES];
		if (e->text && str_is(request_id, e->id))
			lines = ARENA_CAT(arena, lines, str_from(e->text), S("\n"));
	}
	return lines;
}
