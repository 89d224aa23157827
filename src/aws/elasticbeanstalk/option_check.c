/* May an option have this value, and do all of them go together? What is wrong is said in the words of the service. */
#include "extra.h"
#include "health.h"
#include "option.h"

#include "aws/ec2/ec2.h"
#include "base/clock.h"
#include "engine/scaling/cron.h"

enum { PROPERTIES_BYTES_MAX = 4096, HOUR_MS = 3600 * 1000 };
#define CUSTOM "aws:elasticbeanstalk:customoption"
#define GROUP "aws:autoscaling:asg"
#define TRIGGER "aws:autoscaling:trigger"
#define UPDATE "aws:autoscaling:updatepolicy:rollingupdate"
#define VPC "aws:ec2:vpc"
#define COMMAND "aws:elasticbeanstalk:command"
#define PROCESS "aws:elasticbeanstalk:environment:process:default"

static int invalid(struct call *c, const struct elasticbeanstalk_configuration_option_setting *o, const char *why)
{
	return call_fail(
	        c, "ConfigurationValidationException", 400,
	        "Configuration validation exception: Invalid option value: '%.*s' (Namespace: '%.*s', OptionName: '%.*s'): %s",
	        STR_ARG(o->value), STR_ARG(o->namespace), STR_ARG(o->option_name), why);
}

bool option_is_property(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && (name.p[i] == 0 || !strchr("_.:/=+\\-@", name.p[i])))
			return false;
	return name.n > 0;
}

/* Namespaces whose names are the user's own. */
bool option_is_free(struct str namespace)
{
	return str_is(namespace, PROPERTIES) || str_is(namespace, STATIC_FILES) || str_is(namespace, CUSTOM);
}

static bool chosen(struct str value, const char *choices)
{
	struct str rest = str_from(choices);
	while (str_set(rest))
		if (str_eq(str_cut(&rest, ','), value))
			return true;
	return false;
}

static int check(struct call *c, const struct elasticbeanstalk_configuration_option_setting *o)
{
	const struct option *known = option_find(o->namespace, o->option_name);
	struct cron recurrence;
	int64_t number;
	if (str_is(o->namespace, PROPERTIES))
		return option_is_property(o->option_name)
		               ? CALL_OK
		               : invalid(c, o, "The name of an environment property has a character that it cannot have.");
	if (str_is(o->namespace, STATIC_FILES))
		return o->option_name.n && str_set(o->value) && o->value.n
		               ? CALL_OK
		               : invalid(c, o, "A path and a folder of the application are needed.");
	if (str_is(o->namespace, CUSTOM))
		return o->option_name.n ? CALL_OK : invalid(c, o, "It needs a name.");
	if (!known)
		return call_fail(c, "ConfigurationValidationException", 400,
		                 "Configuration validation exception: Invalid option specification (Namespace: '%.*s', OptionName: "
		                 "'%.*s'): Unknown configuration setting.",
		                 STR_ARG(o->namespace), STR_ARG(o->option_name));
	if (known->kind == NUMBER && (!str_to_i64(o->value, &number) || number < known->least || number > known->most))
		return invalid(c, o, "Value is not a number in the allowed range.");
	if (known->kind == CHOICE && !chosen(o->value, known->choices))
		return invalid(c, o, "Value is not one of the allowed values.");
	if (known->fixed && o->value.n && !(known->value && str_is(o->value, known->value)))
		return invalid(c, o, "It is not supported.");
	if (str_is(o->namespace, PROCESS) && str_is(o->option_name, "Port") && !str_is(o->value, "80"))
		return invalid(c, o, "The proxy of the instances listens to port 80; other processes may have others.");
	if (str_is(o->option_name, "Application Healthcheck URL") && o->value.n && !str_starts(o->value, S("/")))
		return invalid(c, o, "A path that begins with a slash is supported.");
	if (str_is(o->option_name, "SSLCertificateArns") && str_find_char(o->value, ',') >= 0)
		return invalid(c, o, "More than one certificate is not supported.");
	if (str_is(o->option_name, "SSHSourceRestriction") && o->value.n && !extra_is_source(c->arena, o->value))
		return invalid(c, o, "Value is not a protocol, two ports and a source, as tcp,22,22,0.0.0.0/0.");
	if (str_is(o->namespace, SCHEDULED) && !o->resource_name.n)
		return invalid(c, o, "It needs a ResourceName, the name of the scheduled action.");
	if ((str_is(o->option_name, "StartTime") || str_is(o->option_name, "EndTime")) && !time_parse(o->value, &number))
		return invalid(c, o, "Value is not a time of ISO 8601, as 2026-05-14T07:00:00Z.");
	if (str_is(o->option_name, "Recurrence") && !cron_parse(o->value, &recurrence))
		return invalid(c, o, "Value is not a cron expression of five fields.");
	const char *why = launch_fault(c, o);
	if (why)
		return invalid(c, o, why);
	if (str_is(o->option_name, "VPCId") && o->value.n && !ec2_vpc_there(c, o->value))
		return invalid(c, o, "There is no such VPC.");
	if (str_is(o->option_name, "LoadBalancerType") && !str_is(o->value, "application"))
		return invalid(c, o, "It is not supported.");
	if (str_is(o->namespace, UPDATE) && known->kind == TEXT && (!batches_duration(o->value, &number) || number > HOUR_MS))
		return invalid(c, o, "Value is not a duration of at most an hour, as PT5M.");
	if (str_is(o->option_name, "ConfigDocument"))
		return document_check(c, o->value);
	if (str_is(o->option_name, "HttpPath") && !str_starts(o->value, S("/")))
		return invalid(c, o, "A path begins with a slash.");
	return CALL_OK;
}

