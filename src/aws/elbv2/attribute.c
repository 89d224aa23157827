/* Attributes of balancers, target groups and listeners: which there are, what they may be and what they are when nobody has said.
 * A record holds those alone that somebody has set. What nothing here acts on keeps its usual value: another one is refused. */
#include "log.h"
#include "rows.h"

enum {
	APP = 1 << 0, /* balancers */
	NET = 1 << 1,
	HTTP = 1 << 2, /* target groups */
	FLOW = 1 << 3,
	LAMBDA = 1 << 4,
	WEB = 1 << 5, /* listeners */
	STREAM = 1 << 6,
	KEPT = 1 << 7,     /* target groups of TCP that keep the client's address unless told otherwise */
	PACKETS = 1 << 8,  /* and those of UDP, which always do */
	SEALED = 1 << 9,   /* listeners of HTTPS */
	CHAINED = 1 << 10, /* and those of application load balancers, which do, too */
	FLOWS = FLOW | KEPT | PACKETS | CHAINED,
};
enum kind { FLAG, NUMBER, CHOICE, TEXT, SHARE /* "off", or a number */, NAME /* of a header */, HEADER /* its value */ };

struct attribute {
	unsigned of;
	const char *key, *usual;
	enum kind kind;
	int64_t min, max;    /* NUMBER; TEXT, NAME, HEADER: max is its length */
	const char *choices; /* separated by '|' */
	bool fixed;          /* nothing but the usual value is real */
};

#define RESPONSE "routing.http.response."
#define VALUE ".header_value"

