#include "aws/s3/post_form.h"

#include "base/clock.h"
#include "base/json.h"

struct str post_field(const struct post_fields *f, const char *name)
{
	for (unsigned i = 0; i < f->n; i++)
		if (str_ieq(f->v[i].name, str_from(name)))
			return f->v[i].value;
	return STR_NONE;
}

struct str post_boundary(struct arena *a, struct str content_type)
{
	if (!str_istarts(content_type, S("multipart/form-data")))
		return STR_NONE;
	ptrdiff_t at = str_find(content_type, S("boundary="));
	if (at < 0)
		return STR_NONE;
	struct str b = str_from_at(content_type, (size_t)at + 9);
	b = str_trim(str_cut(&b, ';'));
	if (b.n >= 2 && b.p[0] == '"' && b.p[b.n - 1] == '"')
		b = str_sub(b, 1, b.n - 2);
	return b.n && b.n <= 70 ? arena_dup(a, b) : STR_NONE;
}

/* name="..." in a Content-Disposition line. */
static struct str parameter(struct str line, const char *name)
{
	struct str rest = line;
	str_cut(&rest, ';');
	while (str_set(rest)) {
		struct str value = str_trim(str_cut(&rest, ';'));
		struct str key = str_cut(&value, '=');
		if (!str_set(value) || !str_ieq(str_trim(key), str_from(name)))
			continue;
		value = str_trim(value);
		return value.n >= 2 && value.p[0] == '"' ? str_sub(value, 1, value.n - 2) : value;
	}
	return STR_NONE;
}

long post_fields_parse(struct arena *a, struct str body, struct str boundary, struct post_fields *ret)
{
	struct str mark = ARENA_CAT(a, S("--"), boundary), next = ARENA_CAT(a, S("\r\n--"), boundary);
	size_t at = 0;
	*ret = (struct post_fields){0};
	if (body.n < mark.n)
		return str_starts(mark, body) ? 0 : -1;
	if (!str_starts(body, mark))
		return -1;
	at = mark.n;
	for (;;) {
		if (body.n < at + 2)
			return 0;
		if (!str_eq(str_sub(body, at, 2), S("\r\n")))
			return -1; /* also the end of a form without a file */
		at += 2;
		ptrdiff_t head = str_find(str_from_at(body, at), S("\r\n\r\n"));
		if (head < 0)
			return 0;
		struct str lines = str_sub(body, at, (size_t)head), name = STR_NONE, file_name = STR_NONE, type = STR_NONE;
		at += (size_t)head + 4;
		while (str_set(lines)) {
			struct str value = str_trim(str_cut(&lines, '\n'));
			struct str line = value, key = str_trim(str_cut(&value, ':'));
			if (str_ieq(key, S("content-disposition"))) {
				name = parameter(line, "name");
				file_name = parameter(line, "filename");
			} else if (str_ieq(key, S("content-type"))) {
				type = str_trim(value);
			}
		}
		if (!str_set(name))
			return -1;
		if (str_ieq(name, S("file"))) {
			ret->file_name = str_set(file_name) ? file_name : S("");
			ret->file_type = type;
			return (long)at;
		}
		ptrdiff_t end = str_find(str_from_at(body, at), next);
		if (end < 0)
			return 0;
		if (ret->n == POST_FIELDS_MAX)
			return -1;
		struct post_field *grown = ret->v ? ret->v : arena_array(a, POST_FIELDS_MAX, sizeof(*grown));
		ret->v = grown;
		ret->v[ret->n++] = (struct post_field){name, str_sub(body, at, (size_t)end)};
		at += (size_t)end + next.n;
	}
}

static struct str bare_name(struct str name)
{
	return str_starts(name, S("$")) ? str_from_at(name, 1) : name;
}

/* A field's value as conditions see it: the bucket comes from the address. */
static struct str actual(const struct post_fields *f, struct str bucket, struct str name)
{
	if (str_ieq(name, S("bucket")))
		return bucket;
	for (unsigned i = 0; i < f->n; i++)
		if (str_ieq(f->v[i].name, name))
			return f->v[i].value;
	return STR_NONE;
}

