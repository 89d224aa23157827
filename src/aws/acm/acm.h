/* ACM's face for services that serve TLS: a certificate with its key by ARN, who uses it, and when it changes.
 *
 *	if (!acm_find(cloud, call_txn(c), c->arena, arn, &found))
 *		return call_fail(c, "CertificateNotFound", ...);
 *	acm_use(call_txn(c), c->arena, arn, listener_arn);
 *
 * All of it happens on the loop; what is found lies in the arena. */
#pragma once
#include "base/cert.h"
#include "core/cloud.h"
#include "model/model.h"

struct acm_certificate {
	struct cert_bundle pem;   /* the key too; it is absent where this cloud has lost what it is sealed with */
	struct str_list names;    /* the domain name first */
	struct str key_algorithm; /* "RSA_2048", "EC_prime256v1" */
	int64_t expires_ms;       /* it is found when that has passed, too */
};
/* By ARN, of any account and region. False: there is none, or it has not been issued. */
bool acm_find(const struct cloud *cloud, struct store_txn *t, struct arena *a, struct str arn, struct acm_certificate *ret);

/* While `by`, an ARN, uses a certificate, it stands in InUseBy, cannot be deleted, and is renewed before it ends. In the
 * transaction that begins or ends the use, which has found the certificate by acm_find(); twice is as once. */
void acm_use(struct store_txn *t, struct arena *a, struct str arn, struct str by);
void acm_unuse(struct store_txn *t, struct arena *a, struct str arn, struct str by);

/* fn(ctx, arn) comes after a certificate was issued, imported anew, renewed, tagged or deleted, or its uses have changed:
 * acm_find() says how it is now. */
struct acm_watch;
typedef void acm_changed_fn(void *ctx, struct str arn);
struct acm_watch *acm_watch(const struct cloud *cloud, acm_changed_fn *fn, void *ctx);
void acm_unwatch(struct acm_watch *w); /* NULL is harmless */