static const struct attribute table[] = {
        {APP, "access_logs.s3.bucket", "", TEXT, .max = 63},
        {NET, "access_logs.s3.bucket", "", TEXT, .max = 63, .fixed = true},
        {APP, "access_logs.s3.enabled", "false", FLAG},
        {NET, "access_logs.s3.enabled", "false", FLAG, .fixed = true},
        {APP, "access_logs.s3.prefix", "", TEXT, .max = 1024},
        {NET, "access_logs.s3.prefix", "", TEXT, .max = 1024, .fixed = true},
        {APP, "client_keep_alive.seconds", "3600", NUMBER, 60, 604800},
        {APP, "connection_logs.s3.bucket", "", TEXT, .max = 63},
        {APP, "connection_logs.s3.enabled", "false", FLAG},
        {APP, "connection_logs.s3.prefix", "", TEXT, .max = 1024},
        {APP | NET, "deletion_protection.enabled", "false", FLAG},
        {NET, "dns_record.client_routing_policy", "any_availability_zone", CHOICE,
         .choices = "any_availability_zone|partial_availability_zone_affinity|availability_zone_affinity", .fixed = true},
        {APP, "health_check_logs.s3.bucket", "", TEXT, .max = 63},
        {APP, "health_check_logs.s3.enabled", "false", FLAG},
        {APP, "health_check_logs.s3.prefix", "", TEXT, .max = 1024},
        {APP, "idle_timeout.timeout_seconds", "60", NUMBER, 1, 4000},
        {APP | NET, "ipv6.deny_all_igw_traffic", "false", FLAG, .fixed = true},
        {APP, "load_balancing.cross_zone.enabled", "true", FLAG, .fixed = true},
        {NET, "load_balancing.cross_zone.enabled", "false", FLAG},
        {APP, "routing.http.desync_mitigation_mode", "defensive", CHOICE, .choices = "monitor|defensive|strictest"},
        {APP, "routing.http.drop_invalid_header_fields.enabled", "false", FLAG},
        {APP, "routing.http.preserve_host_header.enabled", "false", FLAG},
        {APP, "routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false", FLAG},
        {APP, "routing.http.xff_client_port.enabled", "false", FLAG},
        {APP, "routing.http.xff_header_processing.mode", "append", CHOICE, .choices = "append|preserve|remove"},
        {APP, "routing.http2.enabled", "true", FLAG},
        {NET, "secondary_ips.auto_assigned.per_subnet", "0", NUMBER, 0, 7, .fixed = true},
        {APP, "waf.fail_open.enabled", "false", FLAG, .fixed = true},
        {APP | NET, "zonal_shift.config.enabled", "false", FLAG, .fixed = true},

        {HTTP | FLOWS, "deregistration_delay.timeout_seconds", "300", NUMBER, 0, 3600},
        {FLOW | KEPT | CHAINED, "deregistration_delay.connection_termination.enabled", "false", FLAG},
        {PACKETS, "deregistration_delay.connection_termination.enabled", "true", FLAG},
        {LAMBDA, "lambda.multi_value_headers.enabled", "false", FLAG},
        {HTTP, "load_balancing.algorithm.anomaly_mitigation", "off", CHOICE, .choices = "on|off", .fixed = true},
        {HTTP, "load_balancing.algorithm.type", "round_robin", CHOICE,
         .choices = "round_robin|least_outstanding_requests|weighted_random"},
        {HTTP | FLOWS, "load_balancing.cross_zone.enabled", "use_load_balancer_configuration", CHOICE,
         .choices = "true|false|use_load_balancer_configuration"},
        {FLOW, "preserve_client_ip.enabled", "false", FLAG},
        {KEPT, "preserve_client_ip.enabled", "true", FLAG},
        {PACKETS | CHAINED, "preserve_client_ip.enabled", "true", FLAG, .fixed = true},
        {PACKETS | CHAINED, "proxy_protocol_v2.enabled", "false", FLAG, .fixed = true},
        {FLOW | KEPT, "proxy_protocol_v2.enabled", "false", FLAG},
        {HTTP, "slow_start.duration_seconds", "0", NUMBER, 30, 900},
        {HTTP, "stickiness.app_cookie.cookie_name", "", TEXT, .max = 255},
        {HTTP, "stickiness.app_cookie.duration_seconds", "86400", NUMBER, 1, 604800},
        {HTTP | FLOWS, "stickiness.enabled", "false", FLAG},
        {HTTP, "stickiness.lb_cookie.duration_seconds", "86400", NUMBER, 1, 604800},
        {HTTP, "stickiness.type", "lb_cookie", CHOICE, .choices = "lb_cookie|app_cookie"},
        {FLOWS, "stickiness.type", "source_ip", CHOICE, .choices = "source_ip"},
        {HTTP | FLOWS, "target_group_health.dns_failover.minimum_healthy_targets.count", "1", SHARE, 1, ELB_TARGETS_MAX},
        {HTTP | FLOWS, "target_group_health.dns_failover.minimum_healthy_targets.percentage", "off", SHARE, 1, 100},
        {HTTP | FLOWS, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", "1", NUMBER, 1,
         ELB_TARGETS_MAX},
        {HTTP | FLOWS, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage", "off", SHARE, 1, 100},
        {FLOWS, "target_health_state.unhealthy.connection_termination.enabled", "true", FLAG},
        {FLOWS, "target_health_state.unhealthy.draining_interval_seconds", "0", TEXT, .max = 8, .fixed = true},

        {SEALED, "routing.http.request.x_amzn_mtls_clientcert.header_name", "X-Amzn-Mtls-Clientcert", NAME, .max = 127},
        {SEALED, "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name", "X-Amzn-Mtls-Clientcert-Issuer", NAME,
         .max = 127},
        {SEALED, "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name", "X-Amzn-Mtls-Clientcert-Leaf", NAME, .max = 127},
        {SEALED, "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name", "X-Amzn-Mtls-Clientcert-Serial-Number",
         NAME, .max = 127},
        {SEALED, "routing.http.request.x_amzn_mtls_clientcert_subject.header_name", "X-Amzn-Mtls-Clientcert-Subject", NAME,
         .max = 127},
        {SEALED, "routing.http.request.x_amzn_mtls_clientcert_validity.header_name", "X-Amzn-Mtls-Clientcert-Validity", NAME,
         .max = 127},
        {SEALED, "routing.http.request.x_amzn_tls_cipher_suite.header_name", "X-Amzn-Tls-Cipher-Suite", NAME, .max = 127},
        {SEALED, "routing.http.request.x_amzn_tls_version.header_name", "X-Amzn-Tls-Version", NAME, .max = 127},
        {WEB, RESPONSE "access_control_allow_credentials" VALUE, "", CHOICE, .choices = "true"},
        {WEB, RESPONSE "access_control_allow_headers" VALUE, "", HEADER, .max = 1024},
        {WEB, RESPONSE "access_control_allow_methods" VALUE, "", HEADER, .max = 1024},
        {WEB, RESPONSE "access_control_allow_origin" VALUE, "", HEADER, .max = 1024},
        {WEB, RESPONSE "access_control_expose_headers" VALUE, "", HEADER, .max = 1024},
        {WEB, RESPONSE "access_control_max_age" VALUE, "", NUMBER, 0, 86400},
        {WEB, RESPONSE "content_security_policy" VALUE, "", HEADER, .max = 1024},
        {WEB, RESPONSE "server.enabled", "true", FLAG},
        {WEB, RESPONSE "strict_transport_security" VALUE, "", HEADER, .max = 1024},
        {WEB, RESPONSE "x_content_type_options" VALUE, "", CHOICE, .choices = "nosniff"},
        {WEB, RESPONSE "x_frame_options" VALUE, "", HEADER, .max = 1024},
        {STREAM, "tcp.idle_timeout.seconds", "350", NUMBER, 60, 6000},
};

_Static_assert(sizeof(struct elbv2_load_balancer_attribute) == sizeof(struct str_map_entry) &&
                       sizeof(struct elbv2_target_group_attribute) == sizeof(struct str_map_entry) &&
                       sizeof(struct elbv2_listener_attribute) == sizeof(struct str_map_entry),
               "lists of attributes are handed over as maps, as they lie");
#define AS_MAP(list) ((struct str_map *)(void *)(list))
#define AS_CONST_MAP(list) ((const struct str_map *)(const void *)(list))

static const struct attribute *find(unsigned of, struct str key)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if ((table[i].of & of) && str_is(key, table[i].key))
			return &table[i];
	return NULL;
}

