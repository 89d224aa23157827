/* Certificates of X.509 in memory: what one says, whether a chain and a key belong to it, and new ones. On OpenSSL.
 *
 * For who keeps certificates of others (aws/iam, aws/acm) and for the daemon's own (http/tls_ca.c). Texts are PEM; what is returned
 * lies in the arena that was given. Nothing here is the loop's: cert_issue() takes tens of milliseconds for RSA and belongs on a
 * thread of io/work. */
#pragma once
#include "base/arena.h"

struct cert_bundle {
	struct str body;  /* one certificate */
	struct str chain; /* those that vouch for it, the immediate one first; absent: none */
	struct str key;   /* its private key, not encrypted; absent where nobody may see it */
};

struct cert_facts {
	struct str serial;              /* "0a:1b:2c" */
	struct str subject, issuer;     /* "C=US, O=Example, CN=www.example.com" */
	struct str common_name;         /* of the subject; absent: it has none */
	struct str issuer_name;         /* its organisation, else its common name, else all of it; absent: it has no name */
	struct str key_algorithm;       /* "RSA_2048", "EC_prime256v1"; absent: neither RSA nor a named curve */
	struct str signature_algorithm; /* "SHA256WITHRSA" */
	int64_t not_before_ms, not_after_ms;
	unsigned version;  /* 3 */
	struct str *names; /* DNS names in the subject's alternative names */
	size_t name_count;
	bool has_usages; /* says what its key is for: bit n is the n-th usage of RFC 5280 (0: digital signature) */
	unsigned usages;
	struct str *purposes; /* object identifiers of extended usages: "1.3.6.1.5.5.7.3.1" */
	size_t purpose_count;
	bool self_signed;
};

enum cert_fault {
	CERT_GOOD,
	CERT_MALFORMED,    /* the body is no certificate in PEM */
	CERT_SEVERAL,      /* the body holds more than one */
	CERT_BAD_KEY,      /* no private key in PEM */
	CERT_LOCKED_KEY,   /* the key is encrypted */
	CERT_OTHER_KEY,    /* it is the key of something else */
	CERT_BAD_CHAIN,    /* the chain is no list of certificates in PEM */
	CERT_BROKEN_CHAIN, /* a certificate is not signed by the next */
};
/* Do body, chain (where there is one) and key (where there is one) belong together? CERT_BROKEN_CHAIN: *ret_index is the position
 * in the chain of the one that is not signed by its successor, -1: the body. Dates are not looked at. */
enum cert_fault cert_check(const struct cert_bundle *b, int *ret_index);
/* What the first certificate of a PEM text says. False: there is none. */
bool cert_read(struct arena *a, struct str pem, struct cert_facts *ret);

/* How many certificates a PEM text holds, whatever stands between them; -1: one of them is none. */
int cert_count(struct str pem);
/* How many certificates are revoked by the lists (of X.509) in a PEM text; -1: there is no list in it, or one is none. */
int64_t cert_count_revoked(struct str pem);

/* A certificate to be made, with a new key. */
struct cert_wish {
	struct str organisation, common_name; /* of the subject; absent: without */
	const char *names;       /* "DNS:localhost,IP:127.0.0.1", as OpenSSL's configuration has it; NULL: it is an authority */
	const char *algorithm;   /* "RSA_2048", "EC_prime256v1", "EC_secp384r1" */
	int64_t from_s, until_s; /* since 1970 */
};
/* Signed by the issuer's key, or by its own where issuer is NULL. ret->chain is the issuer's body and chain. False: OpenSSL cannot.
 */
bool cert_issue(struct arena *a, const struct cert_wish *w, const struct cert_bundle *issuer, struct cert_bundle *ret);