struct check {
	struct arena *a;
	const struct post_fields *fields;
	struct str bucket;
	struct str_list covered; /* fields that some condition names */
	int64_t min, max;
	struct str why;
};

static bool fails(struct check *k, const char *op, struct str name, struct str value)
{
	k->why = arena_printf(k->a, "Policy Condition failed: [\"%s\", \"$%.*s\", \"%.*s\"]", op, STR_ARG(name), STR_ARG(value));
	return false;
}

static bool check_one(struct check *k, const char *op, struct str name, struct str value)
{
	name = bare_name(name);
	*LIST_ADD(k->a, &k->covered) = name;
	struct str got = actual(k->fields, k->bucket, name);
	bool holds = str_is(S("starts-with"), op) ? str_set(got) && str_starts(got, value) : str_set(got) && str_eq(got, value);
	/* Any value will do, even none. */
	if (str_is(S("starts-with"), op) && !value.n)
		holds = true;
	return holds || fails(k, op, name, value);
}

static bool to_size(const struct json_value *v, int64_t *ret)
{
	return (json_is(v, JSON_NUMBER) && json_to_int(v->text, ret)) || (json_is(v, JSON_STRING) && str_to_i64(v->text, ret));
}

static bool check_condition(struct check *k, const struct json_value *condition)
{
	if (json_is(condition, JSON_OBJECT)) {
		json_each(condition,
		          member) if (!json_is(member, JSON_STRING) || !check_one(k, "eq", member->key, member->text)) return false;
		return true;
	}
	if (!json_is(condition, JSON_ARRAY) || condition->count != 3 || !json_is(condition->first, JSON_STRING))
		return false;
	const struct json_value *op = condition->first, *x = op->next, *y = x->next;
	if (str_ieq(op->text, S("content-length-range")))
		return to_size(x, &k->min) && to_size(y, &k->max);
	if (!json_is(x, JSON_STRING) || !json_is(y, JSON_STRING))
		return false;
	if (str_ieq(op->text, S("eq")))
		return check_one(k, "eq", x->text, y->text);
	return str_ieq(op->text, S("starts-with")) && check_one(k, "starts-with", x->text, y->text);
}

/* Fields that need no condition. */
static bool is_free_field(struct str name)
{
	static const char *const names[] = {"x-amz-signature", "file", "policy", "awsaccesskeyid", "signature"};
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_ieq(name, str_from(names[i])))
			return true;
	return str_istarts(name, S("x-ignore-"));
}

bool post_policy_permits(struct arena *a, struct str policy, const struct post_fields *f, struct str bucket, int64_t now_ms,
                         struct str *ret_why, int64_t *ret_min, int64_t *ret_max)
{
	struct check k = {.a = a, .fields = f, .bucket = bucket, .max = INT64_MAX, .why = S("Invalid JSON.")};
	const struct json_value *document = json_parse(a, policy, NULL), *conditions = json_get(document, S("conditions"));
	int64_t expires_ms;
	*ret_why = k.why;
	if (!json_is(document, JSON_OBJECT) || !json_is(conditions, JSON_ARRAY) ||
	    !time_parse(json_get_str(document, S("expiration")), &expires_ms))
		return false;
	if (expires_ms <= now_ms) {
		*ret_why = S("Policy expired.");
		return false;
	}
	json_each(conditions, condition)
	{
		k.why = S("Invalid Condition.");
		if (!check_condition(&k, condition)) {
			*ret_why = k.why;
			return false;
		}
	}
	for (unsigned i = 0; i < f->n; i++) {
		bool covered = is_free_field(f->v[i].name);
		for (unsigned j = 0; j < k.covered.n; j++)
			covered |= str_ieq(k.covered.v[j], f->v[i].name);
		if (!covered) {
			*ret_why = ARENA_CAT(a, S("Extra input fields: "), f->v[i].name);
			return false;
		}
	}
	*ret_min = k.min;
	*ret_max = k.max;
	return true;
}