static struct str value_of(unsigned of, const struct str_map *have, const char *key)
{
	struct str set = str_map_get(have, str_from(key));
	const struct attribute *t = find(of, str_from(key));
	return str_set(set) ? set : str_from(t ? t->usual : NULL);
}

static void show(struct arena *a, unsigned of, const struct str_map *have, struct str_map *ret)
{
	ret->set = true;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (table[i].of & of)
			*LIST_ADD(a, ret) = (struct str_map_entry){str_from(table[i].key), value_of(of, have, table[i].key)};
}

/* --- checks */

static bool is_choice(const char *choices, struct str value)
{
	struct str rest = str_from(choices);
	while (str_set(rest))
		if (str_eq(str_cut(&rest, '|'), value))
			return true;
	return false;
}

static bool is_header(enum kind kind, struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		char ch = value.p[i];
		if (kind == NAME ? !ascii_is_alnum(ch) && ch != '-' && ch != '_' : ch < ' ' || ch > '~')
			return false;
	}
	return value.n || kind != NAME;
}

static int check_value(struct call *c, const char *noun, const struct attribute *t, struct str value)
{
	int64_t n;
	if (t->fixed && !str_is(value, t->usual))
		return elb_invalid(c, "%s attribute '%s': values other than '%s' are not provided by Quartet", noun, t->key,
		                   t->usual);
	if (!value.n && !t->usual[0]) /* as it was when nobody had said */
		return CALL_OK;
	switch (t->kind) {
	case FLAG:
		if (!str_is(value, "true") && !str_is(value, "false"))
			return elb_invalid(c, "'%s' must be 'true' or 'false'", t->key);
		break;
	case NUMBER:
		if (!str_to_i64(value, &n) || ((n < t->min || n > t->max) && !str_is(value, t->usual)))
			return elb_invalid(c, "'%s' value '%.*s' must be between '%lld' and '%lld' inclusive", t->key,
			                   STR_ARG(value), (long long)t->min, (long long)t->max);
		break;
	case SHARE:
		if (!str_is(value, "off") && (!str_to_i64(value, &n) || n < t->min || n > t->max))
			return elb_invalid(c, "'%s' value '%.*s' must be 'off' or between '%lld' and '%lld' inclusive", t->key,
			                   STR_ARG(value), (long long)t->min, (long long)t->max);
		break;
	case CHOICE:
		if (!is_choice(t->choices, value))
			return elb_invalid(c, "'%s' value '%.*s' is not valid", t->key, STR_ARG(value));
		break;
	case NAME:
	case HEADER:
		if (!is_header(t->kind, value))
			return elb_invalid(c, "'%s' value '%.*s' is not valid", t->key, STR_ARG(value));
		__attribute__((fallthrough));
	case TEXT:
		if ((int64_t)value.n > t->max)
			return elb_invalid(c, "'%s' value cannot be longer than '%lld' characters", t->key, (long long)t->max);
		break;
	}
	return CALL_OK;
}

