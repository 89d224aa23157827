/* Policy documents: reading and checking them, in AWS's words where they are wrong. Evaluation is in policy_eval.c. */
#include "core/policy.h"

#include "base/json.h"
#include "base/log.h"
#include "core/policy_compiled.h"

#include <stdlib.h>

struct reader {
	struct policy *policy;
	struct arena *a;       /* of the compiled policy */
	struct arena *scratch; /* of the message */
	struct str json;       /* the document */
	size_t counted;        /* of its bytes, up to `place` */
	struct policy_place place;
	struct str message; /* set: it failed */
	bool variables;     /* the version has them */
	bool managed;       /* no older version will do */
};

static bool wrong(struct reader *r, struct str message)
{
	if (!str_set(r->message))
		r->message = message;
	return false;
}

static bool syntax(struct reader *r)
{
	return wrong(r, S("Syntax errors in policy."));
}

/* A list of strings, or one string in its place. */
static unsigned string_count(const struct json_value *v)
{
	return json_is(v, JSON_ARRAY) ? v->count : 1;
}

static const struct json_value *first_string(const struct json_value *v)
{
	return json_is(v, JSON_ARRAY) ? v->first : v;
}

static const struct json_value *next_string(const struct json_value *list, const struct json_value *v)
{
	return json_is(list, JSON_ARRAY) ? v->next : NULL;
}

#define each_string(list, var) for (const struct json_value *var = first_string(list); var; var = next_string(list, var))

/* --- actions */

static bool vendor_valid(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return s.n > 0;
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_dupz(a, s);
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	return str_of(p, s.n);
}

static bool is_wild(struct str s)
{
	return str_find_char(s, '*') >= 0 || str_find_char(s, '?') >= 0;
}