struct str option_fault(struct call *c, const struct elasticbeanstalk_configuration_option_setting *o)
{
	struct str head = S("Configuration validation exception: ");
	if (check(c, o) == CALL_OK)
		return STR_NONE;
	struct str why = c->error.message;
	c->error = (struct call_error){0};
	return str_starts(why, head) ? str_from_at(why, head.n) : why;
}

int options_check(struct call *c, const struct elasticbeanstalk_configuration_option_settings_list *l)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < l->n; i++) {
		if (check(c, &l->v[i]) != CALL_OK)
			return CALL_FAIL;
		if (str_is(l->v[i].namespace, PROPERTIES))
			bytes += l->v[i].option_name.n + l->v[i].value.n + 1;
	}
	return bytes <= PROPERTIES_BYTES_MAX
	               ? CALL_OK
	               : beanstalk_invalid(c, "Environment properties are longer than %d bytes.", PROPERTIES_BYTES_MAX);
}

/* What one option says needs what another one says. */
int options_match(struct call *c, const struct environment_record *r)
{
	static const struct {
		const char *namespace, *less, *more;
		bool may_be_same;
	} pairs[] = {{GROUP, "MinSize", "MaxSize", true},
	             {TRIGGER, "LowerThreshold", "UpperThreshold", true},
	             {PROCESS, "HealthCheckTimeout", "HealthCheckInterval", false}};
	for (size_t i = 0; environment_many(r) && i < sizeof(pairs) / sizeof(*pairs); i++) {
		int64_t less = option_number(r, pairs[i].namespace, pairs[i].less),
		        more = option_number(r, pairs[i].namespace, pairs[i].more);
		if (less > more || (less == more && !pairs[i].may_be_same))
			return call_fail(
			        c, "ConfigurationValidationException", 400,
			        "Configuration validation exception: Invalid option value: '%lld' (Namespace: '%s', OptionName: "
			        "'%s'): It must be %s %s.",
			        (long long)less, pairs[i].namespace, pairs[i].less, pairs[i].may_be_same ? "at most" : "less than",
			        pairs[i].more);
	}
	if (environment_many(r) && str_is(option_value(r, UPDATE, "RollingUpdateEnabled"), "true") &&
	    option_number(r, UPDATE, "MinInstancesInService") >= option_number(r, GROUP, "MaxSize"))
		return call_fail(c, "ConfigurationValidationException", 400,
		                 "Configuration validation exception: Invalid option value: '%lld' (Namespace: '" UPDATE
		                 "', OptionName: 'MinInstancesInService'): It must be less than MaxSize.",
		                 (long long)option_number(r, UPDATE, "MinInstancesInService"));
	if (option_value(r, VPC, "VPCId").n && !option_value(r, VPC, "Subnets").n)
		return beanstalk_combination(c, "An environment in a VPC of its own needs Subnets.");
	if (launch_match(c, r) != CALL_OK || extra_check(c, r) != CALL_OK || routes_check(c, r) != CALL_OK ||
	    listeners_check(c, r) != CALL_OK)
		return CALL_FAIL;
	struct str policy = option_value(r, COMMAND, "DeploymentPolicy");
	if (!environment_many(r) && !chosen(policy, "AllAtOnce,Rolling"))
		return call_fail(c, "ConfigurationValidationException", 400,
		                 "Configuration validation exception: Invalid option value: '%.*s' (Namespace: '" COMMAND
		                 "', OptionName: 'DeploymentPolicy'): It is not supported for an environment of one instance.",
		                 STR_ARG(policy));
	return managed_check(c, r) == CALL_OK ? beside_check(c, r) : CALL_FAIL;
}

int options_fixed(struct call *c, const struct environment_record *before, const struct environment_record *after)
{
	static const char *const fixed[] = {"ELBScheme", "ELBSubnets", "Subnets", "VPCId"};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		struct str was = option_value(before, VPC, fixed[i]), is = option_value(after, VPC, fixed[i]);
		if (was.n != is.n || (was.n && !str_eq(was, is)))
			return beanstalk_invalid(c, "Changing %s of an environment is not supported.", fixed[i]);
	}
	return routes_fixed(c, before, after);
}
