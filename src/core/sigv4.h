/* AWS signature version 4: reading one off a request, checking it, and making one.
 *
 * Pure functions over the request as the wire had it; nothing here knows HTTP's machinery, keys or accounts. The gate calls
 * sigv4_read() to learn who claims to call (key id, scope, session token), finds the secret through its identity source, and calls
 * sigv4_check(). S3 has its own rules (paths encoded once and never normalised, payload hash from a header); they follow from the
 * service in the credential scope. Signing keys are cached per secret, date, region and service, in a table that belongs to the
 * loop's thread. Strings in results live as long as the request and the arena. */
#pragma once
#include "base/arena.h"
#include "model/model.h"

struct sigv4_header {
	struct str name, value;
}; /* laid out as struct http_header */
struct sigv4_request {
	struct str method;
	struct str path;  /* raw, as on the wire */
	struct str query; /* raw, without '?'; absent: none */
	const struct sigv4_header *headers;
	unsigned header_count;
};

enum sigv4_fault {
	SIGV4_GOOD,
	/* What sigv4_read() finds. */
	SIGV4_FAULT_V2,         /* signature version 2 */
	SIGV4_FAULT_V4A,        /* the asymmetric, multi-region kind */
	SIGV4_FAULT_ALGORITHM,  /* some other Authorization; detail: its first word */
	SIGV4_FAULT_BOTH,       /* header and query at once */
	SIGV4_FAULT_INCOMPLETE, /* detail: AWS's sentences on what is missing */
	SIGV4_FAULT_CREDENTIAL, /* not key/date/region/service/aws4_request */
	SIGV4_FAULT_DATE,       /* X-Amz-Date is no date */
	SIGV4_FAULT_SCOPE_DATE, /* the scope's date is another day */
	SIGV4_FAULT_EXPIRES,    /* X-Amz-Expires out of 1..604800; detail: AWS's sentence */
	SIGV4_FAULT_HOST_UNSIGNED,
	SIGV4_FAULT_HEADERS_UNSIGNED, /* x-amz-* sent but not signed; detail: the first of them */
	SIGV4_FAULT_NO_CONTENT_HASH,  /* S3 without x-amz-content-sha256 */
	SIGV4_FAULT_BAD_CONTENT_HASH, /* and with a senseless one */
	/* What sigv4_check() finds. */
	SIGV4_FAULT_OLD,     /* signed more than 15 minutes ago */
	SIGV4_FAULT_EARLY,   /* signed more than 15 minutes ahead */
	SIGV4_FAULT_EXPIRED, /* a presigned request after its time */
	SIGV4_FAULT_MISMATCH,
	SIGV4_FAULT_BODY_HASH, /* the body is not what x-amz-content-sha256 says */
	/* What only the gate knows; here so that all of them are worded in one place. */
	SIGV4_FAULT_MISSING, /* not signed at all */
	SIGV4_FAULT_REGION,  /* the scope names no region of ours; detail: for S3 the right one */
	SIGV4_FAULT_SERVICE, /* the scope names another service; detail: the right one */
	SIGV4_FAULT_KEY_UNKNOWN,
	SIGV4_FAULT_KEY_INACTIVE,
	SIGV4_FAULT_TOKEN_BAD,
	SIGV4_FAULT_TOKEN_EXPIRED,
	SIGV4_FAULTS,
};

enum sigv4_form { SIGV4_UNSIGNED, SIGV4_IN_HEADER, SIGV4_IN_QUERY };
enum sigv4_payload {
	SIGV4_PAYLOAD_HASH, /* the signature covers the body's SHA-256 */
	SIGV4_PAYLOAD_UNSIGNED,
	SIGV4_PAYLOAD_CHUNKS, /* STREAMING-AWS4-HMAC-SHA256-PAYLOAD */
	SIGV4_PAYLOAD_CHUNKS_TRAILER,
	SIGV4_PAYLOAD_UNSIGNED_TRAILER,
};

struct sigv4 {
	enum sigv4_form form;
	bool s3; /* S3's rules hold */
	bool v2; /* signature version 2, see sigv2.h: S3's presigned URLs and browser forms alone; expires_s is then absolute */
	enum sigv4_payload payload;
	struct str access_key_id;
	struct str credential;            /* whole, as it came */
	struct str date, region, service; /* of the scope */
	struct str scope;                 /* date/region/service/aws4_request */
	struct str timestamp;             /* 20150830T123600Z */
	int64_t time_ms;
	int64_t expires_s; /* presigned: 1..604800 */
	struct str signed_headers, signature;
	struct str token;        /* session token; absent: none */
	struct str content_hash; /* x-amz-content-sha256; absent: none */
	struct str detail;       /* of a fault */
	/* Filled by sigv4_check() when the signature does not match, for S3's answer. */
	struct str canonical_request, string_to_sign, body_hash;
};

