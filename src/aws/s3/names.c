#include "aws/s3/names.h"

#include "base/hash.h"
#include "base/uri.h"

/* Four numbers between dots. */
static bool looks_like_address(struct str name)
{
	unsigned parts = 0;
	while (str_set(name)) {
		uint64_t number;
		struct str part = str_cut(&name, '.');
		if (part.n > 3 || !str_to_u64(part, &number))
			return false;
		parts++;
	}
	return parts == 4;
}

bool s3_bucket_name_valid(struct str name)
{
	if (name.n < 3 || name.n > 63)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool alnum = (c >= 'a' && c <= 'z') || ascii_is_digit(c);
		if (!alnum && ((c != '.' && c != '-') || i == 0 || i == name.n - 1))
			return false;
		if (c == '.' && name.p[i - 1] == '.')
			return false;
	}
	static const struct str prefixes[] = {S_INIT("xn--"), S_INIT("sthree-"), S_INIT("amzn-s3-demo-")};
	static const struct str suffixes[] = {S_INIT("-s3alias"), S_INIT("--ol-s3"), S_INIT(".mrap"), S_INIT("--x-s3"),
	                                      S_INIT("--table-s3")};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
		if (str_starts(name, prefixes[i]))
			return false;
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
		if (str_ends(name, suffixes[i]))
			return false;
	return !looks_like_address(name);
}

/* "us-east-1" and its like: letters and hyphens, a digit at the end. */
static bool looks_like_region(struct str s)
{
	if (s.n < 4 || !ascii_is_digit(s.p[s.n - 1]) || str_find_char(s, '-') < 0)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

/* Takes the last label off a host name: "a.b.c" leaves "a.b" and returns "c". */
static struct str cut_last_label(struct str *host)
{
	ptrdiff_t dot = str_rfind_char(*host, '.');
	struct str label = dot < 0 ? *host : str_from_at(*host, (size_t)dot + 1);
	*host = dot < 0 ? STR_NONE : str_sub(*host, 0, (size_t)dot);
	return label;
}

struct str s3_small(struct arena *a, struct str s)
{
	char *small = arena_dupz(a, s);
	for (size_t i = 0; i < s.n; i++)
		small[i] = ascii_lower(small[i]);
	return str_of(small, s.n);
}

struct str s3_bucket_of_host(struct str host)
{
	static const struct str bases[] = {S_INIT(".amazonaws.com"), S_INIT(".amazonaws.com.cn"), S_INIT(".localhost")};
	ptrdiff_t colon = str_rfind_char(host, ':');
	if (colon >= 0)
		host = str_sub(host, 0, (size_t)colon);
	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
		if (host.n <= bases[i].n || !str_ieq(str_from_at(host, host.n - bases[i].n), bases[i]))
			continue;
		struct str rest = str_sub(host, 0, host.n - bases[i].n), whole = rest;
		struct str last = cut_last_label(&rest);
		if (str_ieq(last, S("s3")) || (str_istarts(last, S("s3-")) && looks_like_region(str_from_at(last, 3))))
			return rest;
		if (str_set(rest) && looks_like_region(last)) {
			struct str before = cut_last_label(&rest);
			if (str_ieq(before, S("s3")))
				return rest;
			if (str_set(rest) && str_ieq(before, S("dualstack")) && str_ieq(cut_last_label(&rest), S("s3")))
				return rest;
		}
		/* What SDKs make of http://localhost:4566. */
		return str_is(bases[i], ".localhost") && str_find_char(whole, '.') < 0 ? whole : STR_NONE;
	}
	return STR_NONE;
}

struct str s3_bucket_arn(struct arena *a, struct str bucket)
{
	return ARENA_CAT(a, S("arn:aws:s3:::"), bucket);
}

struct str s3_object_arn(struct arena *a, struct str bucket, struct str key)
{
	return ARENA_CAT(a, S("arn:aws:s3:::"), bucket, S("/"), key);
}

bool s3_version_id_valid(struct str id)
{
	if (str_is(id, "null"))
		return true;
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]) && !strchr("._-", id.p[i]))
			return false;
	return id.n == 32;
}

bool s3_source_parse(struct arena *a, struct str text, struct s3_source *ret)
{
	struct s3_source source = {.version_id = STR_NONE};
	/* A '?' in the key has to be percent-encoded, so the first bare one begins the version. */
	ptrdiff_t mark = str_find(text, S("?versionId="));
	if (mark >= 0) {
		source.version_id = uri_decode(a, str_from_at(text, (size_t)mark + 11));
		text = str_sub(text, 0, (size_t)mark);
		if (!str_set(source.version_id))
			return false;
	}
	text = uri_decode(a, text);
	if (!str_set(text))
		return false;
	if (text.n && text.p[0] == '/')
		text = str_from_at(text, 1);
	ptrdiff_t slash = str_find_char(text, '/');
	if (slash <= 0 || (size_t)slash + 1 == text.n)
		return false;
	source.bucket = str_sub(text, 0, (size_t)slash);
	source.key = str_from_at(text, (size_t)slash + 1);
	*ret = source;
	return true;
}

struct str s3_canonical_id(struct arena *a, struct str account)
{
	struct str digest = hash_hex(a, HASH_SHA256, ARENA_CAT(a, S("canonical user "), account));
	return ARENA_CAT(a, str_sub(digest, 0, 64 - account.n), account);
}

struct str s3_account_of_canonical_id(struct arena *a, struct str id)
{
	if (id.n != 64)
		return STR_NONE;
	struct str account = str_from_at(id, 52);
	return str_eq(s3_canonical_id(a, account), id) ? account : STR_NONE;
}
