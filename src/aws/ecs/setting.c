/* Account settings: PutAccountSetting, PutAccountSettingDefault, DeleteAccountSetting, ListAccountSettings.
 *
 * A value holds for one principal, else for the account, else it is this table's. Only values that change something here, or say
 * how it is anyway, can be set. */
#include "rows.h"

enum { LISTED_MAX = 100 };

static const struct record_type setting_row = {&state_ecs_api, "SettingRecord"};

static const struct known {
	const char *name, *standard; /* its value where nobody set one */
	const char *allowed[3];
} known[] = {
        {"awsvpcTrunking", "disabled", {"disabled"}},
        {"containerInsights", "disabled", {"disabled", "enabled", "enhanced"}},
        {"containerInstanceLongArnFormat", "enabled", {"enabled"}},
        {"fargateFIPSMode", "disabled", {"disabled"}},
        {"serviceLongArnFormat", "enabled", {"enabled"}},
        {"tagResourceAuthorization", "on", {"on", "off"}},
        {"taskLongArnFormat", "enabled", {"enabled"}},
};
enum { KNOWN = sizeof(known) / sizeof(*known) };

static const struct known *find_known(struct str name)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (str_is(name, known[i].name))
			return &known[i];
	return NULL;
}

static struct str account_arn(struct call *c)
{
	return arena_printf(c->arena, "arn:aws:iam::%.*s:root", STR_ARG(c->account));
}

static struct str setting_key(struct call *c, struct str principal, struct str name)
{
	return KEY(c->arena, S("ecs"), S("setting"), c->account, c->region, principal, name);
}

/* Whom a caller's settings are kept under: of a role's session the role. */
static struct str caller_arn(struct call *c)
{
	return str_set(c->caller->issuer_arn) && c->caller->kind == PRINCIPAL_ROLE ? c->caller->issuer_arn : c->caller->arn;
}

static struct str effective(struct call *c, struct str principal, struct str name)
{
	struct state_ecs_setting_record r;
	const struct known *k = find_known(name);
	if (record_get(call_txn(c), c->arena, setting_key(c, principal, name), &setting_row, &r) ||
	    record_get(call_txn(c), c->arena, setting_key(c, account_arn(c), name), &setting_row, &r))
		return r.value;
	return str_from(k->standard);
}

struct str ecs_setting(struct call *c, const char *name)
{
	return effective(c, caller_arn(c), str_from(name));
}

/* The older "true" and "false" of a boolean setting are not taken: neither does AWS. */
static int check(struct call *c, struct str name, struct str value)
{
	const struct known *k = find_known(name);
	for (size_t i = 0; k && i < 3 && k->allowed[i]; i++)
		if (str_is(value, k->allowed[i]))
			return CALL_OK;
	if (!k)
		return call_fail(c, "InvalidParameterException", 400, "Setting %.*s is not supported by this cloud.",
		                 STR_ARG(name));
	return ecs_invalid(c, "Setting value %.*s is not supported for setting %.*s.", STR_ARG(value), STR_ARG(name));
}

static struct ecs_setting *shown(struct call *c, struct str name, struct str value, struct str principal)
{
	struct ecs_setting *s = arena_new(c->arena, struct ecs_setting);
	*s = (struct ecs_setting){.name = name, .value = value, .principal_arn = principal, .type = S("user")};
	return s;
}

static int check_principal(struct call *c, struct str principal)
{
	struct str head = arena_printf(c->arena, "arn:aws:iam::%.*s:", STR_ARG(c->account));
	if (!str_starts(principal, head) || principal.n > 300)
		return ecs_invalid(c, "The specified principalArn is not valid: %.*s", STR_ARG(principal));
	return CALL_OK;
}

static int put(struct call *c, struct str principal, struct str name, struct str value, struct ecs_setting **ret)
{
	if (check(c, name, value) != CALL_OK || check_principal(c, principal) != CALL_OK)
		return CALL_FAIL;
	struct state_ecs_setting_record r = {.name = name, .value = value, .principal = principal};
	record_put(call_txn(c), c->arena, setting_key(c, principal, name), &setting_row, &r);
	*ret = shown(c, name, value, principal);
	return CALL_OK;
}

int ecs_put_account_setting(struct call *c, const struct ecs_put_account_setting_request *in,
                            struct ecs_put_account_setting_response *out)
{
	struct str principal = in->principal_arn.n ? in->principal_arn : caller_arn(c);
	return put(c, principal, in->name, in->value, &out->setting);
}

int ecs_put_account_setting_default(struct call *c, const struct ecs_put_account_setting_default_request *in,
                                    struct ecs_put_account_setting_default_response *out)
{
	return put(c, account_arn(c), in->name, in->value, &out->setting);
}

int ecs_delete_account_setting(struct call *c, const struct ecs_delete_account_setting_request *in,
                               struct ecs_delete_account_setting_response *out)
{
	struct str principal = in->principal_arn.n ? in->principal_arn : caller_arn(c);
	if (!find_known(in->name))
		return ecs_invalid(c, "Setting %.*s is not supported by this cloud.", STR_ARG(in->name));
	if (check_principal(c, principal) != CALL_OK)
		return CALL_FAIL;
	store_delete(call_txn(c), setting_key(c, principal, in->name));
	out->setting = shown(c, in->name, effective(c, principal, in->name), principal);
	return CALL_OK;
}

/* What holds for a principal is short: one page has it all. */
static void list_effective(struct call *c, const struct ecs_list_account_settings_request *in, struct str principal,
                           struct ecs_settings *ret)
{
	for (size_t i = 0; i < KNOWN; i++) {
		struct str name = str_from(known[i].name), value = effective(c, principal, name);
		if ((in->name.n && !str_eq(in->name, name)) || (in->value.n && !str_eq(in->value, value)))
			continue;
		*LIST_ADD(c->arena, ret) = *shown(c, name, value, principal);
	}
}

int ecs_list_account_settings(struct call *c, const struct ecs_list_account_settings_request *in,
                              struct ecs_list_account_settings_response *out)
{
	struct str principal = in->principal_arn.n ? in->principal_arn : caller_arn(c), last = STR_NONE;
	uint32_t limit;
	struct ecs_walk w;
	out->settings.set = true;
	if (in->value.n && !in->name.n)
		return ecs_invalid(c, "Setting name is required when you specify a setting value.");
	if (check_principal(c, principal) != CALL_OK)
		return CALL_FAIL;
	if (in->effective_settings.v) {
		list_effective(c, in, principal, &out->settings);
		return CALL_OK;
	}
	struct str under = KEY_UNDER(c->arena, S("ecs"), S("setting"), c->account, c->region, principal);
	struct opt_int most = in->max_results.v ? in->max_results : (struct opt_int){0};
	if (ecs_page_size(c, most, LISTED_MAX, &limit) != CALL_OK || ecs_walk_begin(c, &w, under, in->next_token, false) != CALL_OK)
		return CALL_FAIL;
	while (ecs_walk_next(&w)) {
		struct state_ecs_setting_record r;
		if (!record_read(c->arena, w.value, &setting_row, &r) || (in->name.n && !str_eq(in->name, r.name)) ||
		    (in->value.n && !str_eq(in->value, r.value)))
			continue;
		if (out->settings.n == limit) {
			out->next_token = ecs_page_token(c, last);
			break;
		}
		*LIST_ADD(c->arena, &out->settings) = *shown(c, r.name, r.value, r.principal);
		last = w.key;
	}
	return CALL_OK;
}
