/* Records of a balancer as the engine's description of it. Pure: it reads one snapshot. */
#include "aws/ec2/ec2.h"
#include "desk.h"

#include <arpa/inet.h>

#define Z(text) arena_dupz(s->arena, str_set(text) ? (text) : S(""))

struct str elb_engine_id(struct arena *a, const struct elb_name *n)
{
	return ARENA_CAT(a, n->network ? S("net-") : S("app-"), n->id);
}

const char *elb_target_id(struct arena *a, const struct state_elbv2_target *t)
{
	return t->port.set ? arena_printf(a, "%.*s:%lld", STR_ARG(t->id), (long long)t->port.v).p : arena_dupz(a, t->id);
}

/* --- target groups */

static enum lb_protocol protocol_of(struct str p)
{
	return str_is(p, "HTTP")      ? LB_HTTP
	       : str_is(p, "HTTPS")   ? LB_HTTPS
	       : str_is(p, "TLS")     ? LB_TLS
	       : str_is(p, "UDP")     ? LB_UDP
	       : str_is(p, "TCP_UDP") ? LB_TCP_UDP
	                              : LB_TCP;
}

/* Where a target is, and in which zone. False: it takes no requests. */
static bool locate(const struct elb_scope *s, const struct state_elbv2_group_record *g, const struct state_elbv2_target *t,
                   uint32_t *ret_address, struct str *ret_zone)
{
	struct str address = t->id;
	struct in_addr at;
	*ret_zone = t->zone;
	if (t->drained.set && t->drained.ms <= s->now_ms)
		return false;
	if (str_is(g->group->target_type, "lambda")) {
		*ret_zone = S("all");
		*ret_address = 0;
		return true;
	}
	if (str_is(g->group->target_type, "instance")) {
		struct ec2_seen seen;
		ec2_see_instance(s->txn, s->arena, s->account, s->region, t->id, &seen);
		if (!seen.there || !str_is(seen.state, "running") || !str_set(seen.address))
			return false;
		address = seen.address;
		*ret_zone = seen.zone;
	}
	if (inet_pton(AF_INET, Z(address), &at) != 1)
		return false;
	*ret_address = ntohl(at.s_addr);
	return true;
}

static bool has_zone(const struct state_elbv2_balancer_record *r, struct str zone)
{
	for (uint32_t i = 0; i < r->nodes.n; i++)
		if (str_eq(r->nodes.v[i].zone, zone))
			return true;
	return str_is(zone, "all");
}

/* Every node of an application load balancer is a target to the engine: to AWS's users they are one. */
static size_t plan_nodes(const struct elb_scope *s, const struct state_elbv2_balancer_record *r, const struct state_elbv2_target *t,
                         struct lb_target *ret)
{
	struct state_elbv2_balancer_record b = {0};
	struct elb_name name;
	size_t n = 0;
	if ((t->drained.set && t->drained.ms <= s->now_ms) || !elb_name_parse(s, t->id, &name) ||
	    !elb_balancer_find(s, name.name, &b))
		return 0;
	for (uint32_t i = 0; i < b.nodes.n; i++) {
		const struct state_elbv2_node *at = &b.nodes.v[i];
		struct ec2_lent lent;
		if (!has_zone(r, at->zone) || !ec2_find_lent(s->txn, s->arena, s->account, s->region, at->interface, &lent))
			continue;
		ret[n++] =
		        (struct lb_target){.id = arena_printf(s->arena, "%s@%.*s", elb_target_id(s->arena, t), STR_ARG(at->zone)).p,
		                           .address = lent.ip,
		                           .port = (uint16_t)t->port.v,
		                           .zone = Z(at->zone),
		                           .draining = t->drained.set};
	}
	return n;
}