static int modify(struct call *c, const char *noun, unsigned of, const struct str_map *wanted, struct str_map *have)
{
	if (!wanted->n)
		return elb_invalid(c, "%s attributes must be specified", noun);
	for (uint32_t i = 0; i < wanted->n; i++) {
		struct str key = wanted->v[i].key, value = str_set(wanted->v[i].value) ? wanted->v[i].value : S("");
		const struct attribute *t = find(of, key);
		if (!t)
			return elb_invalid(c, "%s attribute key '%.*s' is not recognized", noun, STR_ARG(key));
		for (uint32_t k = 0; k < i; k++)
			if (str_eq(wanted->v[k].key, key))
				return elb_invalid(c, "%s attribute key '%.*s' is specified more than once", noun, STR_ARG(key));
		if (check_value(c, noun, t, value) != CALL_OK)
			return CALL_FAIL;
		uint32_t at = 0;
		while (at < have->n && !str_eq(have->v[at].key, key))
			at++;
		if (at == have->n)
			LIST_ADD(c->arena, have);
		have->v[at] = (struct str_map_entry){key, value};
	}
	return CALL_OK;
}

/* --- balancers */

static unsigned of_balancer(const struct state_elbv2_balancer_record *r)
{
	return elb_is_network(r) ? NET : APP;
}

struct str elb_balancer_attribute(const struct state_elbv2_balancer_record *r, const char *key)
{
	return value_of(of_balancer(r), &r->attributes, key);
}

int elbv2_describe_load_balancer_attributes(struct call *c, const struct elbv2_describe_load_balancer_attributes_input *in,
                                            struct elbv2_describe_load_balancer_attributes_output *out)
{
	struct state_elbv2_balancer_record r;
	if (elb_balancer_get(c, in->load_balancer_arn, &r) != CALL_OK)
		return CALL_FAIL;
	show(c->arena, of_balancer(&r), &r.attributes, AS_MAP(&out->attributes));
	return CALL_OK;
}

int elbv2_modify_load_balancer_attributes(struct call *c, const struct elbv2_modify_load_balancer_attributes_input *in,
                                          struct elbv2_modify_load_balancer_attributes_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_balancer_record r;
	if (elb_balancer_get(c, in->load_balancer_arn, &r) != CALL_OK ||
	    modify(c, "Load balancer", of_balancer(&r), AS_CONST_MAP(&in->attributes), &r.attributes) != CALL_OK)
		return CALL_FAIL;
	int ready = elb_log_check(c, &r, AS_CONST_MAP(&in->attributes));
	if (ready != CALL_OK)
		return ready;
	elb_balancer_put(&s, &r);
	show(c->arena, of_balancer(&r), &r.attributes, AS_MAP(&out->attributes));
	return CALL_OK;
}

/* --- target groups */

static unsigned of_group(const struct state_elbv2_group_record *r)
{
	const struct elbv2_target_group *g = r->group;
	if (str_is(g->target_type, "lambda"))
		return LAMBDA;
	if (elb_group_is_http(g))
		return HTTP;
	if (str_is(g->protocol, "UDP") || str_is(g->protocol, "TCP_UDP"))
		return PACKETS;
	if (elb_group_is_alb(g))
		return CHAINED;
	return str_is(g->protocol, "TCP") && !str_is(g->target_type, "ip") ? KEPT : FLOW;
}

struct str elb_group_attribute(const struct state_elbv2_group_record *r, const char *key)
{
	return value_of(of_group(r), &r->attributes, key);
}

int elbv2_describe_target_group_attributes(struct call *c, const struct elbv2_describe_target_group_attributes_input *in,
                                           struct elbv2_describe_target_group_attributes_output *out)
{
	struct state_elbv2_group_record r;
	if (elb_group_get(c, in->target_group_arn, &r) != CALL_OK)
		return CALL_FAIL;
	show(c->arena, of_group(&r), &r.attributes, AS_MAP(&out->attributes));
	return CALL_OK;
}