enum { SIGV4_SKEW_MS = 15 * 60 * 1000, SIGV4_EXPIRES_MAX_S = 604800 };

/* Reads the Authorization header or the X-Amz-* query parameters. SIGV4_GOOD with form SIGV4_UNSIGNED when there is neither. On a
 * fault *sig holds as much as was understood, so that the answer can be worded for the service that was meant. */
enum sigv4_fault sigv4_read(struct arena *a, const struct sigv4_request *r, struct sigv4 *sig);
/* Is it signed with `secret`, at an acceptable time? body_hash: lower-case hex SHA-256 of the body; absent where the body is
 * streamed (then the header's claim is what was signed, and whoever reads the body checks it). */
enum sigv4_fault sigv4_check(struct arena *a, struct sigv4 *sig, struct str secret, const struct sigv4_request *r,
                             struct str body_hash, int64_t now_ms);

/* How each service family words a fault. */
struct sigv4_words {
	struct str code, message;
	unsigned status;
	struct str_map fields; /* S3's further elements */
};
/* s3: the answer is S3's, else it follows the protocol. */
void sigv4_fault_words(struct arena *a, enum sigv4_fault fault, const struct sigv4 *sig, enum protocol protocol, bool s3,
                       int64_t now_ms, struct sigv4_words *ret);

/* --- a signing key, with both halves of its HMAC prepared */
struct sigv4_key {
	uint64_t inner[14], outer[14];
};
void sigv4_key(struct sigv4_key *ret, struct str secret, struct str date, struct str region, struct str service);
/* Lower-case hex HMAC of text. */
void sigv4_key_sign(const struct sigv4_key *key, struct str text, char ret[static 65]);

/* --- the chain of chunk signatures in an aws-chunked body; starts from the request's own signature */
struct sigv4_chunks {
	struct sigv4_key key;
	struct str timestamp, scope; /* the request's; must outlive this */
	char previous[65];
};
void sigv4_chunks_init(struct sigv4_chunks *c, const struct sigv4 *sig, struct str secret);
/* The next chunk (the empty last one too), by its SHA-256 in lower-case hex. False: not what was signed. */
bool sigv4_chunks_next(struct sigv4_chunks *c, struct str sha256_hex, struct str signature);
/* The trailer, by the SHA-256 of its lines, each `name:value\n`. */
bool sigv4_chunks_trailer(struct sigv4_chunks *c, struct str sha256_hex, struct str signature);
/* Makes the next signature in place of checking it: the client's side. In c->previous. */
void sigv4_chunks_sign(struct sigv4_chunks *c, struct str sha256_hex);

/* --- browser forms: x-amz-credential, x-amz-date and x-amz-signature are form fields; what is signed is the policy in base64 */
enum sigv4_fault sigv4_read_form(struct arena *a, struct str algorithm, struct str credential, struct str timestamp,
                                 struct str signature, struct str token, struct sigv4 *sig);
enum sigv4_fault sigv4_check_form(struct arena *a, struct sigv4 *sig, struct str secret, struct str policy_base64);

/* --- the client's side */
struct sigv4_signer {
	struct str access_key_id, secret, token; /* token absent: long-term keys */
	struct str region, service;
	int64_t now_ms;
};
/* The value of an Authorization header. All given headers are signed but the few that proxies change; they must hold host and
 * x-amz-date (as sigv4_date() spells it), for S3 x-amz-content-sha256, and x-amz-security-token where there is a token. */
struct str sigv4_sign(struct arena *a, const struct sigv4_signer *who, const struct sigv4_request *r, struct str payload_hash);
/* The query of a presigned URL (without '?'): r's own query with the signature's parameters behind it. */
struct str sigv4_presign(struct arena *a, const struct sigv4_signer *who, const struct sigv4_request *r, int64_t expires_s,
                         struct str payload_hash);
struct str sigv4_date(struct arena *a, int64_t ms);
/* SHA-256 of nothing, in hex. */
#define SIGV4_EMPTY_HASH S("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
