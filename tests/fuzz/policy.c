/* Any text is refused with a sentence or becomes a policy that can be asked, and one that denies is never outdone by what it
 * allows. */
#include "core/policy.h"

#include <assert.h>
#include <stdint.h>

static bool key(void *ctx, struct str name, struct str_list *ret)
{
	/* Every other key is there, with two values. */
	static struct str values[] = {S_INIT("10.0.0.1"), S_INIT("arn:aws:s3:::b/*")};
	(void)ctx;
	if (name.n % 2)
		return false;
	*ret = (struct str_list){.v = values, .n = 1 + name.n / 2 % 2, .set = true};
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct principal who = {
	        .refs = 1,
	        .kind = PRINCIPAL_USER,
	        .account = S_INIT("123456789012"),
	        .arn = S_INIT("arn:aws:iam::123456789012:user/ann"),
	        .user_id = S_INIT("AIDAANN"),
	        .name = S_INIT("ann"),
	};
	for (enum policy_kind kind = POLICY_IDENTITY; kind <= POLICY_TRUST; kind++) {
		struct arena CLEAN_ARENA a = {0};
		struct str message = STR_NONE;
		struct policy *p = policy_parse(str_of(data, size), kind, S("p"), &a, &message);
		assert(p || message.n > 0);
		if (!p)
			continue;
		struct policy_request q = {
		        .action = S("s3:GetObject"), .resource = S("arn:aws:s3:::b/k"), .who = &who, .key = key, .arena = &a};
		struct policy_answer answer, narrower;
		policy_eval(p, &q, &answer);
		assert(answer.effect == POLICY_SILENT || answer.grant != GRANT_NONE);
		if (answer.effect != POLICY_SILENT) {
			struct policy_place begins, ends;
			policy_statement_places(p, answer.statement, &begins, &ends);
			assert(begins.line >= 1 && begins.line <= ends.line &&
			       (begins.line < ends.line || begins.column < ends.column));
		}
		q.public_blocked = true;
		policy_eval(p, &q, &narrower);
		assert((answer.effect == POLICY_DENY) == (narrower.effect == POLICY_DENY));
		assert(policy_is_public(p) || narrower.effect == answer.effect);
		struct str_list keys = {0};
		policy_context_keys(p, &a, &keys);
		policy_free(p);
	}
	return 0;
}
