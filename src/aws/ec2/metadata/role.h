/* Temporary credentials of instance profiles: AssumeRole as ec2.amazonaws.com, so the role's trust policy decides; kept for each
 * instance and renewed five minutes before they end. Called by the metadata service. */
#pragma once
#include "core/cloud.h"

struct roles;
struct role_wait;

struct role_credentials {
	bool good; /* false: EC2 may not assume it */
	struct str access_key, secret, token;
	int64_t issued_ms, expires_ms;
};

struct roles *roles_new(struct cloud *cloud);
void roles_free(struct roles *r);
/* fn comes at once (NULL is returned) or later, unless role_forget() comes before; its argument lives during the call. */
typedef void role_fn(void *ctx, const struct role_credentials *credentials);
struct role_wait *role_get(struct roles *r, struct str region, struct str role_arn, struct str instance_id, role_fn *fn, void *ctx);
void role_forget(struct role_wait *w); /* NULL is harmless */
