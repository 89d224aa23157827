/* Signatures of notifications, by a key of this cloud's own, whose certificate anybody may fetch.
 *
 * The key is made when the first signature is asked for and lies sealed in the store. Signing is arithmetic of most of a
 * millisecond, so it is done by threads; results come back on the loop. Called by publish.c and outbox.c. */
#pragma once
#include "core/cloud.h"

struct signer;
struct signer *signer_new(struct cloud *cloud);
void signer_free(struct signer *s); /* NULL is harmless */

struct sign_text {
	struct str text;
	bool sha256;              /* version 2; else version 1, which is SHA-1 */
	struct str ret_signature; /* Base64, in the arena; "" where there is no key */
};
/* Texts, their array and the arena live until done, which comes later, once; nobody else uses the arena meanwhile. */
typedef void sign_done_fn(void *ctx);
void signer_sign(struct signer *s, struct arena *a, struct sign_text *texts, unsigned count, sign_done_fn *done, void *ctx);

/* Where the certificate is to be had: a path of the cloud's endpoint, and what is there. Once something has been signed. */
struct str signer_certificate_url(const struct signer *s, struct arena *a);
bool signer_is_path(struct str path);                             /* could it be that path? */
struct str signer_certificate(struct signer *s, struct str path); /* PEM; absent: it is not there */
