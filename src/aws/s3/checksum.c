#include "aws/s3/checksum.h"

#include "base/base64.h"

static const struct {
	const char *name, *header;
	enum hash_kind kind;
	bool real;
} algorithms[CHECKSUM_MEMBERS] = {
        {"CRC32", "x-amz-checksum-crc32", HASH_CRC32, true},
        {"CRC32C", "x-amz-checksum-crc32c", HASH_CRC32C, true},
        {"CRC64NVME", "x-amz-checksum-crc64nvme", HASH_CRC64NVME, true},
        {"SHA1", "x-amz-checksum-sha1", HASH_SHA1, true},
        {"SHA256", "x-amz-checksum-sha256", HASH_SHA256, true},
        {"SHA512", "x-amz-checksum-sha512", HASH_SHA512, true},
        {"MD5", "x-amz-checksum-md5", HASH_MD5, true},
        {"XXHASH64", "x-amz-checksum-xxhash64", 0, false},
        {"XXHASH3", "x-amz-checksum-xxhash3", 0, false},
        {"XXHASH128", "x-amz-checksum-xxhash128", 0, false},
};

static int find_name(struct str name)
{
	for (int i = 0; i < CHECKSUM_MEMBERS; i++)
		if (str_ieq(name, str_from(algorithms[i].name)))
			return i;
	return -1;
}

static int find_kind(enum hash_kind kind)
{
	for (int i = 0; i < CHECKSUM_MEMBERS; i++)
		if (algorithms[i].real && algorithms[i].kind == kind)
			return i;
	return 0;
}

const char *checksum_name(enum hash_kind kind)
{
	return algorithms[find_kind(kind)].name;
}

const char *checksum_header(enum hash_kind kind)
{
	return algorithms[find_kind(kind)].header;
}

const char *checksum_member_header(unsigned i)
{
	return algorithms[i].header;
}

bool checksum_kind(struct str name, enum hash_kind *ret)
{
	int i = find_name(name);
	if (i < 0 || !algorithms[i].real)
		return false;
	*ret = algorithms[i].kind;
	return true;
}

bool checksum_is_crc(enum hash_kind kind)
{
	return kind == HASH_CRC32 || kind == HASH_CRC32C || kind == HASH_CRC64NVME;
}

struct str checksum_text(struct arena *a, enum hash_kind kind, const unsigned char *digest)
{
	return base64_encode(a, str_of(digest, hash_size(kind)));
}

bool checksum_bytes(struct arena *a, enum hash_kind kind, struct str text, unsigned char ret[static HASH_MAX_BYTES])
{
	struct str bytes = base64_decode(a, text);
	if (!str_set(bytes) || bytes.n != hash_size(kind))
		return false;
	memcpy(ret, bytes.p, bytes.n);
	return true;
}

void checksum_set(struct str algorithm, struct str value, struct str *const members[static 7])
{
	int i = find_name(algorithm);
	if (i >= 0 && i < 7)
		*members[i] = value;
}

struct str checksum_member(const struct str members[static CHECKSUM_MEMBERS], struct str algorithm)
{
	int i = find_name(algorithm);
	return i < 0 ? STR_NONE : members[i];
}

