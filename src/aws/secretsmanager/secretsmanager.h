/* Secrets for other services, inside the call of whoever wants one: its caller has to be allowed secretsmanager:GetSecretValue, and
 * the key of KMS. A failure is Secrets Manager's own error, set in the call. */
#pragma once
#include "core/call.h"

struct secret_seen {
	struct str arn, version;
	struct str text; /* absent: the secret is of bytes */
	struct str json; /* as GetSecretValue answers, of one of text */
	struct opt_time created;
};
/* id: name or ARN; version, stage: absent, for the current one. All of it lies in the call's arena. CALL_OK or CALL_FAIL. */
int secretsmanager_read(struct call *c, struct str id, struct str version, struct str stage, struct secret_seen *ret);

/* Secrets that a service keeps of its own: "events" and "events!connection/NAME/ID". Nobody else can change or end them; who may
 * read them is said by policies, as of any. In the call's transaction; CALL_OK or CALL_FAIL. */
int secretsmanager_keep(struct call *c, const char *owner, struct str name, struct str text, struct str *ret_arn);
int secretsmanager_kept(struct call *c, struct str name, struct str *ret_text); /* asks for no permission */
void secretsmanager_forget(struct call *c, struct str name);                    /* at once, if it is there */
