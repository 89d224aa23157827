/* Secrets Manager's secrets as parameters: /aws/reference/secretsmanager/NAME, with a version or a label behind a colon. Read
 * alone, and with the caller's permissions for the secret. */
#include "rows.h"

#include "aws/secretsmanager/secretsmanager.h"
#include "base/id.h"

#define PREFIX "/aws/reference/secretsmanager/"

bool ssm_name_secret(struct str name)
{
	return str_starts(name, S(PREFIX)) && name.n > sizeof(PREFIX) - 1;
}

int ssm_secret_read(struct call *c, struct str text, bool decrypt, struct ssm_parameter *ret)
{
	struct secret_seen seen;
	struct ssm_reference ref = ssm_reference(c, text);
	/* The name of a secret may be its ARN, which has colons of its own. */
	struct str id = str_from_at(ref.name, sizeof(PREFIX) - 1), selector = ref.selector;
	if (str_is(id, "arn")) {
		id = str_from_at(text, (size_t)(str_find(text, S(PREFIX)) + (ptrdiff_t)sizeof(PREFIX) - 1));
		selector = STR_NONE;
	}
	bool version = str_set(selector) && id_is_uuid(selector);
	if (!decrypt)
		return ssm_invalid(c, "WithDecryption flag must be True for retrieving a Secret Manager secret.");
	if (secretsmanager_read(c, id, version ? selector : STR_NONE, version ? STR_NONE : selector, &seen) != CALL_OK) {
		struct str code = c->error.code, message = c->error.message;
		if (str_is(code, "ResourceNotFoundException"))
			return call_fail(
			        c, "ParameterNotFound", 0,
			        "An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret %.*s not found.",
			        STR_ARG(ref.name));
		return str_starts(code, S("AccessDenied")) || str_is(code, "InternalFailure")
		               ? CALL_FAIL
		               : ssm_invalid(c, "An error occurred (%.*s) when referencing Secrets Manager: %.*s", STR_ARG(code),
		                             STR_ARG(message));
	}
	if (!str_set(seen.text))
		return ssm_invalid(c, "A secret of bytes cannot be a parameter.");
	*ret = (struct ssm_parameter){.name = ref.name,
	                              .type = S("SecureString"),
	                              .value = seen.text,
	                              .version = OPT_INT(0),
	                              .source_result = seen.json,
	                              .last_modified_date = seen.created,
	                              .arn = seen.arn,
	                              .data_type = S("text")};
	if (str_set(selector))
		ret->selector = ARENA_CAT(c->arena, S(":"), selector);
	return CALL_OK;
}
