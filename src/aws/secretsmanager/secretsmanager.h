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