int checksum_requested(struct call *c, const struct str members[static CHECKSUM_MEMBERS], struct str algorithm,
                       struct checksum *ret)
{
	*ret = (struct checksum){0};
	int found = -1;
	for (int i = 0; i < CHECKSUM_MEMBERS; i++) {
		if (!str_set(members[i]))
			continue;
		if (found >= 0)
			return call_fail(c, "InvalidRequest", 400,
			                 "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
		found = i;
	}
	struct str trailer = call_header(c, S("x-amz-trailer"));
	if (found >= 0) {
		ret->expected = members[found];
	} else if (str_set(trailer)) {
		for (int i = 0; i < CHECKSUM_MEMBERS && found < 0; i++)
			if (str_ieq(str_trim(trailer), str_from(algorithms[i].header)))
				found = i;
		if (found < 0)
			return call_fail(c, "InvalidRequest", 400,
			                 "The value specified in the x-amz-trailer header is not supported");
		ret->in_trailer = true;
	} else if (str_set(algorithm)) {
		found = find_name(algorithm);
		if (found < 0)
			return call_fail(
			        c, "InvalidRequest", 400,
			        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
	}
	if (found < 0)
		return CALL_OK;
	if (!algorithms[found].real)
		return s3_unsupported(c, algorithms[found].header);
	unsigned char bytes[HASH_MAX_BYTES];
	ret->set = true;
	ret->kind = algorithms[found].kind;
	if (str_set(ret->expected) && !checksum_bytes(c->arena, ret->kind, ret->expected, bytes))
		return call_fail(c, "InvalidRequest", 400, "Value for %s header is invalid.", algorithms[found].header);
	return CALL_OK;
}

struct str checksum_composite(struct arena *a, enum hash_kind kind, const struct str *parts, unsigned n)
{
	struct hash h;
	unsigned char digest[HASH_MAX_BYTES];
	hash_init(&h, kind);
	for (unsigned i = 0; i < n; i++) {
		if (!str_set(parts[i]) || !checksum_bytes(a, kind, parts[i], digest))
			return STR_NONE;
		hash_add(&h, digest, hash_size(kind));
	}
	hash_end(&h, digest);
	return arena_printf(a, "%.*s-%u", STR_ARG(checksum_text(a, kind, digest)), n);
}

/* --- Combining CRCs. A CRC is a polynomial over two elements, reduced by the CRC's own; appending a bit multiplies by x. So the
 * first CRC is multiplied by x^(8 * length) and added to the second. Bits are kept in reflected order: the highest is the
 * coefficient of x^0. */

struct crc_field {
	uint64_t polynomial;
	unsigned bits;
};

static struct crc_field crc_field(enum hash_kind kind)
{
	switch (kind) {
	case HASH_CRC32C:
		return (struct crc_field){0x82f63b78u, 32};
	case HASH_CRC64NVME:
		return (struct crc_field){0x9a6c9329ac4bc9b5u, 64};
	default:
		return (struct crc_field){0xedb88320u, 32};
	}
}

static uint64_t crc_multiply(struct crc_field f, uint64_t a, uint64_t b)
{
	uint64_t product = 0;
	for (uint64_t bit = 1ull << (f.bits - 1); bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? (b >> 1) ^ f.polynomial : b >> 1;
	}
	return product;
}

uint64_t checksum_crc_combine(enum hash_kind kind, uint64_t first, uint64_t second, uint64_t length)
{
	struct crc_field f = crc_field(kind);
	uint64_t power = 1ull << (f.bits - 1 - 8), shift = 1ull << (f.bits - 1); /* x^8, x^0 */
	for (; length; length >>= 1) {
		if (length & 1)
			shift = crc_multiply(f, shift, power);
		power = crc_multiply(f, power, power);
	}
	return crc_multiply(f, first, shift) ^ second;
}

struct str checksum_full(struct arena *a, enum hash_kind kind, const struct str *parts, const uint64_t *lengths, unsigned n)
{
	uint64_t whole = 0;
	unsigned char digest[HASH_MAX_BYTES];
	size_t size = hash_size(kind);
	for (unsigned i = 0; i < n; i++) {
		if (!str_set(parts[i]) || !checksum_bytes(a, kind, parts[i], digest))
			return STR_NONE;
		uint64_t crc = 0;
		for (size_t k = 0; k < size; k++)
			crc = crc << 8 | digest[k];
		whole = i == 0 ? crc : checksum_crc_combine(kind, whole, crc, lengths[i]);
	}
	for (size_t k = 0; k < size; k++)
		digest[k] = (unsigned char)(whole >> (8 * (size - 1 - k)));
	return checksum_text(a, kind, digest);
}
