#include "rows.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/rand.h"

enum { NAME_BYTES_MAX = 380, DAY_MS = 86400000 };

struct logs_state *logs_state(const struct call *c)
{
	return cloud_state(c->cloud, &logs_service);
}

/* --- keys */

/* Bytes that a name takes in a key: 0x00 and 0x01 take two. */
static size_t name_bytes(struct str name)
{
	size_t n = name.n;
	for (size_t i = 0; i < name.n; i++)
		n += (unsigned char)name.p[i] <= 1;
	return n;
}

static struct str name_head(struct str name)
{
	size_t n = 0, bytes = 0;
	for (; n < name.n && bytes + 2 <= NAME_BYTES_MAX - 40; n++)
		bytes += (unsigned char)name.p[n] <= 1 ? 2 : 1;
	return str_sub(name, 0, n);
}

struct str logs_name_part(struct arena *a, struct str name)
{
	if (name_bytes(name) <= NAME_BYTES_MAX - 40)
		return name;
	return ARENA_CAT(a, name_head(name), S(" "), str_sub(hash_hex(a, HASH_SHA256, name), 0, 32));
}

static struct str id_part(struct arena *a, uint64_t id)
{
	return arena_printf(a, "%016lx", id);
}

struct str logs_group_key(struct call *c, struct str name)
{
	return KEY(c->arena, S("logs"), S("group"), c->account, c->region, logs_name_part(c->arena, name));
}

struct str logs_groups_under(struct call *c)
{
	return KEY_UNDER(c->arena, S("logs"), S("group"), c->account, c->region);
}

struct str logs_stream_key(struct arena *a, uint64_t group, struct str name)
{
	return KEY(a, S("logs"), S("stream"), id_part(a, group), logs_name_part(a, name));
}

struct str logs_streams_under(struct arena *a, uint64_t group)
{
	return KEY_UNDER(a, S("logs"), S("stream"), id_part(a, group));
}

struct str logs_purge_key(struct arena *a, uint64_t group, uint64_t stream)
{
	return KEY(a, S("logs"), S("purge"), id_part(a, group), id_part(a, stream));
}

struct str logs_stream_name_key(struct arena *a, uint64_t group, uint64_t stream)
{
	return KEY(a, S("logs"), S("stream_name"), id_part(a, group), id_part(a, stream));
}

struct str logs_stream_names_under(struct arena *a, uint64_t group)
{
	return KEY_UNDER(a, S("logs"), S("stream_name"), id_part(a, group));
}

struct str logs_names_under(struct arena *a, struct str under, struct str prefix)
{
	return ARENA_CAT(a, under, KEY(a, name_head(prefix)));
}

/* --- records */

bool logs_find_group(struct call *c, struct str name, struct logs_group *ret)
{
	ret->key = logs_group_key(c, name);
	if (!record_get(call_txn(c), c->arena, ret->key, LOGS_ROW("Group"), &ret->record))
		return false;
	ret->id = (uint64_t)ret->record.id.v;
	return true;
}

bool logs_find_stream(struct call *c, uint64_t group, struct str name, struct logs_stream *ret)
{
	ret->key = logs_stream_key(c->arena, group, name);
	if (!record_get(call_txn(c), c->arena, ret->key, LOGS_ROW("Stream"), &ret->record))
		return false;
	ret->id = (uint64_t)ret->record.id.v;
	return true;
}

int logs_get_group(struct call *c, struct str name, struct logs_group *ret)
{
	if (logs_find_group(c, name, ret))
		return CALL_OK;
	return call_fail(c, "ResourceNotFoundException", 0, "The specified log group does not exist.");
}

int logs_get_stream(struct call *c, const struct logs_group *group, struct str name, struct logs_stream *ret)
{
	if (logs_find_stream(c, group->id, name, ret))
		return CALL_OK;
	return call_fail(c, "ResourceNotFoundException", 0, "The specified log stream does not exist.");
}

void logs_put_group(struct call *c, const struct logs_group *group)
{
	record_put(call_txn(c), c->arena, group->key, LOGS_ROW("Group"), &group->record);
}

uint64_t logs_new_id(void)
{
	uint64_t id = 0;
	while (id == 0)
		id = rand_u64() >> 1;
	return id;
}

struct str logs_stream_name(struct store_txn *t, struct arena *a, uint64_t group, uint64_t stream)
{
	struct store_value v;
	return store_get(t, logs_stream_name_key(a, group, stream), &v) ? arena_dup(a, v.value) : STR_NONE;
}

/* --- names */

struct str logs_group_arn(struct call *c, struct str name)
{
	return arena_printf(c->arena, "arn:aws:logs:%.*s:%.*s:log-group:%.*s", STR_ARG(c->region), STR_ARG(c->account),
	                    STR_ARG(name));
}

struct str logs_name_of_arn(struct call *c, struct str arn)
{
	struct str head = logs_group_arn(c, S(""));
	if (!str_starts(arn, head) || arn.n == head.n)
		return STR_NONE;
	struct str name = str_from_at(arn, head.n);
	return str_ends(name, S(":*")) ? str_sub(name, 0, name.n - 2) : name;
}

struct str logs_group_name(struct call *c, struct str name, struct str identifier)
{
	if (str_set(name) == str_set(identifier)) {
		logs_invalid(c, str_set(name)
		                        ? "LogGroupName and LogGroupIdentifier are mutually exclusive. Please specify only one."
		                        : "Either LogGroupName or LogGroupIdentifier must be specified.");
		return STR_NONE;
	}
	if (str_set(name) || !str_starts(identifier, S("arn:")))
		return str_set(name) ? name : identifier;
	struct str found = logs_name_of_arn(c, identifier);
	if (!str_set(found))
		call_fail(c, "ResourceNotFoundException", 0, "The specified log group does not exist.");
	return found;
}

int64_t logs_retention_cutoff_ms(int64_t retention_days, int64_t now_ms)
{
	int64_t cutoff = now_ms - retention_days * DAY_MS;
	return retention_days > 0 && cutoff > 0 ? cutoff : 0;
}

int64_t logs_cutoff_ms(const struct call *c, const struct logs_group *group)
{
	return logs_retention_cutoff_ms(group->record.retention_in_days.v, c->now_ms);
}

int logs_invalid(struct call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	return call_fail(c, "InvalidParameterException", 0, "%.*s", STR_ARG(message));
}

/* --- positions and pages */

struct str logs_position_digits(struct arena *a, struct log_position at, uint64_t owner)
{
	return arena_printf(a, "%018ld%019lu%019lu", at.time_ms, at.number, owner);
}

bool logs_position_parse(struct str digits, uint64_t owner, struct log_position *ret)
{
	uint64_t time_ms, number, of;
	if (digits.n != 56 || !str_to_u64(str_sub(digits, 0, 18), &time_ms) || !str_to_u64(str_sub(digits, 18, 19), &number) ||
	    !str_to_u64(str_sub(digits, 37, 19), &of) || of != owner)
		return false;
	*ret = (struct log_position){(int64_t)time_ms, number};
	return true;
}

bool logs_page_from(struct call *c, struct str token, struct str under, struct str *ret)
{
	*ret = STR_NONE;
	if (!str_set(token))
		return true;
	struct str last = base64url_decode(c->arena, token);
	if (!str_set(last) || !str_starts(last, under)) {
		logs_invalid(c, "The specified nextToken is invalid.");
		return false;
	}
	*ret = last;
	return true;
}

struct str logs_page_token(struct call *c, struct str last)
{
	return base64url_encode(c->arena, last);
}
