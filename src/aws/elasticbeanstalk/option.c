/* Configuration options: which there are, what they may be, and what an environment says of them. */
#include "health.h"

#include "aws/ec2/ec2.h"

enum kind { TEXT, NUMBER, CHOICE };
struct option {
	const char *namespace, *name, *value; /* value: by default; NULL: none */
	const char *severity;                 /* of a change */
	enum kind kind;
	int64_t least, most;
	const char *choices; /* with commas between them */
	bool of_many;        /* about what an environment of one instance does not have: taken, as AWS does, and not listed */
};

#define NONE "NoInterruption"
#define SERVER "RestartApplicationServer"
#define ALL "RestartEnvironment"
#define OF_MANY(namespace, name, choices) \
	{ \
		namespace, name, NULL, NONE, CHOICE, 0, 0, choices, true \
	}
#define GROUP "aws:autoscaling:asg"
#define TRIGGER "aws:autoscaling:trigger"
#define UPDATE "aws:autoscaling:updatepolicy:rollingupdate"
#define LAUNCH "aws:autoscaling:launchconfiguration"
#define VPC "aws:ec2:vpc"
#define BALANCER "aws:elbv2:loadbalancer"
#define LISTENER "aws:elbv2:listener:default"
#define COMMAND "aws:elasticbeanstalk:command"
#define LOGS "aws:elasticbeanstalk:cloudwatch:logs"
#define HEALTH "aws:elasticbeanstalk:healthreporting:system"
#define MANAGED "aws:elasticbeanstalk:managedactions"
#define TOPICS "aws:elasticbeanstalk:sns:topics"
#define RETENTIONS "1,3,5,7,14,30,60,90,120,150,180,365,400,545,731,1827,3653"
#define PHP "aws:elasticbeanstalk:container:php:phpini"
#define TOMCAT "aws:elasticbeanstalk:container:tomcat:jvmoptions"
#define PROCESS "aws:elasticbeanstalk:environment:process:default"
static const struct option options[] = {
        {GROUP, "Cooldown", "360", NONE, NUMBER, 0, 10000, NULL},
        {GROUP, "MaxSize", "4", NONE, NUMBER, 1, 10000, NULL},
        {GROUP, "MinSize", "1", NONE, NUMBER, 1, 10000, NULL},
        {LAUNCH, "DisableIMDSv1", "false", ALL, CHOICE, 0, 0, "true,false"},
        {LAUNCH, "EC2KeyName", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "IamInstanceProfile", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "ImageId", NULL, ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "InstanceType", "t3.micro", ALL, TEXT, 0, 0, NULL},
        {LAUNCH, "SecurityGroups", NULL, ALL, TEXT, 0, 0, NULL},
        {TRIGGER, "BreachDuration", "5", NONE, NUMBER, 1, 600, NULL},
        {TRIGGER, "EvaluationPeriods", "1", NONE, NUMBER, 1, 600, NULL},
        {TRIGGER, "LowerBreachScaleIncrement", "-1", NONE, NUMBER, -10000, 10000, NULL},
        {TRIGGER, "LowerThreshold", "2000000", NONE, NUMBER, 0, 20000000, NULL},
        {TRIGGER, "MeasureName", "NetworkOut", NONE, CHOICE, 0, 0,
         "CPUUtilization,NetworkIn,NetworkOut,DiskWriteOps,DiskReadBytes,DiskReadOps,DiskWriteBytes,Latency,RequestCount,"
         "HealthyHostCount,UnhealthyHostCount,TargetResponseTime"},
        {TRIGGER, "Period", "5", NONE, NUMBER, 1, 600, NULL},
        {TRIGGER, "Statistic", "Average", NONE, CHOICE, 0, 0, "Minimum,Maximum,Sum,Average"},
        {TRIGGER, "Unit", "Bytes", NONE, CHOICE, 0, 0,
         "Seconds,Percent,Bytes,Bits,Count,Bytes/Second,Bits/Second,Count/Second,None"},
        {TRIGGER, "UpperBreachScaleIncrement", "1", NONE, NUMBER, -10000, 10000, NULL},
        {TRIGGER, "UpperThreshold", "6000000", NONE, NUMBER, 0, 20000000, NULL},
        {UPDATE, "MaxBatchSize", NULL, NONE, NUMBER, 1, 10000, NULL},
        {UPDATE, "MinInstancesInService", NULL, NONE, NUMBER, 0, 9999, NULL},
        {UPDATE, "PauseTime", NULL, NONE, TEXT, 0, 0, NULL},
        {UPDATE, "RollingUpdateEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {UPDATE, "RollingUpdateType", "Time", NONE, CHOICE, 0, 0, "Time,Health,Immutable"},
        {UPDATE, "Timeout", "PT30M", NONE, TEXT, 0, 0, NULL},
        {"aws:ec2:instances", "InstanceTypes", NULL, ALL, TEXT, 0, 0, NULL},
        {VPC, "AssociatePublicIpAddress", NULL, ALL, CHOICE, 0, 0, "true,false"},
        {VPC, "ELBScheme", "public", ALL, CHOICE, 0, 0, "public,internal"},
        {VPC, "ELBSubnets", NULL, ALL, TEXT, 0, 0, NULL},
        {VPC, "Subnets", NULL, ALL, TEXT, 0, 0, NULL},
        {VPC, "VPCId", NULL, ALL, TEXT, 0, 0, NULL},
        {LOGS, "DeleteOnTerminate", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS, "RetentionInDays", "7", NONE, CHOICE, 0, 0, RETENTIONS},
        {LOGS, "StreamLogs", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS ":health", "DeleteOnTerminate", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS ":health", "HealthStreamingEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {LOGS ":health", "RetentionInDays", "7", NONE, CHOICE, 0, 0, RETENTIONS},
        {COMMAND, "BatchSize", "100", NONE, NUMBER, 1, 10000, NULL},
        {COMMAND, "BatchSizeType", "Percentage", NONE, CHOICE, 0, 0, "Percentage,Fixed"},
        {COMMAND, "DeploymentPolicy", "AllAtOnce", NONE, CHOICE, 0, 0,
         "AllAtOnce,Rolling,RollingWithAdditionalBatch,Immutable,TrafficSplitting"},
        {COMMAND, "IgnoreHealthCheck", "false", NONE, CHOICE, 0, 0, "true,false"},
        {COMMAND, "Timeout", "600", NONE, NUMBER, 1, 3600, NULL},
        {PHP, "allow_url_fopen", "On", SERVER, CHOICE, 0, 0, "On,Off"},
        {PHP, "composer_options", "", SERVER, TEXT, 0, 0, NULL},
        {PHP, "display_errors", "Off", SERVER, CHOICE, 0, 0, "On,Off"},
        {PHP, "document_root", "/", SERVER, TEXT, 0, 0, NULL},
        {PHP, "max_execution_time", "60", SERVER, NUMBER, 0, INT64_MAX, NULL},
        {PHP, "memory_limit", "256M", SERVER, TEXT, 0, 0, NULL},
        {PHP, "zlib.output_compression", "Off", SERVER, CHOICE, 0, 0, "On,Off"},
        {"aws:elasticbeanstalk:container:python", "NumProcesses", "1", SERVER, NUMBER, 1, 64, NULL},
        {"aws:elasticbeanstalk:container:python", "NumThreads", "15", SERVER, NUMBER, 1, 1000, NULL},
        {"aws:elasticbeanstalk:container:python", "WSGIPath", "application", SERVER, TEXT, 0, 0, NULL},
        {TOMCAT, "JVM Options", "", SERVER, TEXT, 0, 0, NULL},
        {TOMCAT, "Xms", "256m", SERVER, TEXT, 0, 0, NULL},
        {TOMCAT, "Xmx", "256m", SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:environment", "EnvironmentType", "LoadBalanced", ALL, CHOICE, 0, 0, "SingleInstance,LoadBalanced"},
        {"aws:elasticbeanstalk:environment", "LoadBalancerType", "application", ALL, CHOICE, 0, 0, "classic,application,network"},
        {"aws:elasticbeanstalk:environment", "ServiceRole", NULL, NONE, TEXT, 0, 0, NULL},
        {MANAGED, "ManagedActionsEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {MANAGED, "PreferredStartTime", NULL, NONE, TEXT, 0, 0, NULL},
        {MANAGED, "ServiceRoleForManagedUpdates", NULL, NONE, TEXT, 0, 0, NULL},
        {MANAGED ":platformupdate", "InstanceRefreshEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {MANAGED ":platformupdate", "UpdateLevel", NULL, NONE, CHOICE, 0, 0, "patch,minor"},
        {PROCESS, "DeregistrationDelay", "20", NONE, NUMBER, 0, 3600, NULL},
        {PROCESS, "HealthCheckInterval", "15", NONE, NUMBER, 5, 300, NULL},
        {PROCESS, "HealthCheckPath", "/", NONE, TEXT, 0, 0, NULL},
        {PROCESS, "HealthCheckTimeout", "5", NONE, NUMBER, 2, 120, NULL},
        {PROCESS, "HealthyThresholdCount", "3", NONE, NUMBER, 2, 10, NULL},
        {PROCESS, "MatcherHTTPCode", "200", NONE, TEXT, 0, 0, NULL},
        {PROCESS, "StickinessEnabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {PROCESS, "StickinessLBCookieDuration", "86400", NONE, NUMBER, 1, 604800, NULL},
        {PROCESS, "UnhealthyThresholdCount", "5", NONE, NUMBER, 2, 10, NULL},
        {HEALTH, "ConfigDocument", NULL, NONE, TEXT, 0, 0, NULL},
        {HEALTH, "SystemType", "basic", NONE, CHOICE, 0, 0, "basic,enhanced"},
        {TOPICS, "Notification Endpoint", NULL, NONE, TEXT, 0, 0, NULL},
        {TOPICS, "Notification Protocol", "email", NONE, CHOICE, 0, 0, "http,https,email,email-json,sqs"},
        {TOPICS, "Notification Topic ARN", NULL, NONE, TEXT, 0, 0, NULL},
        {TOPICS, "Notification Topic Name", NULL, NONE, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:sqsd", "ConnectTimeout", "5", SERVER, NUMBER, 1, 60, NULL},
        {"aws:elasticbeanstalk:sqsd", "ErrorVisibilityTimeout", "2", SERVER, NUMBER, 0, 43200, NULL},
        {"aws:elasticbeanstalk:sqsd", "HttpConnections", "50", SERVER, NUMBER, 1, 100, NULL},
        {"aws:elasticbeanstalk:sqsd", "HttpPath", "/", SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:sqsd", "InactivityTimeout", "299", SERVER, NUMBER, 1, 36000, NULL},
        {"aws:elasticbeanstalk:sqsd", "MaxRetries", "10", SERVER, NUMBER, 1, 100, NULL},
        {"aws:elasticbeanstalk:sqsd", "MimeType", "application/json", SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:sqsd", "RetentionPeriod", "345600", SERVER, NUMBER, 60, 1209600, NULL},
        {"aws:elasticbeanstalk:sqsd", "VisibilityTimeout", "300", SERVER, NUMBER, 0, 43200, NULL},
        {"aws:elasticbeanstalk:sqsd", "WorkerQueueURL", NULL, SERVER, TEXT, 0, 0, NULL},
        {"aws:elasticbeanstalk:trafficsplitting", "EvaluationTime", "5", NONE, NUMBER, 3, 600, NULL},
        {"aws:elasticbeanstalk:trafficsplitting", "NewVersionPercent", "10", NONE, NUMBER, 1, 100, NULL},
        {"aws:elb:healthcheck", "Interval", NULL, NONE, NUMBER, 5, 300, NULL, true},
        OF_MANY("aws:elb:loadbalancer", "CrossZone", "true,false"),
        OF_MANY("aws:elb:policies", "ConnectionDrainingEnabled", "true,false"),
        {LISTENER, "DefaultProcess", "default", NONE, CHOICE, 0, 0, "default"},
        {LISTENER, "ListenerEnabled", "true", NONE, CHOICE, 0, 0, "true,false"},
        {LISTENER, "Protocol", "HTTP", NONE, CHOICE, 0, 0, "HTTP,HTTPS"},
        {LISTENER, "SSLCertificateArns", NULL, NONE, TEXT, 0, 0, NULL},
        {LISTENER, "SSLPolicy", NULL, NONE, TEXT, 0, 0, NULL},
        {BALANCER, "AccessLogsS3Bucket", NULL, NONE, TEXT, 0, 0, NULL},
        {BALANCER, "AccessLogsS3Enabled", "false", NONE, CHOICE, 0, 0, "true,false"},
        {BALANCER, "AccessLogsS3Prefix", NULL, NONE, TEXT, 0, 0, NULL},
        {BALANCER, "IdleTimeout", "60", NONE, NUMBER, 1, 3600, NULL},
        {BALANCER, "SecurityGroups", NULL, NONE, TEXT, 0, 0, NULL},
};
enum { OPTIONS = sizeof(options) / sizeof(*options), PROPERTIES_BYTES_MAX = 4096, HOUR_MS = 3600 * 1000 };

/* What is true of the usual listener is of one of any port. */
static const struct option *find(struct str namespace, struct str name)
{
	if (listener_is_port(namespace))
	namespace = S(LISTENER);
	for (int i = 0; i < OPTIONS; i++)
		if (str_is(namespace, options[i].namespace) && str_is(name, options[i].name))
			return &options[i];
	return NULL;
}

/* Options of containers are their platform's alone. */
static bool of_platform(const struct option *o, struct str stack)
{
	static const struct {
		const char *under, *platform;
	} all[] = {{"aws:elasticbeanstalk:container:php", "PHP"},
	           {"aws:elasticbeanstalk:container:python", "Python"},
	           {"aws:elasticbeanstalk:container:tomcat", "Tomcat"}};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (str_starts(str_from(o->namespace), str_from(all[i].under)))
			return str_find(stack, str_from(all[i].platform)) >= 0;
	return true;
}

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
	return str_is(namespace, PROPERTIES) || str_is(namespace, STATIC_FILES);
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
	const struct option *known = find(o->namespace, o->option_name);
	int64_t number;
	if (str_is(o->namespace, PROPERTIES))
		return option_is_property(o->option_name)
		               ? CALL_OK
		               : invalid(c, o, "The name of an environment property has a character that it cannot have.");
	if (str_is(o->namespace, STATIC_FILES))
		return o->option_name.n && str_set(o->value) && o->value.n
		               ? CALL_OK
		               : invalid(c, o, "A path and a folder of the application are needed.");
	if (!known)
		return call_fail(c, "ConfigurationValidationException", 400,
		                 "Configuration validation exception: Invalid option specification (Namespace: '%.*s', OptionName: "
		                 "'%.*s'): Unknown configuration setting.",
		                 STR_ARG(o->namespace), STR_ARG(o->option_name));
	if (known->kind == NUMBER && (!str_to_i64(o->value, &number) || number < known->least || number > known->most))
		return invalid(c, o, "Value is not a number in the allowed range.");
	if (known->kind == CHOICE && !chosen(o->value, known->choices))
		return invalid(c, o, "Value is not one of the allowed values.");
	if (str_is(o->option_name, "SSLCertificateArns") && str_find_char(o->value, ',') >= 0)
		return invalid(c, o, "More than one certificate is not supported.");
	if (str_is(o->option_name, "ImageId") && o->value.n && !ec2_image_there(c, o->value))
		return invalid(c, o, "There is no such image.");
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
	if ((str_is(o->option_name, "InstanceType") || str_is(o->option_name, "InstanceTypes")) && !ec2_type_offered(o->value))
		return invalid(c, o, "No such instance type is offered.");
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

void options_set(struct arena *a, struct elasticbeanstalk_configuration_option_settings_list *l,
                 const struct elasticbeanstalk_configuration_option_settings_list *more)
{
	l->set = true;
	for (uint32_t i = 0; i < more->n; i++) {
		uint32_t at = 0;
		while (at < l->n &&
		       !(str_eq(l->v[at].namespace, more->v[i].namespace) && str_eq(l->v[at].option_name, more->v[i].option_name)))
			at++;
		if (at == l->n)
			LIST_ADD(a, l);
		l->v[at] = more->v[i];
	}
}

void options_remove(struct elasticbeanstalk_configuration_option_settings_list *l,
                    const struct elasticbeanstalk_options_specifier_list *which)
{
	for (uint32_t i = 0; i < which->n; i++) {
		uint32_t left = 0;
		for (uint32_t k = 0; k < l->n; k++)
			if (!str_eq(l->v[k].namespace, which->v[i].namespace) ||
			    !str_eq(l->v[k].option_name, which->v[i].option_name))
				l->v[left++] = l->v[k];
		l->n = left;
	}
}

const struct elasticbeanstalk_configuration_option_settings_list *options_said(const struct environment_record *r)
{
	return r->said.set ? &r->said : &r->options; /* one of before has said all of them */
}

void options_resolve(struct arena *a, struct environment_record *r)
{
	r->options = (struct elasticbeanstalk_configuration_option_settings_list){0};
	options_set(a, &r->options, &r->extensions);
	options_set(a, &r->options, &r->said);
}

/* What the options of `one` are, and `other` has otherwise or not at all: how bad is the worst? */
static enum option_change differs(const struct environment_record *one, const struct environment_record *other)
{
	enum option_change worst = CHANGE_NONE;
	for (uint32_t i = 0; i < one->options.n; i++) {
		const struct elasticbeanstalk_configuration_option_setting *o = &one->options.v[i];
		const struct option *known = find(o->namespace, o->option_name);
		enum option_change change = !known || strcmp(known->severity, SERVER) == 0 ? CHANGE_SERVER
		                            : strcmp(known->severity, ALL) == 0            ? CHANGE_INSTANCES
		                                                                           : CHANGE_NONE;
		struct str before = known && known->value ? str_from(known->value) : STR_NONE;
		for (uint32_t k = 0; k < other->options.n; k++)
			if (str_eq(other->options.v[k].namespace, o->namespace) &&
			    str_eq(other->options.v[k].option_name, o->option_name))
				before = other->options.v[k].value;
		if ((str_set(before) != str_set(o->value) || !str_eq(before, o->value)) && change > worst)
			worst = change;
	}
	return worst;
}

enum option_change options_change(const struct environment_record *before, const struct environment_record *after)
{
	enum option_change came = differs(after, before), went = differs(before, after);
	return came > went ? came : went;
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
	if (listeners_check(c, r) != CALL_OK)
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
	return CALL_OK;
}

bool environment_many(const struct environment_record *r)
{
	return !str_is(option_value(r, "aws:elasticbeanstalk:environment", "EnvironmentType"), "SingleInstance");
}

bool environment_balanced(const struct environment_record *r)
{
	return environment_many(r) && !environment_is_worker(r);
}

int64_t option_number(const struct environment_record *r, const char *namespace, const char *name)
{
	int64_t n = 0;
	str_to_i64(option_value(r, namespace, name), &n);
	return n;
}

struct str option_value(const struct environment_record *r, const char *namespace, const char *name)
{
	for (uint32_t i = 0; i < r->options.n; i++)
		if (str_is(r->options.v[i].namespace, namespace) && str_is(r->options.v[i].option_name, name))
			return r->options.v[i].value;
	const struct option *known = find(str_from(namespace), str_from(name));
	return known && known->value ? str_from(known->value) : STR_NONE;
}

/* A template's options as if an environment had them; name absent: there are none. */
static int options_of_template(struct call *c, struct str application, struct str name, struct environment_record *ret,
                               struct elasticbeanstalk_configuration_settings_description *of)
{
	struct state_elasticbeanstalk_template_record t;
	*ret = (struct environment_record){0};
	*of = (struct elasticbeanstalk_configuration_settings_description){0};
	if (!str_set(name))
		return CALL_OK;
	int said = template_saved(c, application, name, &t);
	if (said != CALL_OK)
		return said;
	ret->options = t.template->option_settings;
	*of = *t.template;
	of->option_settings = (struct elasticbeanstalk_configuration_option_settings_list){0};
	return CALL_OK;
}

int elasticbeanstalk_describe_configuration_settings(struct call *c,
                                                     const struct elasticbeanstalk_describe_configuration_settings_message *in,
                                                     struct elasticbeanstalk_configuration_settings_descriptions *out)
{
	struct scope s = beanstalk_scope(c);
	struct elasticbeanstalk_configuration_settings_description *d;
	struct environment_record r;
	if (!str_set(in->template_name) == !str_set(in->environment_name))
		return beanstalk_combination(c, "You must specify either an EnvironmentName or a TemplateName, and not both.");
	out->configuration_settings = (struct elasticbeanstalk_configuration_settings_description_list){0}; /* of a run before */
	d = LIST_ADD(c->arena, &out->configuration_settings);
	int found = options_of_template(c, in->application_name, in->template_name, &r, d);
	if (found != CALL_OK)
		return found;
	if (str_set(in->environment_name)) {
		if (environment_get(c, STR_NONE, in->environment_name, &r) != CALL_OK)
			return CALL_FAIL;
		const struct elasticbeanstalk_environment_description *e = r.environment;
		*d = (struct elasticbeanstalk_configuration_settings_description){.solution_stack_name = e->solution_stack_name,
		                                                                  .platform_arn = e->platform_arn,
		                                                                  .application_name = e->application_name,
		                                                                  .description = e->description,
		                                                                  .environment_name = e->environment_name,
		                                                                  .deployment_status = S("deployed"),
		                                                                  .date_created = e->date_created,
		                                                                  .date_updated = e->date_updated};
	}
	out->configuration_settings.set = true;
	bool of_template = str_set(in->template_name); /* it may become a worker's */
	for (int i = 0; i < OPTIONS; i++)
		if (!options[i].of_many && of_platform(&options[i], d->solution_stack_name) &&
		    (environment_is_worker(&r) || strcmp(options[i].namespace, SQSD) != 0))
			*LIST_ADD(c->arena, &d->option_settings) = (struct elasticbeanstalk_configuration_option_setting){
			        .namespace = str_from(options[i].namespace),
			        .option_name = str_from(options[i].name),
			        .value = option_value(&r, options[i].namespace, options[i].name)};
	for (uint32_t i = 0; i < r.options.n; i++)
		if (option_is_free(r.options.v[i].namespace) || listener_is_port(r.options.v[i].namespace) ||
		    (of_template && str_is(r.options.v[i].namespace, SQSD)))
			*LIST_ADD(c->arena, &d->option_settings) = r.options.v[i];
	if (str_set(in->environment_name))
		links_resolve(&s, &r, &d->option_settings);
	return CALL_OK;
}

/* --- what options there are */

static bool asked(const struct elasticbeanstalk_options_specifier_list *l, const struct option *o)
{
	for (uint32_t i = 0; i < l->n; i++)
		if ((!str_set(l->v[i].namespace) || str_is(l->v[i].namespace, o->namespace)) &&
		    (!str_set(l->v[i].option_name) || str_is(l->v[i].option_name, o->name)))
			return true;
	return !l->n;
}

static void describe(struct arena *a, const struct option *o, struct elasticbeanstalk_configuration_option_description *ret)
{
	*ret = (struct elasticbeanstalk_configuration_option_description){.namespace = str_from(o->namespace),
	                                                                  .name = str_from(o->name),
	                                                                  .default_value = o->value ? str_from(o->value) : STR_NONE,
	                                                                  .change_severity = str_from(o->severity),
	                                                                  .user_defined = OPT_BOOL(false),
	                                                                  .value_type = S("Scalar")};
	struct str rest = o->kind == CHOICE ? str_from(o->choices) : STR_NONE;
	while (str_set(rest))
		*LIST_ADD(a, &ret->value_options) = str_cut(&rest, ',');
	ret->value_options.set = o->kind == CHOICE;
	if (o->kind == NUMBER) {
		ret->min_value = OPT_INT(o->least);
		ret->max_value = OPT_INT(o->most);
	}
}

int elasticbeanstalk_describe_configuration_options(struct call *c,
                                                    const struct elasticbeanstalk_describe_configuration_options_message *in,
                                                    struct elasticbeanstalk_configuration_options_description *out)
{
	struct elasticbeanstalk_configuration_settings_description of;
	struct environment_record r;
	int found = options_of_template(c, in->application_name, in->template_name, &r, &of);
	if (found != CALL_OK)
		return found;
	if (str_set(in->template_name)) {
		out->solution_stack_name = of.solution_stack_name;
		out->platform_arn = of.platform_arn;
	} else if (str_set(in->environment_name)) {
		if (environment_get(c, STR_NONE, in->environment_name, &r) != CALL_OK)
			return CALL_FAIL;
		out->solution_stack_name = r.environment->solution_stack_name;
		out->platform_arn = r.environment->platform_arn;
	} else {
		const struct platform *p = platform_get(c, in->solution_stack_name, in->platform_arn);
		if (!p)
			return CALL_FAIL;
		out->solution_stack_name = platform_stack(c->arena, p);
		out->platform_arn = platform_arn(c->arena, c->region, p);
	}
	out->options.set = true;
	for (int i = 0; i < OPTIONS; i++)
		if (!options[i].of_many && of_platform(&options[i], out->solution_stack_name) && asked(&in->options, &options[i]))
			describe(c->arena, &options[i], LIST_ADD(c->arena, &out->options));
	return CALL_OK;
}

/* Each is judged for itself, and what is wrong is said instead of refused. */
int elasticbeanstalk_validate_configuration_settings(struct call *c,
                                                     const struct elasticbeanstalk_validate_configuration_settings_message *in,
                                                     struct elasticbeanstalk_configuration_settings_validation_messages *out)
{
	struct state_elasticbeanstalk_application_record a;
	struct elasticbeanstalk_configuration_settings_description of;
	struct environment_record r;
	if (application_get(c, in->application_name, &a) != CALL_OK)
		return CALL_FAIL;
	int found = options_of_template(c, in->application_name, in->template_name, &r, &of);
	if (found != CALL_OK)
		return found;
	if (str_set(in->environment_name) && environment_get(c, STR_NONE, in->environment_name, &r) != CALL_OK)
		return CALL_FAIL;
	out->messages.set = true;
	for (uint32_t i = 0; i < in->option_settings.n; i++) {
		const struct elasticbeanstalk_configuration_option_setting *o = &in->option_settings.v[i];
		struct str why = option_fault(c, o);
		if (!str_set(why))
			continue;
		*LIST_ADD(c->arena, &out->messages) = (struct elasticbeanstalk_validation_message){
		        .message = why, .severity = S("error"), .namespace = o->namespace, .option_name = o->option_name};
	}
	return CALL_OK;
}