static void plan_targets(const struct elb_scope *s, const struct state_elbv2_balancer_record *r,
                         const struct state_elbv2_group_record *g, struct lb_group *ret)
{
	bool alb = elb_group_is_alb(g->group);
	struct lb_target *targets = arena_array(s->arena, g->targets.n * (alb ? LB_NODES_MAX : 1) + 1, sizeof(*targets));
	size_t n = 0;
	for (uint32_t i = 0; i < g->targets.n; i++) {
		const struct state_elbv2_target *t = &g->targets.v[i];
		struct str zone;
		uint32_t address;
		if (alb) {
			n += plan_nodes(s, r, t, &targets[n]);
			continue;
		}
		if (!locate(s, g, t, &address, &zone) || !has_zone(r, zone))
			continue;
		targets[n++] = (struct lb_target){.id = elb_target_id(s->arena, t),
		                                  .address = address,
		                                  .port = (uint16_t)t->port.v,
		                                  .zone = Z(zone),
		                                  .draining = t->drained.set};
	}
	ret->targets = targets;
	ret->target_count = n;
}

static void plan_check(const struct elb_scope *s, const struct elbv2_target_group *g, struct lb_health_check *ret)
{
	int64_t port = 0;
	str_to_i64(g->health_check_port, &port);
	*ret = (struct lb_health_check){
	        .disabled = !g->health_check_enabled.v,
	        .protocol = protocol_of(g->health_check_protocol),
	        .port = (uint16_t)port,
	        .path = Z(g->health_check_path),
	        .interval_s = (uint32_t)g->health_check_interval_seconds.v,
	        .timeout_s = (uint32_t)g->health_check_timeout_seconds.v,
	        .healthy = (uint32_t)g->healthy_threshold_count.v,
	        .unhealthy = (uint32_t)g->unhealthy_threshold_count.v,
	        .matcher =
	                Z(g->matcher ? str_set(g->matcher->grpc_code) ? g->matcher->grpc_code : g->matcher->http_code : STR_NONE),
	};
}

static void plan_stickiness(const struct elb_scope *s, const struct state_elbv2_group_record *g, struct lb_group *ret)
{
	struct str type = elb_group_attribute(g, "stickiness.type");
	if (!elb_on(elb_group_attribute(g, "stickiness.enabled")))
		return;
	if (str_is(type, "source_ip")) {
		ret->stickiness = LB_STICKY_SOURCE_IP;
		return;
	}
	bool app = str_is(type, "app_cookie");
	ret->stickiness = app ? LB_STICKY_APP_COOKIE : LB_STICKY_COOKIE;
	ret->app_cookie = Z(elb_group_attribute(g, "stickiness.app_cookie.cookie_name"));
	ret->stickiness_s = (uint32_t)elb_number(
	        elb_group_attribute(g, app ? "stickiness.app_cookie.duration_seconds" : "stickiness.lb_cookie.duration_seconds"));
}

