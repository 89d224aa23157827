/* What signs instance identity documents: a key and a certificate of this cloud, in DATA/ec2; the certificate alone, for those who
 * verify, in DATA/tls. Called by the metadata service. */
#pragma once
#include "base/arena.h"

struct identity;

/* Reads the key and the certificate, or makes them: a tenth of a second, once. `shown` is where the certificate is put, NULL:
 * nowhere. NULL: the reason is in *ret_error (negative errno).
 */
struct identity *identity_open(const char *dir, const char *shown, int *ret_error);
/* The one that the metadata service signs with; NULL: there is none, or nobody has asked for it yet. */
struct ec2_state;
const struct identity *ec2_compute_identity(const struct ec2_state *s);
void identity_close(struct identity *i);
/* Base64, in lines of 64 characters: the bare signature over SHA-256, and the document in a signed PKCS#7 envelope. Absent: OpenSSL
 * could not. */
struct str identity_signature(const struct identity *i, struct arena *a, struct str document);
struct str identity_envelope(const struct identity *i, struct arena *a, struct str document);
/* 32 bytes that follow from the key and tell nothing of it: the same after every start. */
void identity_secret(const struct identity *i, const char *purpose, unsigned char out[static 32]);