/* What holds between attributes. */
static int check_group(struct call *c, const struct state_elbv2_group_record *r)
{
	struct str cookie = elb_group_attribute(r, "stickiness.app_cookie.cookie_name");
	bool sticky = elb_on(elb_group_attribute(r, "stickiness.enabled"));
	if (of_group(r) != HTTP)
		return CALL_OK;
	if (sticky && str_is(elb_group_attribute(r, "stickiness.type"), "app_cookie") && !cookie.n)
		return elb_configuration(c, "A cookie name must be specified for stickiness of type 'app_cookie'");
	if (str_starts(cookie, S("AWSALB")))
		return elb_configuration(c, "The cookie name '%.*s' is reserved", STR_ARG(cookie));
	for (size_t i = 0; i < cookie.n; i++)
		if (!ascii_is_alnum(cookie.p[i]) && !memchr("!#$%&'*+-.^_`|~", cookie.p[i], 15))
			return elb_configuration(c, "The cookie name '%.*s' is not valid", STR_ARG(cookie));
	if (sticky && str_is(elb_group_attribute(r, "load_balancing.cross_zone.enabled"), "false"))
		return elb_configuration(c, "Stickiness needs cross-zone load balancing");
	if (!str_is(elb_group_attribute(r, "slow_start.duration_seconds"), "0") &&
	    !str_is(elb_group_attribute(r, "load_balancing.algorithm.type"), "round_robin"))
		return elb_configuration(c, "Slow start needs the algorithm 'round_robin'");
	return CALL_OK;
}

int elbv2_modify_target_group_attributes(struct call *c, const struct elbv2_modify_target_group_attributes_input *in,
                                         struct elbv2_modify_target_group_attributes_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_group_record r;
	if (elb_group_get(c, in->target_group_arn, &r) != CALL_OK ||
	    modify(c, "Target group", of_group(&r), AS_CONST_MAP(&in->attributes), &r.attributes) != CALL_OK ||
	    check_group(c, &r) != CALL_OK)
		return CALL_FAIL;
	elb_group_put(&s, &r);
	show(c->arena, of_group(&r), &r.attributes, AS_MAP(&out->attributes));
	return CALL_OK;
}

/* --- listeners */

static unsigned of_listener(const struct state_elbv2_listener_record *r)
{
	if (str_is(r->listener->protocol, "HTTPS"))
		return WEB | SEALED;
	return elb_protocol_http(r->listener->protocol) ? WEB : str_is(r->listener->protocol, "TCP") ? STREAM : 0;
}

struct str elb_listener_attribute(const struct state_elbv2_listener_record *r, const char *key)
{
	return value_of(of_listener(r), &r->attributes, key);
}

struct str_map elb_listener_headers(struct arena *a, const struct state_elbv2_listener_record *r)
{
	struct str_map l = {0};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct str key = str_from(table[i].key), value = str_map_get(&r->attributes, key);
		if (!(table[i].of & WEB) || !str_starts(key, S(RESPONSE)) || !str_ends(key, S(VALUE)) || !value.n)
			continue;
		char *name = arena_dupz(a, str_sub(key, sizeof(RESPONSE) - 1, key.n - sizeof(RESPONSE) - sizeof(VALUE) + 2));
		for (size_t k = 0; name[k]; k++)
			name[k] = name[k] == '_' ? '-' : k && name[k - 1] != '-' ? name[k] : ascii_upper(name[k]);
		*LIST_ADD(a, &l) = (struct str_map_entry){str_from(name), value};
	}
	return l;
}

int elbv2_describe_listener_attributes(struct call *c, const struct elbv2_describe_listener_attributes_input *in,
                                       struct elbv2_describe_listener_attributes_output *out)
{
	struct state_elbv2_listener_record r;
	struct elb_name at;
	if (elb_listener_get(c, in->listener_arn, &at, &r) != CALL_OK)
		return CALL_FAIL;
	show(c->arena, of_listener(&r), &r.attributes, AS_MAP(&out->attributes));
	return CALL_OK;
}

int elbv2_modify_listener_attributes(struct call *c, const struct elbv2_modify_listener_attributes_input *in,
                                     struct elbv2_modify_listener_attributes_output *out)
{
	struct elb_scope s = elb_scope(c);
	struct state_elbv2_listener_record r;
	struct elb_name at;
	if (elb_listener_get(c, in->listener_arn, &at, &r) != CALL_OK ||
	    modify(c, "Listener", of_listener(&r), AS_CONST_MAP(&in->attributes), &r.attributes) != CALL_OK)
		return CALL_FAIL;
	elb_listener_put(&s, &at, &r);
	show(c->arena, of_listener(&r), &r.attributes, AS_MAP(&out->attributes));
	return CALL_OK;
}
