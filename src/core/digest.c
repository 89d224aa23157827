/* Digests that a client sends along with a request that is read whole: Content-MD5 and x-amz-checksum-*. Bodies that stream are
 * checked by who reads them. */
#include "core/gate_call.h"

#include "base/base64.h"
#include "base/hash.h"

static const struct {
	const char *header;
	enum hash_kind kind;
} digests[] = {
        {"content-md5", HASH_MD5},
        {"x-amz-checksum-crc32", HASH_CRC32},
        {"x-amz-checksum-crc32c", HASH_CRC32C},
        {"x-amz-checksum-crc64nvme", HASH_CRC64NVME},
        {"x-amz-checksum-sha1", HASH_SHA1},
        {"x-amz-checksum-sha256", HASH_SHA256},
        {"x-amz-checksum-sha512", HASH_SHA512},
        {"x-amz-checksum-md5", HASH_MD5},
};

bool gate_check_digests(struct gate_call *g)
{
	struct call *c = &g->call;
	for (size_t i = 0; i < sizeof(digests) / sizeof(*digests); i++) {
		struct str given = call_header(c, str_from(digests[i].header));
		if (!str_set(given))
			continue;
		unsigned char digest[HASH_MAX_BYTES];
		struct str want = base64_decode(c->arena, str_trim(given));
		bool md5 = i == 0;
		if (!str_set(want) || want.n != hash_size(digests[i].kind)) {
			if (md5)
				call_fail(c, "InvalidDigest", 400, "The Content-MD5 you specified was invalid.");
			else
				call_fail(c, "InvalidRequest", 400, "Value for %s header is invalid.", digests[i].header);
			return false;
		}
		hash_of(digests[i].kind, g->wire.body, digest);
		if (memcmp(want.p, digest, want.n) != 0) {
			call_fail(c, "BadDigest", 400, "The %s you specified did not match what we received.",
			          md5 ? "Content-MD5" : digests[i].header);
			return false;
		}
	}
	return true;
}
