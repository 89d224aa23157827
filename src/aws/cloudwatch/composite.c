/* Rules of composite alarms: ALARM(name), OK("name"), INSUFFICIENT_DATA(arn), TRUE, FALSE, NOT, AND, OR and brackets. NOT binds
 * strongest, then AND. */
#include "aws/cloudwatch/alarm_op.h"

enum { DEPTH_MAX = 64, CHILDREN_MAX = 100 };
enum rule_kind { RULE_STATE, RULE_CONSTANT, RULE_NOT, RULE_AND, RULE_OR };

struct alarm_rule_tree {
	enum rule_kind kind;
	enum alarm_state state;
	struct str name;
	bool constant;
	struct alarm_rule_tree *left, *right;
};

struct parser {
	struct arena *arena;
	struct str text;
	size_t at;
	unsigned depth, names;
	const char *why;
};

static struct alarm_rule_tree *fail(struct parser *p, const char *why)
{
	p->why = p->why ? p->why : why;
	return NULL;
}

static char peek(struct parser *p)
{
	while (p->at < p->text.n && ascii_is_space(p->text.p[p->at]))
		p->at++;
	return p->at < p->text.n ? p->text.p[p->at] : 0;
}

static bool keyword(struct parser *p, const char *what)
{
	size_t n = strlen(what);
	peek(p);
	struct str rest = str_from_at(p->text, p->at);
	if (!str_starts(rest, str_from(what)) || (rest.n > n && (ascii_is_alnum(rest.p[n]) || rest.p[n] == '_')))
		return false;
	p->at += n;
	return true;
}

static struct alarm_rule_tree *make(struct parser *p, enum rule_kind kind, struct alarm_rule_tree *left,
                                    struct alarm_rule_tree *right)
{
	if (p->why)
		return NULL;
	struct alarm_rule_tree *t = arena_new(p->arena, struct alarm_rule_tree);
	*t = (struct alarm_rule_tree){.kind = kind, .left = left, .right = right};
	return t;
}

static bool name(struct parser *p, struct str *ret)
{
	char quote = peek(p), end = ')';
	if (quote == '"' || quote == '\'') {
		p->at++;
		end = quote;
	}
	size_t from = p->at;
	while (p->at < p->text.n && p->text.p[p->at] != end)
		p->at++;
	*ret = str_trim(str_sub(p->text, from, p->at - from));
	if (end != ')')
		p->at++;
	if (!ret->n || peek(p) != ')' || p->at > p->text.n)
		return fail(p, "an alarm's name is malformed");
	p->at++;
	return true;
}

static struct alarm_rule_tree *state(struct parser *p, enum alarm_state wanted)
{
	struct str what;
	if (peek(p) != '(')
		return fail(p, "a state is followed by an alarm's name in brackets");
	p->at++;
	if (!name(p, &what))
		return NULL;
	if (++p->names > CHILDREN_MAX)
		return fail(p, "a rule is about 100 alarms at most");
	struct alarm_rule_tree *t = make(p, RULE_STATE, NULL, NULL);
	t->state = wanted;
	t->name = what;
	return t;
}

static struct alarm_rule_tree *either(struct parser *p);

static struct alarm_rule_tree *term(struct parser *p)
{
	struct alarm_rule_tree *t;
	if (++p->depth > DEPTH_MAX)
		return fail(p, "the rule is nested too deeply");
	if (keyword(p, "NOT")) {
		struct alarm_rule_tree *x = term(p);
		t = make(p, RULE_NOT, x, NULL);
	} else if (peek(p) == '(') {
		p->at++;
		t = either(p);
		if (peek(p) == ')')
			p->at++;
		else
			fail(p, "a bracket is missing");
	} else if (keyword(p, "ALARM"))
		t = state(p, ALARM_ALARM);
	else if (keyword(p, "OK"))
		t = state(p, ALARM_OK);
	else if (keyword(p, "INSUFFICIENT_DATA"))
		t = state(p, ALARM_INSUFFICIENT);
	else {
		bool yes = keyword(p, "TRUE");
		if (!yes && !keyword(p, "FALSE"))
			return fail(p, "a state of an alarm is missing");
		t = make(p, RULE_CONSTANT, NULL, NULL);
		t->constant = yes;
	}
	p->depth--;
	return p->why ? NULL : t;
}

static struct alarm_rule_tree *both(struct parser *p)
{
	struct alarm_rule_tree *t = term(p);
	while (!p->why && keyword(p, "AND")) {
		struct alarm_rule_tree *right = term(p);
		t = make(p, RULE_AND, t, right);
	}
	return p->why ? NULL : t;
}

static struct alarm_rule_tree *either(struct parser *p)
{
	struct alarm_rule_tree *t = both(p);
	while (!p->why && keyword(p, "OR")) {
		struct alarm_rule_tree *right = both(p);
		t = make(p, RULE_OR, t, right);
	}
	return p->why ? NULL : t;
}