static bool read_action(struct reader *r, struct str text, struct policy_action *ret)
{
	if (str_is(text, "*")) {
		*ret = (struct policy_action){.any = true};
		return r->policy->kind != POLICY_TRUST || wrong(r, S("AssumeRole policy may only specify STS AssumeRole actions."));
	}
	struct str name = text, service = str_cut(&name, ':');
	if (!str_set(name))
		return wrong(r, S("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
	if (str_find_char(name, ':') >= 0)
		return wrong(r, S("Actions/Condition can contain only one colon."));
	if (!vendor_valid(service))
		return wrong(r, arena_printf(r->scratch, "Vendor %.*s is not valid", STR_ARG(service)));
	if (name.n == 0)
		return syntax(r);
	if (r->policy->kind == POLICY_TRUST &&
	    !(str_ieq(service, S("sts")) && (str_istarts(name, S("AssumeRole")) || str_is(name, "*") ||
	                                     str_ieq(name, S("TagSession")) || str_ieq(name, S("SetSourceIdentity")))))
		return wrong(r, S("AssumeRole policy may only specify STS AssumeRole actions."));
	*ret = (struct policy_action){.service = lower(r->a, service),
	                              .name = arena_dup(r->a, name),
	                              .name_any = str_is(name, "*"),
	                              .name_wild = is_wild(name)};
	return true;
}

static bool read_actions(struct reader *r, const struct json_value *v, struct policy_statement *s)
{
	s->actions = arena_array(r->a, string_count(v) + 1, sizeof(*s->actions));
	each_string(v, e) if (!json_is(e, JSON_STRING)) return syntax(r);
	else if (!read_action(r, e->text, &s->actions[s->action_count++])) return false;
	return s->action_count > 0 || wrong(r, S("Policy statement must contain actions."));
}

/* --- resources */

static void make_pattern(struct reader *r, struct str text, struct policy_pattern *ret)
{
	*ret = (struct policy_pattern){
	        .text = arena_dup(r->a, text),
	        .wild = is_wild(text),
	        .variables = r->variables && str_find(text, S("${")) >= 0,
	        .any = str_is(text, "*"),
	};
}

static bool iam_path_valid(struct str resource)
{
	static const char *const kinds[] = {"user/",
	                                    "federated-user/",
	                                    "role/",
	                                    "group/",
	                                    "instance-profile/",
	                                    "mfa/",
	                                    "server-certificate/",
	                                    "policy/",
	                                    "sms-mfa/",
	                                    "saml-provider/",
	                                    "oidc-provider/",
	                                    "report/",
	                                    "access-report/"};
	if (str_is(resource, "*") || str_is(resource, "root"))
		return true;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_starts(resource, str_from(kinds[i])))
			return true;
	return false;
}

static bool check_resource(struct reader *r, struct str text)
{
	if (str_is(text, "*"))
		return true;
	struct str rest = text, parts[5];
	for (int i = 0; i < 5; i++)
		parts[i] = str_set(rest) ? str_cut(&rest, ':') : STR_NONE;
	if (!str_is(parts[0], "arn") || !str_set(parts[1]))
		return str_is(text, "arn:*") ||
		       wrong(r, arena_printf(r->scratch, "Resource %.*s must be in ARN format or \"*\".", STR_ARG(text)));
	if (!is_wild(parts[1]) && !str_is(parts[1], "aws") && !str_is(parts[1], "aws-cn") && !str_is(parts[1], "aws-us-gov"))
		return wrong(r, arena_printf(r->scratch, "Partition \"%.*s\" is not valid for resource \"%.*s\".",
		                             STR_ARG(parts[1]), STR_ARG(text)));
	if (!str_set(parts[2]))
		return is_wild(parts[1]) || wrong(r, S("The policy failed legacy parsing"));
	if (r->policy->kind != POLICY_IDENTITY)
		return true;
	if (is_wild(parts[2]))
		return wrong(r, S("Resource vendor must be fully qualified and cannot contain regexes."));
	if (str_is(parts[2], "iam")) {
		if (parts[3].n && !str_is(parts[3], "*"))
			return wrong(
			        r, arena_printf(r->scratch, "IAM resource %.*s cannot contain region information.", STR_ARG(text)));
		if (str_set(rest) && !iam_path_valid(rest))
			return wrong(
			        r,
			        S("IAM resource path must either be \"*\" or start with user/, federated-user/, role/, group/, instance-profile/, "
			          "mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/."));
	}
	if (str_is(parts[2], "s3") && parts[3].n && !is_wild(parts[3]))
		return wrong(r, arena_printf(r->scratch, "Resource %.*s can not contain region information.", STR_ARG(text)));
	return true;
}

static bool read_resources(struct reader *r, const struct json_value *v, struct policy_statement *s)
{
	s->resources = arena_array(r->a, string_count(v) + 1, sizeof(*s->resources));
	each_string(v, e)
	{
		if (!json_is(e, JSON_STRING))
			return syntax(r);
		if (!check_resource(r, e->text))
			return false;
		make_pattern(r, e->text, &s->resources[s->resource_count++]);
	}
	s->has_resource = true;
	return s->resource_count > 0 || wrong(r, S("Policy statement must contain resources."));
}

/* --- principals */

static bool is_account(struct str s)
{
	if (s.n != 12)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return true;
}

/* Whom an ARN can name: not groups, and nothing that could not call. */
static bool is_caller(struct str service, struct str rest)
{
	if (str_is(service, "iam"))
		return str_is(rest, "root") || (rest.n > 5 && (str_starts(rest, S("user/")) || str_starts(rest, S("role/"))));
	return str_is(service, "sts") && (str_starts(rest, S("assumed-role/")) || str_starts(rest, S("federated-user/")));
}

static bool read_aws_principal(struct str text, struct policy_principal *ret)
{
	if (str_is(text, "*")) {
		ret->any = true;
		return true;
	}
	if (is_account(text)) {
		ret->account = text;
		return true;
	}
	if (str_starts(text, S("AIDA")) || str_starts(text, S("AROA")))
		return true;
	struct str rest = text;
	bool arn = str_is(str_cut(&rest, ':'), "arn");
	str_cut(&rest, ':');
	struct str service = str_cut(&rest, ':'), region = str_cut(&rest, ':'), account = str_cut(&rest, ':');
	if (!arn || region.n || !is_account(account) || is_wild(text) || !is_caller(service, rest))
		return false;
	if (str_is(rest, "root"))
		ret->account = account;
	return true;
}

/* Which services there are nobody here knows; what could be one is. Roles are given to AWS's own alone. */
static bool is_service(const struct reader *r, struct str text)
{
	if (is_wild(text) || str_find_char(text, '.') <= 0)
		return false;
	return r->policy->kind != POLICY_TRUST || str_ends(text, S(".amazonaws.com")) || str_ends(text, S(".aws.internal"));
}

static bool read_principal(struct reader *r, struct str type, struct str text, struct policy_principal *ret)
{
	*ret = (struct policy_principal){.value = arena_dup(r->a, text)};
	if (str_is(type, "AWS")) {
		ret->type = PRINCIPAL_TYPE_AWS;
		if (read_aws_principal(ret->value, ret))
			return true;
	} else if (str_is(type, "Service")) {
		ret->type = PRINCIPAL_TYPE_SERVICE;
		ret->any = str_is(text, "*");
		if ((ret->any && r->policy->kind != POLICY_TRUST) || is_service(r, text))
			return true;
		type = S("SERVICE");
	} else if (str_is(type, "Federated")) {
		ret->type = PRINCIPAL_TYPE_FEDERATED;
		return true;
	} else if (str_is(type, "CanonicalUser")) {
		ret->type = PRINCIPAL_TYPE_CANONICAL;
		return true;
	} else {
		return syntax(r);
	}
	return wrong(r, arena_printf(r->scratch, "Invalid principal in policy: \"%.*s\":\"%.*s\"", STR_ARG(type), STR_ARG(text)));
}

static bool read_principals(struct reader *r, const struct json_value *v, struct policy_statement *s)
{
	s->has_principal = true;
	if (json_is(v, JSON_STRING)) {
		s->principals = arena_new(r->a, struct policy_principal);
		s->principal_count = 1;
		if (str_is(v->text, "*"))
			return read_principal(r, S("AWS"), v->text, s->principals);
		return wrong(r, arena_printf(r->scratch, "Invalid principal in policy: \"%.*s\"", STR_ARG(v->text)));
	}
	if (!json_is(v, JSON_OBJECT) || v->count == 0)
		return syntax(r);
	unsigned room = 0;
	json_each(v, type) room += string_count(type);
	s->principals = arena_array(r->a, room + 1, sizeof(*s->principals));
	json_each(v, type)
	{
		each_string(type, e) if (!json_is(e, JSON_STRING)) return syntax(r);
		else if (!read_principal(r, type->key, e->text, &s->principals[s->principal_count++])) return false;
	}
	return s->principal_count > 0 || syntax(r);
}

/* --- conditions */

static bool read_condition(struct reader *r, const struct json_value *op, const struct json_value *v, struct policy_condition *ret)
{
	struct policy_condition c;
	if (!policy_condition_name(op->key, &c))
		return syntax(r);
	if (str_find_char(v->key, ':') < 1)
		return wrong(r, S("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."));
	c.key = arena_dup(r->a, v->key);
	c.values = arena_array(r->a, string_count(v) + 1, sizeof(*c.values));
	each_string(v, e)
	{
		struct str text = e->kind == JSON_TRUE ? S("true") : e->kind == JSON_FALSE ? S("false") : e->text;
		if (e->kind != JSON_TRUE && e->kind != JSON_FALSE && e->kind != JSON_STRING && e->kind != JSON_NUMBER)
			return syntax(r);
		if (c.test == TEST_IP && !policy_ip_valid(text))
			return wrong(r, arena_printf(r->scratch, "Invalid IP address or range in policy: \"%.*s\"", STR_ARG(text)));
		make_pattern(r, text, &c.values[c.count++]);
	}
	*ret = c;
	return true;
}

static bool read_conditions(struct reader *r, const struct json_value *v, struct policy_statement *s)
{
	if (!json_is(v, JSON_OBJECT))
		return syntax(r);
	unsigned room = 0;
	json_each(v, op) room += op->count;
	s->conditions = arena_array(r->a, room + 1, sizeof(*s->conditions));
	json_each(v, op)
	{
		if (!json_is(op, JSON_OBJECT) || str_set(json_duplicate(op)))
			return syntax(r);
		json_each(op, key) if (!read_condition(r, op, key, &s->conditions[s->condition_count++])) return false;
	}
	return true;
}

/* --- where statements stand */

/* Statements come one after the other, so counting goes on from the last place that was asked for. */
static struct policy_place place_of(struct reader *r, size_t at)
{
	for (; r->counted < at; r->counted++) {
		r->place.column++;
		if (r->json.p[r->counted] == '\n') {
			r->place.line++;
			r->place.column = 1;
		}
	}
	return r->place;
}

static void set_places(struct reader *r, const struct json_value *v, struct policy_statement *s)
{
	size_t begins = v->at;
	while (begins > 0 && ascii_is_space(r->json.p[begins - 1]))
		begins--;
	s->begins = place_of(r, begins);
	s->ends = place_of(r, v->end);
}

void policy_statement_places(const struct policy *p, unsigned statement, struct policy_place *ret_begins,
                             struct policy_place *ret_ends)
{
	*ret_begins = p->statements[statement].begins;
	*ret_ends = p->statements[statement].ends;
}

/* --- statements */

static bool read_sid(struct reader *r, struct str sid, struct policy_statement *s)
{
	s->sid = arena_dup(r->a, sid);
	if (r->policy->kind == POLICY_IDENTITY)
		for (size_t i = 0; i < sid.n; i++)
			if (!ascii_is_alnum(sid.p[i]))
				return wrong(
				        r,
				        S("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
				          "[0-9A-Za-z]*"));
	if (sid.n)
		for (unsigned i = 0; i + 1 < r->policy->count; i++)
			if (str_eq(r->policy->statements[i].sid, sid))
				return wrong(r, S("Statement IDs (SID) in a single policy must be unique."));
	return true;
}

/* What each kind of policy must and must not have. */
static bool check_statement(struct reader *r, const struct policy_statement *s)
{
	switch (r->policy->kind) {
	case POLICY_IDENTITY:
	case POLICY_MANAGED:
		if (s->has_principal)
			return wrong(r, S("Policy document should not specify a principal."));
		return s->has_resource || wrong(r, S("Policy statement must contain resources."));
	case POLICY_TRUST:
		if (s->has_resource)
			return wrong(r, S("Has prohibited field Resource"));
		return s->has_principal || wrong(r, S("Missing required field Principal"));
	case POLICY_RESOURCE:
		return s->has_principal || wrong(r, S("Missing required field Principal"));
	}
	return true;
}

static bool read_statement(struct reader *r, const struct json_value *v)
{
	if (!json_is(v, JSON_OBJECT) || str_set(json_duplicate(v)))
		return syntax(r);
	struct policy_statement *s = &r->policy->statements[r->policy->count++];
	*s = (struct policy_statement){.sid = S("")};
	set_places(r, v, s);
	bool effect = false;
	json_each(v, m)
	{
		bool ok = true, negated = str_starts(m->key, S("Not"));
		struct str field = negated ? str_from_at(m->key, 3) : m->key;
		if (str_is(m->key, "Sid")) {
			ok = json_is(m, JSON_STRING) ? read_sid(r, m->text, s) : syntax(r);
		} else if (str_is(m->key, "Effect")) {
			effect = true;
			s->deny = json_is(m, JSON_STRING) && str_is(m->text, "Deny");
			ok = s->deny || (json_is(m, JSON_STRING) && str_is(m->text, "Allow")) || syntax(r);
		} else if (str_is(field, "Action")) {
			s->not_action = negated;
			ok = s->action_count == 0 ? read_actions(r, m, s) : syntax(r);
		} else if (str_is(field, "Resource")) {
			s->not_resource = negated;
			ok = !s->has_resource ? read_resources(r, m, s) : syntax(r);
		} else if (str_is(field, "Principal")) {
			s->not_principal = negated;
			ok = !s->has_principal ? read_principals(r, m, s) : syntax(r);
		} else if (str_is(m->key, "Condition")) {
			ok = read_conditions(r, m, s);
		} else {
			ok = r->policy->kind == POLICY_TRUST
			             ? wrong(r, arena_printf(r->scratch, "Unknown field %.*s", STR_ARG(m->key)))
			             : syntax(r);
		}
		if (!ok)
			return false;
	}
	if (!effect)
		return r->policy->kind == POLICY_TRUST ? wrong(r, S("Missing required field Effect")) : syntax(r);
	if (s->action_count == 0)
		return wrong(r, S("Policy statement must contain actions."));
	return check_statement(r, s);
}

static bool read_document(struct reader *r, struct str json)
{
	bool trust = r->policy->kind == POLICY_TRUST;
	if (json.n > POLICY_BYTES_MAX)
		return syntax(r);
	if (json.n && ascii_is_space(json.p[0]) && r->policy->kind != POLICY_RESOURCE)
		return wrong(r, S("JSON strings must not have leading spaces"));
	struct json_value *v = json_parse(r->scratch, json, NULL);
	if (!json_is(v, JSON_OBJECT) || str_set(json_duplicate(v)))
		return trust ? wrong(r, S("This policy contains invalid Json")) : syntax(r);
	const struct json_value *statements = NULL;
	json_each(v, m)
	{
		if (str_is(m->key, "Version")) {
			r->variables = json_is(m, JSON_STRING) && str_is(m->text, "2012-10-17");
			if (!r->variables && !(json_is(m, JSON_STRING) && str_is(m->text, "2008-10-17")))
				return wrong(r, S("Policy document must be version 2012-10-17 or greater."));
		} else if (str_is(m->key, "Statement")) {
			statements = m;
		} else if (!str_is(m->key, "Id") || !json_is(m, JSON_STRING)) {
			return trust ? wrong(r, arena_printf(r->scratch, "Unknown field %.*s", STR_ARG(m->key))) : syntax(r);
		}
	}
	if (!statements || (json_is(statements, JSON_ARRAY) && statements->count == 0))
		return trust ? wrong(r, S("Missing required field Statement")) : syntax(r);
	if (r->managed && !r->variables)
		return wrong(r, S("Policy document must be version 2012-10-17 or greater."));
	r->policy->statements = arena_array(r->a, string_count(statements), sizeof(*r->policy->statements));
	each_string(statements, s) if (!read_statement(r, s)) return false;
	return true;
}

struct policy *policy_parse(struct str json, enum policy_kind kind, struct str name, struct arena *a, struct str *ret_message)
{
	struct policy *p = calloc(1, sizeof(*p));
	if (!p)
		die("out of memory");
	arena_init(&p->arena, 0);
	p->kind = kind == POLICY_MANAGED ? POLICY_IDENTITY : kind;
	p->name = arena_dup(&p->arena, name);
	struct reader r = {
	        .policy = p, .a = &p->arena, .scratch = a, .json = json, .place = {1, 1}, .managed = kind == POLICY_MANAGED};
	if (read_document(&r, json))
		return p;
	policy_free(p);
	*ret_message = r.message;
	return NULL;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	arena_done(&p->arena);
	free(p);
}

struct str policy_name(const struct policy *p)
{
	return p->name;
}

size_t policy_length(struct str json)
{
	size_t n = 0;
	for (size_t i = 0; i < json.n; i++)
		n += !ascii_is_space(json.p[i]) && ((unsigned char)json.p[i] & 0xc0) != 0x80;
	return n;
}
