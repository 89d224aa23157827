/* The tree is a list of leaves, each a path and its text, in the order of listings. A directory is what leaves have as a common
 * beginning, so a listing can name nothing that is not there. One name is listed otherwise than it is asked for: public-keys/0
 * stands as "0=name" in its directory. */
#include "aws/ec2/metadata/metadata.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"

struct leaf {
	struct str path, text;
};
struct leaves {
	struct leaf *v;
	uint32_t n, cap;
	struct arena *arena;
};

static const char *const versions[] = {"1.0",        "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15",
                                       "2008-02-01", "2008-09-01", "2009-04-04", "2011-01-01", "2011-05-01", "2012-01-12",
                                       "2014-02-25", "2014-11-05", "2015-10-20", "2016-04-19", "2016-06-30", "2016-09-02",
                                       "2018-03-28", "2018-08-17", "2018-09-24", "2019-10-01", "2020-10-27", "2021-01-03",
                                       "2021-03-23", "2021-07-15", "latest"};
enum { VERSIONS = sizeof(versions) / sizeof(*versions) };

static void add(struct leaves *l, struct str path, struct str text)
{
	if (!str_set(text))
		return;
	if (l->n == l->cap) {
		struct leaf *grown = arena_array(l->arena, l->cap ? l->cap * 2 : 128, sizeof(*grown));
		if (l->n)
			memcpy(grown, l->v, l->n * sizeof(*grown));
		l->v = grown;
		l->cap = l->cap ? l->cap * 2 : 128;
	}
	l->v[l->n++] = (struct leaf){path, text};
}

static struct str lines(struct arena *a, struct str_list list)
{
	struct str all = STR_NONE;
	for (uint32_t i = 0; i < list.n; i++)
		all = i ? ARENA_CAT(a, all, S("\n"), list.v[i]) : list.v[i];
	return all;
}

static struct str time_text(struct arena *a, int64_t ms)
{
	return time_format(a, ms - ms % 1000, TIME_ISO8601);
}

struct str metadata_public_name(struct arena *a, struct str region, struct str address)
{
	char *name = arena_dupz(a, address);
	for (char *p = name; *p; p++)
		if (*p == '.')
			*p = '-';
	return str_is(region, "us-east-1") ? arena_printf(a, "ec2-%s.compute-1.amazonaws.com", name)
	                                   : arena_printf(a, "ec2-%s.%.*s.compute.amazonaws.com", name, STR_ARG(region));
}

static void add_interface(struct leaves *l, const struct metadata_view *v, const struct metadata_interface *i)
{
	struct arena *a = l->arena;
	struct str under = ARENA_CAT(a, S("meta-data/network/interfaces/macs/"), i->mac, S("/"));
	struct str_list private = {0}, public = {0}, names = {0};
	for (size_t k = 0; k < i->address_count; k++) {
		*LIST_ADD(a, &private) = i->addresses[k].private;
		if (str_set(i->addresses[k].public)) {
			*LIST_ADD(a, &public) = i->addresses[k].public;
			*LIST_ADD(a, &names) = metadata_public_name(a, v->region, i->addresses[k].public);
		}
	}
#define AT(name) ARENA_CAT(a, under, S(name))
	add(l, AT("device-number"), arena_printf(a, "%u", i->device_number));
	add(l, AT("interface-id"), i->id);
	for (size_t k = 0; k < i->address_count; k++)
		if (str_set(i->addresses[k].public))
			add(l, ARENA_CAT(a, under, S("ipv4-associations/"), i->addresses[k].public), i->addresses[k].private);
	add(l, AT("ipv6s"), lines(a, i->ipv6s));
	add(l, AT("local-hostname"), v->host_name);
	add(l, AT("local-ipv4s"), lines(a, private));
	add(l, AT("mac"), i->mac);
	add(l, AT("owner-id"), v->account);
	add(l, AT("public-hostname"), lines(a, names));
	add(l, AT("public-ipv4s"), lines(a, public));
	add(l, AT("security-group-ids"), lines(a, i->group_ids));
	add(l, AT("security-groups"), lines(a, i->group_names));
	add(l, AT("subnet-id"), i->subnet_id);
	add(l, AT("subnet-ipv4-cidr-block"), i->subnet_cidr);
	add(l, AT("subnet-ipv6-cidr-blocks"), lines(a, i->subnet_ipv6_cidrs));
	add(l, AT("vpc-id"), i->vpc_id);
	add(l, AT("vpc-ipv4-cidr-block"), i->vpc_cidrs.n ? i->vpc_cidrs.v[0] : STR_NONE);
	add(l, AT("vpc-ipv4-cidr-blocks"), lines(a, i->vpc_cidrs));
	add(l, AT("vpc-ipv6-cidr-blocks"), lines(a, i->vpc_ipv6_cidrs));
#undef AT
}