static void plan_group(const struct elb_scope *s, const struct state_elbv2_balancer_record *r,
                       const struct state_elbv2_group_record *g, struct lb_group *ret)
{
	struct str algorithm = elb_group_attribute(g, "load_balancing.algorithm.type"),
	           cross = elb_group_attribute(g, "load_balancing.cross_zone.enabled");
	if (str_is(cross, "use_load_balancer_configuration"))
		cross = elb_balancer_attribute(r, "load_balancing.cross_zone.enabled");
	*ret = (struct lb_group){
	        .name = Z(g->group->target_group_arn),
	        .protocol = protocol_of(g->group->protocol),
	        .version = str_is(g->group->protocol_version, "GRPC")    ? LB_GRPC
	                   : str_is(g->group->protocol_version, "HTTP2") ? LB_HTTP2
	                                                                 : LB_HTTP1,
	        .algorithm = str_is(algorithm, "least_outstanding_requests") ? LB_LEAST_OUTSTANDING
	                     : str_is(algorithm, "weighted_random")          ? LB_WEIGHTED_RANDOM
	                                                                     : LB_ROUND_ROBIN,
	        .slow_start_s = (uint32_t)elb_number(elb_group_attribute(g, "slow_start.duration_seconds")),
	        .function = str_is(g->group->target_type, "lambda"),
	        .log_checks = !elb_is_network(r) && elb_on(elb_balancer_attribute(r, "health_check_logs.s3.enabled")),
	        .multi_values = elb_on(elb_group_attribute(g, "lambda.multi_value_headers.enabled")),
	        .cross_zone = elb_on(cross) || str_is(g->group->target_type, "lambda"),
	        .healthy_min_count = (uint32_t)elb_number(
	                elb_group_attribute(g, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count")),
	        .healthy_min_percent = (uint32_t)elb_number(
	                elb_group_attribute(g, "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage")),
	        .name_min_count = (uint32_t)elb_number(
	                elb_group_attribute(g, "target_group_health.dns_failover.minimum_healthy_targets.count")),
	        .name_min_percent = (uint32_t)elb_number(
	                elb_group_attribute(g, "target_group_health.dns_failover.minimum_healthy_targets.percentage")),
	        .preserve_client_ip = elb_on(elb_group_attribute(g, "preserve_client_ip.enabled")),
	        .proxy_protocol_v2 = elb_on(elb_group_attribute(g, "proxy_protocol_v2.enabled")),
	        .keep_drained =
	                elb_is_network(r) && !elb_on(elb_group_attribute(g, "deregistration_delay.connection_termination.enabled")),
	        .cut_unhealthy = elb_on(elb_group_attribute(g, "target_health_state.unhealthy.connection_termination.enabled")),
	};
	plan_stickiness(s, g, ret);
	plan_check(s, g->group, &ret->check);
	plan_targets(s, r, g, ret);
}

static void plan_groups(const struct elb_scope *s, const struct state_elbv2_balancer_record *r, struct lb_balancer *ret,
                        bool *ret_chained)
{
	struct elb_rules rules = elb_rules_of(s, r->balancer->load_balancer_name, STR_NONE);
	struct str_list arns = {0};
	for (uint32_t i = 0; i < rules.n; i++)
		elb_actions_groups(s->arena, &rules.v[i].rule->actions, &arns);
	struct lb_group *groups = arena_array(s->arena, arns.n + 1, sizeof(*groups));
	size_t n = 0;
	for (uint32_t i = 0; i < arns.n; i++) {
		struct state_elbv2_group_record g = {0};
		struct elb_name name;
		if (!elb_name_parse(s, arns.v[i], &name) || !elb_group_find(s, name.name, &g))
			continue;
		plan_group(s, r, &g, &groups[n++]);
		*ret_chained |= elb_group_is_alb(g.group);
	}
	ret->groups = groups;
	ret->group_count = n;
}

/* --- rules */

static void plan_values(const struct elb_scope *s, const struct str_list *plain, const struct str_list *regex,
                        struct lb_condition *ret)
{
	const struct str_list *l = regex && regex->n ? regex : plain;
	struct lb_value *values = arena_array(s->arena, l->n + 1, sizeof(*values));
	for (uint32_t i = 0; i < l->n; i++)
		values[i].value = Z(l->v[i]);
	ret->values = values;
	ret->value_count = l->n;
	ret->regex = l == regex;
}

static void plan_condition(const struct elb_scope *s, const struct elbv2_rule_condition *c, struct lb_condition *ret)
{
	*ret = (struct lb_condition){0};
	if (c->host_header_config) {
		ret->field = LB_FIELD_HOST;
		plan_values(s, &c->host_header_config->values, &c->host_header_config->regex_values, ret);
	} else if (c->path_pattern_config) {
		ret->field = LB_FIELD_PATH;
		plan_values(s, &c->path_pattern_config->values, &c->path_pattern_config->regex_values, ret);
	} else if (c->http_header_config) {
		ret->field = LB_FIELD_HEADER;
		ret->header = Z(c->http_header_config->http_header_name);
		plan_values(s, &c->http_header_config->values, &c->http_header_config->regex_values, ret);
	} else if (c->http_request_method_config) {
		ret->field = LB_FIELD_METHOD;
		plan_values(s, &c->http_request_method_config->values, NULL, ret);
	} else if (c->source_ip_config) {
		ret->field = LB_FIELD_SOURCE_IP;
		plan_values(s, &c->source_ip_config->values, NULL, ret);
	} else if (c->query_string_config) {
		const struct elbv2_query_string_key_value_pair_list *l = &c->query_string_config->values;
		struct lb_value *values = arena_array(s->arena, l->n + 1, sizeof(*values));
		for (uint32_t i = 0; i < l->n; i++)
			values[i] = (struct lb_value){.key = l->v[i].key.n ? Z(l->v[i].key) : NULL, .value = Z(l->v[i].value)};
		ret->field = LB_FIELD_QUERY;
		ret->values = values;
		ret->value_count = l->n;
	}
}

static void plan_action(const struct elb_scope *s, const struct elbv2_action *a, struct lb_action *ret)
{
	int64_t status = 0;
	*ret = (struct lb_action){0};
	if (a->forward_config) {
		const struct elbv2_target_group_list *l = &a->forward_config->target_groups;
		const struct elbv2_target_group_stickiness_config *sticky = a->forward_config->target_group_stickiness_config;
		struct lb_share *shares = arena_array(s->arena, l->n + 1, sizeof(*shares));
		for (uint32_t i = 0; i < l->n; i++)
			shares[i] = (struct lb_share){Z(l->v[i].target_group_arn), (uint32_t)l->v[i].weight.v};
		ret->kind = LB_FORWARD;
		ret->shares = shares;
		ret->share_count = l->n;
		ret->group_stickiness_s = sticky && sticky->enabled.v ? (uint32_t)sticky->duration_seconds.v : 0;
	} else if (a->redirect_config) {
		const struct elbv2_redirect_action_config *r = a->redirect_config;
		ret->kind = LB_REDIRECT;
		ret->protocol = Z(r->protocol);
		ret->host = Z(r->host);
		ret->port = Z(r->port);
		ret->path = Z(r->path);
		ret->query = Z(r->query);
		ret->status = str_is(r->status_code, "HTTP_301") ? 301 : 302;
	} else if (a->fixed_response_config) {
		const struct elbv2_fixed_response_action_config *f = a->fixed_response_config;
		str_to_i64(f->status_code, &status);
		ret->kind = LB_FIXED_RESPONSE;
		ret->status = (uint32_t)status;
		ret->content_type = Z(f->content_type);
		ret->body = Z(f->message_body);
	}
}

static void plan_rewrites(const struct elb_scope *s, const struct elbv2_rule *r, struct lb_rule *ret)
{
	struct lb_rewrite *rewrites = arena_array(s->arena, r->transforms.n + 1, sizeof(*rewrites));
	for (uint32_t i = 0; i < r->transforms.n; i++) {
		const struct elbv2_rule_transform *t = &r->transforms.v[i];
		bool host = t->host_header_rewrite_config != NULL;
		const struct elbv2_rewrite_config *w =
		        host ? &t->host_header_rewrite_config->rewrites.v[0] : &t->url_rewrite_config->rewrites.v[0];
		rewrites[i] = (struct lb_rewrite){
		        .host = host, .regex = Z(w->regex), .groups = elb_regex_groups(w->regex), .replace = Z(w->replace)};
	}
	ret->rewrites = rewrites;
	ret->rewrite_count = r->transforms.n;
}

static void plan_rules(const struct elb_scope *s, const struct elb_name *at, struct lb_listener *ret)
{
	struct elb_rules all = elb_rules_of(s, at->name, at->listener);
	struct lb_rule *rules = arena_array(s->arena, all.n + 1, sizeof(*rules));
	for (uint32_t i = 0; i < all.n; i++) {
		const struct elbv2_rule *r = all.v[i].rule;
		struct lb_condition *conditions = arena_array(s->arena, r->conditions.n + 1, sizeof(*conditions));
		for (uint32_t k = 0; k < r->conditions.n; k++)
			plan_condition(s, &r->conditions.v[k], &conditions[k]);
		rules[i] =
		        (struct lb_rule){.priority = Z(r->priority), .conditions = conditions, .condition_count = r->conditions.n};
		plan_action(s, &r->actions.v[0], &rules[i].action);
		plan_rewrites(s, r, &rules[i]);
	}
	ret->rules = rules;
	ret->rule_count = all.n;
}

/* --- listeners */

static enum lb_tls_version tls_version(struct str name)
{
	return str_is(name, "TLSv1")     ? LB_TLS_1_0
	       : str_is(name, "TLSv1.1") ? LB_TLS_1_1
	       : str_is(name, "TLSv1.2") ? LB_TLS_1_2
	                                 : LB_TLS_1_3;
}

static void plan_tls(const struct elb_scope *s, const struct elbv2_listener *l, struct lb_listener *ret)
{
	const struct elb_policy *p = elb_policy_named(l->ssl_policy);
	struct str old = S(""), new = S(""), alpn = l->alpn_policy.n ? l->alpn_policy.v[0] : STR_NONE;
	if (!p)
		return;
	struct str rest = str_from(p->protocols), last = str_cut(&rest, ' ');
	ret->tls_min = tls_version(last);
	while (str_set(rest))
		last = str_cut(&rest, ' ');
	ret->tls_max = tls_version(last);
	for (rest = str_from(p->ciphers); str_set(rest);) {
		struct str one = str_cut(&rest, ' '), *to = str_starts(one, S("TLS_")) ? &new : &old;
		*to = to->n ? ARENA_CAT(s->arena, *to, S(":"), one) : one;
	}
	ret->ciphers = Z(old);
	ret->ciphersuites = Z(new);
	ret->alpn = str_is(alpn, "HTTP1Only")        ? "http/1.1"
	            : str_is(alpn, "HTTP2Only")      ? "h2"
	            : str_is(alpn, "HTTP2Optional")  ? "http/1.1,h2"
	            : str_is(alpn, "HTTP2Preferred") ? "h2,http/1.1"
	                                             : "";
}

static void plan_certificates(const struct elb_scope *s, const struct state_elbv2_listener_record *r, struct lb_listener *ret)
{
	struct lb_certificate *certificates = arena_array(s->arena, r->certificates.n + 1, sizeof(*certificates));
	for (uint32_t i = 0; i <= r->certificates.n; i++) {
		struct str arn = (i ? r->certificates.v[i - 1] : r->listener->certificates.v[0]).certificate_arn, end = S("\n");
		struct cert_bundle b;
		if (elb_certificate_find(s, arn, &b) && str_set(b.key))
			certificates[ret->certificate_count++] = (struct lb_certificate){
			        Z(arn), ARENA_CAT(s->arena, b.body, end, str_set(b.chain) ? b.chain : S(""), end, b.key, end).p};
	}
	ret->certificates = certificates;
}

static void plan_mutual(const struct elb_scope *s, const struct state_elbv2_listener_record *r, struct lb_listener *ret)
{
	static const char *const names[LB_MUTUAL_HEADERS] = {
	        [LB_MUTUAL_CHAIN] = "routing.http.request.x_amzn_mtls_clientcert.header_name",
	        [LB_MUTUAL_SERIAL] = "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
	        [LB_MUTUAL_ISSUER] = "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
	        [LB_MUTUAL_SUBJECT] = "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
	        [LB_MUTUAL_VALIDITY] = "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
	        [LB_MUTUAL_LEAF] = "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
	};
	const struct elbv2_mutual_authentication_attributes *m = r->listener->mutual_authentication;
	struct state_elbv2_trust_record trust = {0};
	struct elb_name name;
	for (size_t i = 0; ret->protocol == LB_HTTPS && i < LB_MUTUAL_HEADERS; i++)
		ret->mutual_headers[i] = Z(elb_listener_attribute(r, names[i]));
	if (!m || str_is(m->mode, "off"))
		return;
	ret->mutual = str_is(m->mode, "verify") ? LB_MUTUAL_VERIFY : LB_MUTUAL_PASS;
	if (ret->mutual != LB_MUTUAL_VERIFY || !elb_name_parse(s, m->trust_store_arn, &name) ||
	    !elb_trust_find(s, name.name, &trust))
		return;
	ret->authorities = Z(trust.bundle);
	ret->revoked = Z(elb_trust_revoked(s, &trust));
	ret->ignore_expiry = m->ignore_client_certificate_expiry.v;
	ret->advertise = str_is(m->advertise_trust_store_ca_names, "on");
}

static void plan_headers(const struct elb_scope *s, const struct state_elbv2_listener_record *r, struct lb_listener *ret)
{
	struct str_map l = elb_listener_headers(s->arena, r);
	struct lb_header *headers = arena_array(s->arena, l.n + 1, sizeof(*headers));
	for (uint32_t i = 0; i < l.n; i++)
		headers[i] = (struct lb_header){Z(l.v[i].key), Z(l.v[i].value)};
	ret->headers = headers;
	ret->header_count = l.n;
	ret->nameless = !elb_on(elb_listener_attribute(r, "routing.http.response.server.enabled"));
	if (ret->protocol == LB_HTTPS) {
		ret->tls_version_header = Z(elb_listener_attribute(r, "routing.http.request.x_amzn_tls_version.header_name"));
		ret->tls_cipher_header = Z(elb_listener_attribute(r, "routing.http.request.x_amzn_tls_cipher_suite.header_name"));
	}
}

static void plan_listener(const struct elb_scope *s, const struct state_elbv2_listener_record *r, struct lb_listener *ret)
{
	const struct elbv2_listener *l = r->listener;
	struct elb_name at;
	*ret = (struct lb_listener){.protocol = protocol_of(l->protocol), .port = (uint16_t)l->port.v};
	if (str_is(l->protocol, "TCP"))
		ret->idle_timeout_s = (uint32_t)elb_number(elb_listener_attribute(r, "tcp.idle_timeout.seconds"));
	if (elb_protocol_http(l->protocol))
		plan_headers(s, r, ret);
	if (str_is(l->protocol, "HTTPS") || str_is(l->protocol, "TLS")) {
		plan_tls(s, l, ret);
		plan_certificates(s, r, ret);
		plan_mutual(s, r, ret);
	}
	if (elb_name_parse(s, l->listener_arn, &at))
		plan_rules(s, &at, ret);
}

/* --- all of it */

void elb_plan(const struct elb_scope *s, const struct state_elbv2_balancer_record *r, struct lb_balancer *ret, bool *ret_chained)
{
	struct elb_name name = {0};
	struct str xff = elb_balancer_attribute(r, "routing.http.xff_header_processing.mode"),
	           desync = elb_balancer_attribute(r, "routing.http.desync_mitigation_mode");
	struct elb_listeners all = elb_listeners_of(s, r->balancer->load_balancer_name);
	struct lb_listener *listeners = arena_array(s->arena, all.n + 1, sizeof(*listeners));
	struct lb_node *nodes = arena_array(s->arena, r->nodes.n + 1, sizeof(*nodes));
	for (uint32_t i = 0; i < all.n; i++)
		plan_listener(s, &all.v[i], &listeners[i]);
	for (uint32_t i = 0; i < r->nodes.n; i++)
		nodes[i] = (struct lb_node){.id = Z(r->nodes.v[i].interface), .zone = Z(r->nodes.v[i].zone)};
	elb_name_parse(s, r->balancer->load_balancer_arn, &name);
	*ret = (struct lb_balancer){
	        .id = elb_engine_id(s->arena, &name).p,
	        .network = elb_is_network(r),
	        .ipv6 = elb_has_ipv6(r->balancer),
	        .secret = Z(r->secret),
	        .nodes = nodes,
	        .node_count = r->nodes.n,
	        .listeners = listeners,
	        .listener_count = all.n,
	        .idle_timeout_s = (uint32_t)elb_number(elb_balancer_attribute(r, "idle_timeout.timeout_seconds")),
	        .client_keep_alive_s = (uint32_t)elb_number(elb_balancer_attribute(r, "client_keep_alive.seconds")),
	        .http2 = elb_on(elb_balancer_attribute(r, "routing.http2.enabled")),
	        .drop_invalid_headers = elb_on(elb_balancer_attribute(r, "routing.http.drop_invalid_header_fields.enabled")),
	        .xff_client_port = elb_on(elb_balancer_attribute(r, "routing.http.xff_client_port.enabled")),
	        .preserve_host = elb_on(elb_balancer_attribute(r, "routing.http.preserve_host_header.enabled")),
	        .tls_headers = elb_on(elb_balancer_attribute(r, "routing.http.x_amzn_tls_version_and_cipher_suite.enabled")),
	        .access_log = !elb_is_network(r) && (elb_on(elb_balancer_attribute(r, "access_logs.s3.enabled")) ||
	                                             elb_on(elb_balancer_attribute(r, "connection_logs.s3.enabled"))),
	        .xff = str_is(xff, "preserve") ? LB_XFF_PRESERVE
	               : str_is(xff, "remove") ? LB_XFF_REMOVE
	                                       : LB_XFF_APPEND,
	        .desync = str_is(desync, "monitor")     ? LB_DESYNC_MONITOR
	                  : str_is(desync, "strictest") ? LB_DESYNC_STRICTEST
	                                                : LB_DESYNC_DEFENSIVE,
	};
	*ret_chained = false;
	plan_groups(s, r, ret, ret_chained);
}
