/* Keys of KMS for services that keep something under them: secrets, parameters.
 *
 * Both happen inside the call of whoever wants it, in its transaction: the key's policy, the caller's own policies and grants are
 * asked with kms:ViaService, as if the service had asked KMS for the caller. A failure is KMS's own error, set in the call. */
#pragma once
#include "core/call.h"

struct kms_use {
	const char *service;    /* "secretsmanager": who asks, and whose AWS managed key serves where none is named */
	const char *action;     /* what the caller has to be allowed: "kms:GenerateDataKey" */
	struct str key;         /* as the client named it: id, ARN, alias; absent: alias/aws/SERVICE */
	struct str_map context; /* what a blob is bound to */
};
/* The ciphertext, which names its key; *ret_key_arn (NULL: not wanted) of the key. CALL_OK or CALL_FAIL. */
int kms_seal(struct call *c, const struct kms_use *u, struct str plain, struct str *ret_blob, struct str *ret_key_arn);
/* May the caller do use.action with the key now? Does nothing else. */
int kms_may(struct call *c, const struct kms_use *u);
/* What was sealed; use.key is not looked at. */
int kms_open(struct call *c, const struct kms_use *u, struct str blob, struct str *ret_plain);
/* Is there such a key, and can it encrypt? *ret_arn as kms_seal()'s. Asks for no permission. */
int kms_check(struct call *c, struct str key, struct str *ret_arn);