static struct str json_of(struct arena *a, const char *const *names, const struct str *values, size_t n)
{
	struct buf CLEAN_BUF b;
	buf_init(&b, 64 * 1024);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&b, "%s\"%s\" : ", i ? ",\n  " : "{\n  ", names[i]);
		if (str_set(values[i]))
			json_put_string(&b, values[i]);
		else
			buf_add_lit(&b, "null");
	}
	buf_add_lit(&b, "\n}");
	return arena_dup(a, buf_str(&b));
}

static void add_role(struct leaves *l, const struct metadata_view *v)
{
	struct arena *a = l->arena;
	if (!str_set(v->profile_arn))
		return;
	static const char *const info[] = {"Code", "LastUpdated", "InstanceProfileArn", "InstanceProfileId"};
	struct str updated = time_text(a, v->issued_ms ? v->issued_ms : v->pending_ms);
	struct str code = v->credentials == METADATA_ROLE_FAILED ? S("AssumeRoleUnauthorizedAccess") : S("Success");
	add(l, S("meta-data/iam/info"), json_of(a, info, (struct str[]){code, updated, v->profile_arn, v->profile_id}, 4));
	if (!str_set(v->role_name))
		return;
	struct str at = ARENA_CAT(a, S("meta-data/iam/security-credentials/"), v->role_name);
	if (v->credentials == METADATA_ROLE_FAILED) {
		static const char *const failed[] = {"Code", "Message", "LastUpdated"};
		struct str why = S("EC2 cannot assume the role of this instance. Its trust policy must allow ec2.amazonaws.com.");
		add(l, at, json_of(a, failed, (struct str[]){code, why, updated}, 3));
		return;
	}
	static const char *const names[] = {"Code", "LastUpdated", "Type", "AccessKeyId", "SecretAccessKey", "Token", "Expiration"};
	const struct str values[] = {
	        S("Success"), updated, S("AWS-HMAC"), v->access_key, v->secret, v->token, time_text(a, v->expires_ms)};
	add(l, at, json_of(a, names, values, 7));
}

static void add_tags(struct leaves *l, const struct metadata_view *v)
{
	for (uint32_t i = 0; v->tags_shown && v->tags && i < v->tags->n; i++)
		add(l, ARENA_CAT(l->arena, S("meta-data/tags/instance/"), v->tags->v[i].key), v->tags->v[i].value);
}

