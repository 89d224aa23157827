/* Checksums of objects and parts: x-amz-checksum-*, as a client announces them and as replies give them.
 *
 * A value is spelled in base64; a composite one is the digest of the parts' digests and ends in -<parts>. */
#pragma once
#include "aws/s3/s3.h"
#include "base/hash.h"

/* One that a request asks for. */
struct checksum {
	bool set;
	enum hash_kind kind;
	struct str expected; /* base64; absent: compute only */
	bool in_trailer;     /* the expected value comes behind the body */
};

/* "CRC32" etc. absent or unknown: NULL resp. false. */
const char *checksum_name(enum hash_kind kind);
bool checksum_kind(struct str name, enum hash_kind *ret);
/* "x-amz-checksum-crc32". */
const char *checksum_header(enum hash_kind kind);
bool checksum_is_crc(enum hash_kind kind);

struct str checksum_text(struct arena *a, enum hash_kind kind, const unsigned char *digest);
/* False: not base64 of a digest of this kind. */
bool checksum_bytes(struct arena *a, enum hash_kind kind, struct str text, unsigned char ret[static HASH_MAX_BYTES]);

/* The members of one request or reply in one order, so that one table serves the many structs that have them. */
enum { CHECKSUM_MEMBERS = 10 };
/* The header that member i comes in. */
const char *checksum_member_header(unsigned i);
#define CHECKSUM_OF(p) \
	((const struct str[CHECKSUM_MEMBERS]){(p)->checksum_crc32, (p)->checksum_crc32_c, (p)->checksum_crc64_nvme, \
	                                      (p)->checksum_sha1, (p)->checksum_sha256, (p)->checksum_sha512, (p)->checksum_md5, \
	                                      (p)->checksum_xxhash64, (p)->checksum_xxhash3, (p)->checksum_xxhash128})
/* Sets the member for the algorithm of this name. */
#define CHECKSUM_SET(p, algorithm, value) \
	checksum_set((algorithm), (value), \
	             (struct str *const[]){&(p)->checksum_crc32, &(p)->checksum_crc32_c, &(p)->checksum_crc64_nvme, \
	                                   &(p)->checksum_sha1, &(p)->checksum_sha256, &(p)->checksum_sha512, &(p)->checksum_md5})
void checksum_set(struct str algorithm, struct str value, struct str *const members[static 7]);

/* What the members and the algorithm member (or the trailer announced) of an upload ask for. CALL_OK or CALL_FAIL. */
int checksum_requested(struct call *c, const struct str members[static CHECKSUM_MEMBERS], struct str algorithm,
                       struct checksum *ret);
/* A value given in a list of parts: the one for this algorithm; absent: none. */
struct str checksum_member(const struct str members[static CHECKSUM_MEMBERS], struct str algorithm);

/* Of digests of `n` parts, base64 each: the composite value, "-n" included. STR_NONE: one of them is missing. */
struct str checksum_composite(struct arena *a, enum hash_kind kind, const struct str *parts, unsigned n);
/* The CRC of two texts one after the other from the CRCs of each; the second has length bytes. */
uint64_t checksum_crc_combine(enum hash_kind kind, uint64_t first, uint64_t second, uint64_t length);
/* Of CRCs and lengths of `n` parts: the value of the whole. STR_NONE: one of them is missing. */
struct str checksum_full(struct arena *a, enum hash_kind kind, const struct str *parts, const uint64_t *lengths, unsigned n);
