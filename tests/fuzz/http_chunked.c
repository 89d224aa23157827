/* aws-chunked bytes in steps: the decoded bytes, the digests shown and the verdict must not depend on where the input was cut. */
#include "http/chunked.h"

#include "base/log.h"

#include <stdlib.h>

struct seen {
	uint64_t bytes;
	int verdict;
	unsigned char sum[HASH_MAX_BYTES], digests_sum[HASH_MAX_BYTES];
	struct hash hash, digests;
};

static bool check(void *ctx, struct str sha256_hex, struct str signature)
{
	struct seen *s = ctx;
	hash_add(&s->digests, sha256_hex.p, sha256_hex.n);
	hash_add(&s->digests, signature.p, signature.n);
	return signature.p[0] != 'f';
}

static void decode(const uint8_t *p, size_t n, size_t step, unsigned mode, struct seen *ret)
{
	*ret = (struct seen){0};
	hash_init(&ret->hash, HASH_CRC64NVME);
	hash_init(&ret->digests, HASH_CRC64NVME);
	struct chunked c;
	chunked_init(&c, &(struct chunked_rules){.decoded_length = mode & 4 ? -1 : 20,
	                                         .trailer = mode & 2,
	                                         .check_chunk = mode & 1 ? check : NULL,
	                                         .check_trailer = check,
	                                         .ctx = ret});
	for (size_t at = 0; at < n && ret->verdict >= 0; at += step) {
		struct str in = str_of(p + at, n - at < step ? n - at : step), piece = STR_NONE;
		while ((ret->verdict = chunked_next(&c, &in, &piece)) > 0) {
			ret->bytes += piece.n;
			hash_add(&ret->hash, piece.p, piece.n);
		}
	}
	if (ret->verdict == 0)
		ret->verdict = chunked_finish(&c);
	if (ret->verdict == 0 && !(mode & 4) && ret->bytes != 20)
		die("a length that was not announced");
	struct str trailer = chunked_trailer(&c, S("x"));
	hash_add(&ret->hash, trailer.p, trailer.n);
	hash_end(&ret->hash, ret->sum);
	hash_end(&ret->digests, ret->digests_sum);
	chunked_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 2)
		return 0;
	struct seen whole, cut;
	decode(p + 2, n - 2, n, p[0], &whole);
	decode(p + 2, n - 2, p[1] % 7 + 1, p[0], &cut);
	/* A failing chunk is found after its last byte: what of it has been handed out before depends on the cut, the verdict does
	 * not. */
	if (whole.verdict != cut.verdict || memcmp(whole.digests_sum, cut.digests_sum, hash_size(HASH_CRC64NVME)) != 0)
		die("the verdict depends on where the input is cut");
	if (whole.verdict == 0 && memcmp(whole.sum, cut.sum, hash_size(HASH_CRC64NVME)) != 0)
		die("the bytes depend on where the input is cut");
	return 0;
}