static void add_metadata(struct leaves *l, const struct metadata_view *v)
{
	struct arena *a = l->arena;
	const struct metadata_interface *first = v->interface_count ? v->interfaces : NULL;
	struct metadata_address main_address = first && first->address_count ? first->addresses[0] : (struct metadata_address){0};
	add(l, S("meta-data/ami-id"), v->image_id);
	add(l, S("meta-data/ami-launch-index"), arena_printf(a, "%u", v->launch_index));
	add(l, S("meta-data/ami-manifest-path"), S("(unknown)"));
	add(l, S("meta-data/autoscaling/target-lifecycle-state"), v->target_state);
	for (size_t i = 0; i < v->device_count; i++)
		add(l, ARENA_CAT(a, S("meta-data/block-device-mapping/"), v->devices[i].name), v->devices[i].device);
	add(l, S("meta-data/events/maintenance/history"), str_set(v->events_history) ? v->events_history : S("[]"));
	add(l, S("meta-data/events/maintenance/scheduled"), str_set(v->events_scheduled) ? v->events_scheduled : S("[]"));
	if (v->recommended_ms)
		add(l, S("meta-data/events/recommendations/rebalance"),
		    ARENA_CAT(a, S("{\"noticeTime\":\""), time_text(a, v->recommended_ms), S("\"}")));
	add(l, S("meta-data/hostname"), v->host_name);
	add_role(l, v);
	add(l, S("meta-data/instance-action"), S("none"));
	add(l, S("meta-data/instance-id"), v->instance_id);
	add(l, S("meta-data/instance-life-cycle"), v->spot ? S("spot") : S("on-demand"));
	add(l, S("meta-data/instance-type"), v->type);
	add(l, S("meta-data/ipv6"), first && first->ipv6s.n ? first->ipv6s.v[0] : STR_NONE);
	add(l, S("meta-data/local-hostname"), v->host_name);
	add(l, S("meta-data/local-ipv4"), main_address.private);
	add(l, S("meta-data/mac"), first ? first->mac : STR_NONE);
	/* What is left of it on AWS: programs of hypervisors other than Amazon's read it. */
	add(l, S("meta-data/metrics/vhostmd"), S("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
	for (size_t i = 0; i < v->interface_count; i++)
		add_interface(l, v, &v->interfaces[i]);
	add(l, S("meta-data/placement/availability-zone"), v->zone);
	add(l, S("meta-data/placement/availability-zone-id"), v->zone_id);
	add(l, S("meta-data/placement/group-name"), v->group_name);
	if (v->partition)
		add(l, S("meta-data/placement/partition-number"), arena_printf(a, "%u", v->partition));
	add(l, S("meta-data/placement/region"), v->region);
	add(l, S("meta-data/profile"), S("default-hvm"));
	if (str_set(main_address.public)) {
		add(l, S("meta-data/public-hostname"), metadata_public_name(a, v->region, main_address.public));
		add(l, S("meta-data/public-ipv4"), main_address.public);
	}
	if (str_set(v->public_key))
		add(l, S("meta-data/public-keys/0/openssh-key"), ARENA_CAT(a, v->public_key, S(" "), v->key_name, S("\n")));
	add(l, S("meta-data/reservation-id"), v->reservation_id);
	add(l, S("meta-data/security-groups"), first ? lines(a, first->group_names) : STR_NONE);
	add(l, S("meta-data/services/domain"), S("amazonaws.com"));
	add(l, S("meta-data/services/partition"), S("aws"));
	if (v->interrupt_ms) {
		struct str time = time_text(a, v->interrupt_ms);
		add(l, S("meta-data/spot/instance-action"),
		    ARENA_CAT(a, S("{\"action\": \"terminate\", \"time\": \""), time, S("\"}")));
		add(l, S("meta-data/spot/termination-time"), time);
	}
	add(l, S("meta-data/system"), S("nitro"));
	add_tags(l, v);
}

struct str metadata_identity_document(struct arena *a, const struct metadata_view *v)
{
	const struct metadata_interface *first = v->interface_count ? v->interfaces : NULL;
	static const char *const names[] = {
	        "accountId", "architecture", "availabilityZone", "billingProducts", "devpayProductCodes", "marketplaceProductCodes",
	        "imageId",   "instanceId",   "instanceType",     "kernelId",        "pendingTime",        "privateIp",
	        "ramdiskId", "region",       "version"};
	const struct str values[] = {v->account,
	                             v->architecture,
	                             v->zone,
	                             STR_NONE,
	                             STR_NONE,
	                             STR_NONE,
	                             v->image_id,
	                             v->instance_id,
	                             v->type,
	                             STR_NONE,
	                             time_text(a, v->pending_ms),
	                             first && first->address_count ? first->addresses[0].private : STR_NONE,
	                             STR_NONE,
	                             v->region,
	                             S("2017-09-30")};
	return json_of(a, names, values, sizeof(names) / sizeof(*names));
}

static void add_dynamic(struct leaves *l, const struct metadata_view *v)
{
	add(l, S("dynamic/fws/instance-monitoring"), v->monitored ? S("enabled") : S("disabled"));
	add(l, S("dynamic/instance-identity/document"), metadata_identity_document(l->arena, v));
	add(l, S("dynamic/instance-identity/pkcs7"), v->identity_pkcs7);
	add(l, S("dynamic/instance-identity/rsa2048"), v->identity_rsa2048);
	add(l, S("dynamic/instance-identity/signature"), v->identity_signature);
	/* Ours: a virtual machine knows a disk by its volume's id alone, and asks here what it shall call it. */
	for (size_t i = 0; i < v->device_count; i++)
		if (str_set(v->devices[i].volume))
			add(l, ARENA_CAT(l->arena, S("dynamic/quartet/volumes/"), v->devices[i].volume), v->devices[i].device);
}

/* What lies under prefix (which ends with '/' or is empty): each next part once, directories with a '/'. */
static struct str listing(struct leaves *l, const struct metadata_view *v, struct str prefix)
{
	struct str_list names = {0};
	for (uint32_t i = 0; i < l->n; i++) {
		if (!str_starts(l->v[i].path, prefix))
			continue;
		struct str rest = str_from_at(l->v[i].path, prefix.n);
		ptrdiff_t slash = str_find_char(rest, '/');
		struct str name = slash < 0 ? rest : str_sub(rest, 0, (size_t)slash + 1);
		/* The three trees are listed without, as clients of the first version expect. */
		if (str_empty(prefix) && slash >= 0)
			name.n--;
		if (str_is(prefix, "meta-data/public-keys/"))
			name = ARENA_CAT(l->arena, S("0="), v->key_name);
		if (!names.n || !str_eq(names.v[names.n - 1], name))
			*LIST_ADD(l->arena, &names) = name;
	}
	return lines(l->arena, names);
}

static struct str below_version(struct str path, bool *ret_root)
{
	struct str rest = str_from_at(path, 1);
	*ret_root = str_empty(rest);
	struct str version = str_cut(&rest, '/');
	for (size_t i = 0; i < VERSIONS; i++)
		if (str_is(version, versions[i]))
			return str_set(rest) ? rest : S("");
	return STR_NONE;
}

bool metadata_wants_credentials(struct str path)
{
	return str_find(path, S("/meta-data/iam/")) >= 0;
}

bool metadata_wants_identity(struct str path)
{
	return str_find(path, S("/dynamic/instance-identity")) >= 0;
}

struct str metadata_text(struct arena *a, const struct metadata_view *v, struct str path)
{
	bool root;
	struct leaves l = {.arena = a};
	if (!str_starts(path, S("/")))
		return STR_NONE;
	struct str below = below_version(path, &root);
	if (root) {
		struct str_list names = {0};
		for (size_t i = 0; i < VERSIONS; i++)
			*LIST_ADD(a, &names) = str_from(versions[i]);
		return lines(a, names);
	}
	if (!str_set(below))
		return STR_NONE;
	add_dynamic(&l, v);
	add_metadata(&l, v);
	add(&l, S("user-data"), v->user_data);
	bool slash = str_ends(below, S("/"));
	struct str leaf = slash ? str_sub(below, 0, below.n - 1) : below;
	for (uint32_t i = 0; i < l.n; i++)
		if (str_eq(l.v[i].path, leaf))
			return l.v[i].text;
	return listing(&l, v, slash || str_empty(below) ? below : ARENA_CAT(a, below, S("/")));
}

/* ---- tokens: until when, and a code over that and the instance ---- */

enum { CODE_BYTES = 32, WHEN_BYTES = 8 };

static void seal(struct arena *a, const unsigned char *key, struct str instance_id, int64_t expires_ms,
                 unsigned char out[WHEN_BYTES + CODE_BYTES])
{
	for (int i = 0; i < WHEN_BYTES; i++)
		out[i] = (unsigned char)((uint64_t)expires_ms >> (56 - 8 * i));
	struct str about = ARENA_CAT(a, str_of(out, WHEN_BYTES), instance_id);
	hmac_sha256(str_of(key, METADATA_KEY_BYTES), about, out + WHEN_BYTES);
}

struct str metadata_token_make(struct arena *a, const unsigned char key[METADATA_KEY_BYTES], struct str instance_id,
                               int64_t expires_ms)
{
	unsigned char sealed[WHEN_BYTES + CODE_BYTES];
	seal(a, key, instance_id, expires_ms, sealed);
	return ARENA_CAT(a, base64url_encode(a, str_of(sealed, sizeof(sealed))), S("=="));
}

bool metadata_token_good(struct arena *a, const unsigned char key[METADATA_KEY_BYTES], struct str instance_id, struct str token,
                         int64_t now_ms)
{
	struct str bytes = str_ends(token, S("==")) ? base64url_decode(a, str_sub(token, 0, token.n - 2)) : STR_NONE;
	if (bytes.n != WHEN_BYTES + CODE_BYTES)
		return false;
	uint64_t when = 0;
	for (int i = 0; i < WHEN_BYTES; i++)
		when = when << 8 | (unsigned char)bytes.p[i];
	unsigned char sealed[WHEN_BYTES + CODE_BYTES];
	seal(a, key, instance_id, (int64_t)when, sealed);
	return hash_equal(bytes, str_of(sealed, sizeof(sealed))) && (int64_t)when > now_ms;
}
