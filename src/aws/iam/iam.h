/* IAM's face for the rest of the program: where credentials and policies come from, what a role is, temporary credentials.
 *
 * iam_open() is called once by the api role, before the gate and the services; it fills in cloud->identity. Records are in the
 * store; everything that a request needs of them is kept in memory and dropped when they change, so a signed call of a known
 * key reads nothing. What the functions below return lives until the loop's next round unless they say otherwise. */
#pragma once
#include "base/cert.h"
#include "core/cloud.h"
#include "core/policy.h"
#include "gen/state_iam.h"

struct call;

struct iam_config {
	bool well_known;              /* test/test, and 12 digits with the secret test, are root users */
	const char *config_file;      /* [credentials] AKID = secret, account; NULL: none */
	const char *credentials_file; /* the first root key of account 000000000000: read, or made and written; NULL: none */
};
void iam_open(struct cloud *cloud, const struct iam_config *config);
/* Frees what iam_open() made; the store must still be open. */
void iam_close(struct cloud *cloud);

/* A role by its ARN, of any account. False: there is none. */
struct iam_role_view {
	struct str arn, account, path, name, id;
	struct str trust; /* its trust policy, JSON */
	int64_t max_session_s;
	const struct str_map *tags;
};
bool iam_find_role(struct cloud *cloud, struct str arn, struct iam_role_view *ret);
/* The role in an instance profile, by the profile's ARN, or by name in an account. False: no such profile. *ret_role_arn is absent
 * when the profile holds no role. */
bool iam_find_profile(struct cloud *cloud, struct arena *a, struct str account, struct str arn_or_name, struct str *ret_arn,
                      struct str *ret_id, struct str *ret_role_arn);
/* Is there such a managed policy, the account's own or AWS's? */
bool iam_managed_exists(struct cloud *cloud, struct str account, struct str arn);

/* Is the user or role of the call's account that an ARN names there, for resource policies that name it? True for all other ARNs.
 */
bool iam_principal_exists(struct call *c, struct str arn);

/* Temporary credentials: nothing is stored. The token holds the session sealed with a key of this cloud; the secret follows from
 * the key id. r's key_id is made here. */
struct iam_credentials {
	struct str access_key_id, secret, token;
};
void iam_session_make(struct cloud *cloud, struct arena *a, struct state_iam_session_record *r, struct iam_credentials *ret);
enum { IAM_SESSION_BYTES_MAX = 6144 }; /* of a session before it is sealed */
size_t iam_session_bytes(struct arena *a, const struct state_iam_session_record *r);
/* The session behind temporary credentials of the caller; false: long-term ones. For what STS passes on (transitive tags). */
bool iam_session_of(struct cloud *cloud, struct arena *a, const struct principal *p, struct state_iam_session_record *ret);
/* --- server certificates (certificate.c), for who serves TLS with them */
struct iam_certificate {
	struct str id;          /* stays when the certificate is renamed or moved, which changes its ARN */
	struct cert_bundle pem; /* the key too; it is absent where this cloud has lost what it is sealed with */
	int64_t expires_ms;
};
/* By ARN, of any account. False: there is none. */
bool iam_certificate_find(const struct cloud *cloud, struct store_txn *t, struct arena *a, struct str arn,
                          struct iam_certificate *ret);
/* While `by`, an ARN, uses a certificate, it cannot be deleted. In the transaction that begins or ends the use; twice is as once.
 * The account is the certificate's. */
void iam_certificate_use(struct store_txn *t, struct arena *a, struct str account, struct str id, struct str by);
void iam_certificate_unuse(struct store_txn *t, struct arena *a, struct str account, struct str id, struct str by);

/* The account that an access key id belongs to; absent: unknown. */
struct str iam_key_account(struct cloud *cloud, struct arena *a, struct str access_key_id);