struct alarm_rule_tree *alarm_rule_parse(struct arena *a, struct str text, struct str *ret_why)
{
	struct parser p = {.arena = a, .text = text};
	struct alarm_rule_tree *t = either(&p);
	if (!p.why && peek(&p))
		fail(&p, "an operator is missing");
	if (p.why)
		*ret_why = arena_printf(a, "%s at position %zu", p.why, p.at);
	return p.why ? NULL : t;
}

static void add_names(struct arena *a, const struct alarm_rule_tree *t, struct str_list *l)
{
	if (!t)
		return;
	if (t->kind == RULE_STATE)
		*LIST_ADD(a, l) = t->name;
	add_names(a, t->left, l);
	add_names(a, t->right, l);
}

struct str_list alarm_rule_names(struct arena *a, const struct alarm_rule_tree *t)
{
	struct str_list l = {0};
	add_names(a, t, &l);
	return l;
}

bool alarm_rule_holds(const struct alarm_rule_tree *t, int (*state_of)(void *ctx, struct str name), void *ctx)
{
	switch (t->kind) {
	case RULE_STATE:
		return state_of(ctx, t->name) == (int)t->state;
	case RULE_NOT:
		return !alarm_rule_holds(t->left, state_of, ctx);
	case RULE_AND:
		return alarm_rule_holds(t->left, state_of, ctx) && alarm_rule_holds(t->right, state_of, ctx);
	case RULE_OR:
		return alarm_rule_holds(t->left, state_of, ctx) || alarm_rule_holds(t->right, state_of, ctx);
	default:
		return t->constant;
	}
}

/* --- PutCompositeAlarm */

/* Would a rule come to be about itself? */
static bool comes_back(struct alarm_scope *s, struct str_list names, struct str to, unsigned depth)
{
	for (uint32_t i = 0; i < names.n; i++) {
		struct state_cloudwatch_alarm_record r;
		struct str why, plain = alarm_name_of(s, names.v[i]);
		if (str_eq(plain, to) || depth > DEPTH_MAX)
			return true;
		if (alarm_find(s, plain, &r) && r.composite &&
		    comes_back(s, alarm_rule_names(s->arena, alarm_rule_parse(s->arena, r.composite->alarm_rule, &why)), to,
		               depth + 1))
			return true;
	}
	return false;
}

static int check_children(struct call *c, struct str_list names, struct str to)
{
	struct alarm_scope s = alarm_scope(c);
	for (uint32_t i = 0; i < names.n; i++) {
		struct state_cloudwatch_alarm_record r;
		struct str plain = alarm_name_of(&s, names.v[i]);
		if (!str_set(plain) || (!str_eq(plain, to) && !alarm_find(&s, plain, &r)))
			return call_fail(c, "ValidationError", 400,
			                 "Could not save the composite alarm as alarms [%.*s] in the alarm rule do not exist",
			                 STR_ARG(names.v[i]));
	}
	if (comes_back(&s, names, to, 0))
		return call_fail(c, "ValidationError", 400, "Composite alarms must not form a cycle: %.*s", STR_ARG(to));
	return CALL_OK;
}

int cloudwatch_put_composite_alarm(struct call *c, const struct cloudwatch_put_composite_alarm_input *in, struct model_none *out)
{
	(void)out;
	struct str why;
	struct cloudwatch_dimensions none = {0};
	struct alarm_rule_tree *t = alarm_rule_parse(c->arena, in->alarm_rule, &why);
	if (!t)
		return call_fail(c, "ValidationError", 400, "AlarmRule must be a valid rule expression: %.*s", STR_ARG(why));
	if (check_children(c, alarm_rule_names(c->arena, t), in->alarm_name) != CALL_OK ||
	    alarm_check_suppressor(c, in) != CALL_OK || alarm_check_actions(c, &in->alarm_actions, &none, false) != CALL_OK ||
	    alarm_check_actions(c, &in->ok_actions, &none, false) != CALL_OK ||
	    alarm_check_actions(c, &in->insufficient_data_actions, &none, false) != CALL_OK)
		return CALL_FAIL;
	struct cloudwatch_composite_alarm m = {
	        .alarm_name = in->alarm_name,
	        .alarm_arn = alarm_arn(c->arena, c->region, c->account, in->alarm_name),
	        .alarm_description = in->alarm_description,
	        .alarm_configuration_updated_timestamp = OPT_TIME(c->now_ms),
	        .actions_enabled = OPT_BOOL(!in->actions_enabled.set || in->actions_enabled.v),
	        .alarm_rule = in->alarm_rule,
	        .ok_actions = in->ok_actions,
	        .alarm_actions = in->alarm_actions,
	        .insufficient_data_actions = in->insufficient_data_actions,
	        .actions_suppressor = in->actions_suppressor,
	        .actions_suppressor_wait_period = in->actions_suppressor_wait_period,
	        .actions_suppressor_extension_period = in->actions_suppressor_extension_period,
	};
	m.ok_actions.set = m.alarm_actions.set = m.insufficient_data_actions.set = true;
	struct state_cloudwatch_alarm_record r = {.composite = &m};
	return alarm_install(c, &r, in->alarm_name, &in->tags);
}
