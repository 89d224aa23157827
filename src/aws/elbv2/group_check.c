/* What a target group may be: protocols, and the health checks that go with them. */
#include "rows.h"

bool elb_protocol_http(struct str protocol)
{
	return str_is(protocol, "HTTP") || str_is(protocol, "HTTPS");
}

bool elb_group_is_http(const struct elbv2_target_group *g)
{
	return elb_protocol_http(g->protocol);
}

/* "200", "200-299", "200,202,300-310" between two numbers. */
static bool is_matcher(struct str text, int64_t min, int64_t max)
{
	if (!text.n)
		return false;
	while (str_set(text)) {
		struct str part = str_cut(&text, ','), first = part;
		int64_t from, to;
		ptrdiff_t dash = str_find_char(part, '-');
		if (dash >= 0) {
			first = str_sub(part, 0, (size_t)dash);
			if (!str_to_i64(str_from_at(part, (size_t)dash + 1), &to))
				return false;
		}
		if (!str_to_i64(first, &from) || from < min || from > max)
			return false;
		if (dash >= 0 && (to < from || to > max))
			return false;
	}
	return true;
}

static int check_matcher(struct call *c, struct elbv2_target_group *g, bool checks_http)
{
	bool grpc = str_is(g->protocol_version, "GRPC"), http_group = elb_group_is_http(g) || str_is(g->target_type, "lambda");
	struct elbv2_matcher *m = g->matcher;
	if (!checks_http)
		return m && (m->http_code.n || m->grpc_code.n)
		               ? elb_invalid(c, "Health check matcher is not supported with health check protocol '%.*s'",
		                             STR_ARG(g->health_check_protocol))
		               : CALL_OK;
	if (!m) {
		m = g->matcher = arena_new(c->arena, struct elbv2_matcher);
		if (grpc)
			m->grpc_code = S("12");
		else
			m->http_code = http_group ? S("200") : S("200-399");
	}
	if (grpc ? !is_matcher(m->grpc_code, 0, 99) || str_set(m->http_code)
	         : !is_matcher(m->http_code, 200, http_group ? 499 : 599) || str_set(m->grpc_code))
		return elb_invalid(c, "Health check matcher %s code '%.*s' must be within '%s' inclusive", grpc ? "GRPC" : "HTTP",
		                   STR_ARG(grpc ? m->grpc_code : m->http_code),
		                   grpc         ? "0-99"
		                   : http_group ? "200-499"
		                                : "200-599");
	return CALL_OK;
}

/* Fills in what is not said. */
int elb_health_check(struct call *c, struct elbv2_target_group *g)
{
	bool http_group = elb_group_is_http(g), lambda = str_is(g->target_type, "lambda");
	bool http_checks = http_group || elb_group_is_alb(g);
	int64_t port;
	if (!str_set(g->health_check_protocol) && !lambda)
		g->health_check_protocol = http_checks ? S("HTTP") : S("TCP");
	bool checks_http = lambda || elb_protocol_http(g->health_check_protocol);
	if (!lambda && !checks_http && !(str_is(g->health_check_protocol, "TCP") && !http_checks))
		return elb_invalid(c, "Health check protocol '%.*s' must be one of '%s'", STR_ARG(g->health_check_protocol),
		                   http_checks ? "HTTP, HTTPS" : "HTTP, HTTPS, TCP");
	if (!g->health_check_enabled.set)
		g->health_check_enabled = OPT_BOOL(!lambda);
	if (!g->health_check_enabled.v && !lambda)
		return elb_invalid(c, "Health checks cannot be disabled for target groups with target type '%.*s'",
		                   STR_ARG(g->target_type));
	if (!lambda && !str_set(g->health_check_port))
		g->health_check_port = S("traffic-port");
	if (!lambda && !str_is(g->health_check_port, "traffic-port") &&
	    (!str_to_i64(g->health_check_port, &port) || port < 1 || port > 65535))
		return elb_invalid(c, "Health check port '%.*s' must be 'traffic-port' or a port between '1' and '65535'",
		                   STR_ARG(g->health_check_port));
	if (checks_http && !str_set(g->health_check_path))
		g->health_check_path = str_is(g->protocol_version, "GRPC") ? S("/AWS.ALB/healthcheck") : S("/");
	if (!checks_http && str_set(g->health_check_path))
		return elb_invalid(c, "Health check path is not supported with health check protocol '%.*s'",
		                   STR_ARG(g->health_check_protocol));
	if (checks_http && g->health_check_path.p[0] != '/')
		return elb_invalid(c, "Health check path '%.*s' must begin with a '/' character", STR_ARG(g->health_check_path));
	for (size_t i = 0; checks_http && i < g->health_check_path.n; i++)
		if (g->health_check_path.p[i] <= ' ' || g->health_check_path.p[i] >= 127)
			return elb_invalid(c, "Health check path '%.*s' contains invalid characters",
			                   STR_ARG(g->health_check_path));
	if (!g->health_check_interval_seconds.set)
		g->health_check_interval_seconds = OPT_INT(lambda ? 35 : 30);
	if (!g->health_check_timeout_seconds.set)
		g->health_check_timeout_seconds = OPT_INT(lambda ? 30 : http_group ? 5 : checks_http ? 6 : 10);
	if (!g->healthy_threshold_count.set)
		g->healthy_threshold_count = OPT_INT(5);
	if (!g->unhealthy_threshold_count.set)
		g->unhealthy_threshold_count = OPT_INT(2);
	if (g->health_check_timeout_seconds.v >= g->health_check_interval_seconds.v)
		return elb_invalid(c, "Health check timeout '%lld' must be smaller than the interval '%lld'",
		                   (long long)g->health_check_timeout_seconds.v, (long long)g->health_check_interval_seconds.v);
	return check_matcher(c, g, checks_http);
}
