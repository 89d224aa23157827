#include "core/identity.h"

#include "base/log.h"

#include <stdlib.h>

enum { FIRST_BYTES = 512 }; /* thousands are kept, of sessions, and most are some names long */

struct principal *principal_new(enum principal_kind kind, struct str account)
{
	struct principal *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory");
	arena_init(&p->arena, 0);
	p->arena.first_bytes = FIRST_BYTES;
	p->refs = 1;
	p->kind = kind;
	p->account = arena_dup(&p->arena, account);
	if (kind == PRINCIPAL_ROOT) {
		p->arn = arena_printf(&p->arena, "arn:aws:iam::%.*s:root", STR_ARG(account));
		p->user_id = p->account;
		p->name = S("root");
	}
	return p;
}

const struct principal *principal_ref(const struct principal *p)
{
	((struct principal *)p)->refs++;
	return p;
}

void principal_unref(const struct principal *p)
{
	struct principal *mine = (struct principal *)p;
	if (!mine || --mine->refs)
		return;
	struct arena arena = mine->arena;
	free(mine);
	arena_done(&arena);
}
