#include "unit.h"

#include "core/policy.h"

#include <stdio.h>

/* Condition keys as text: "aws:username=ann;aws:TagKeys=a|b". */
static bool find_key(void *ctx, struct str key, struct str_list *ret)
{
	static struct str values[16];
	struct str rest = str_from(ctx);
	while (str_set(rest)) {
		struct str value = str_cut(&rest, ';'), name = str_cut(&value, '=');
		if (!str_ieq(name, key))
			continue;
		*ret = (struct str_list){.v = values, .set = true};
		while (str_set(value))
			values[ret->n++] = str_cut(&value, '|');
		return true;
	}
	return false;
}

static struct policy *parse(struct arena *a, const char *json, enum policy_kind kind)
{
	struct str message = STR_NONE;
	struct policy *p = policy_parse(str_from(json), kind, S("p"), a, &message);
	if (!p)
		fail_msg("%s: %.*s", json, STR_ARG(message));
	return p;
}

static enum policy_effect eval(const char *json, const char *action, const char *resource, const char *context)
{
	struct arena CLEAN_ARENA a = {0};
	struct policy *p = parse(&a, json, POLICY_IDENTITY);
	struct policy_request q = {
	        .action = str_from(action), .resource = str_from(resource), .key = find_key, .ctx = (void *)context, .arena = &a};
	struct policy_answer answer;
	policy_eval(p, &q, &answer);
	policy_free(p);
	return answer.effect;
}

#define DOC(statement) "{\"Version\":\"2012-10-17\",\"Statement\":[" statement "]}"
#define ALLOW(rest) DOC("{\"Effect\":\"Allow\"," rest "}")

static void matches_actions_and_resources(void **state)
{
	(void)state;
	static const struct {
		const char *json, *action, *resource;
		enum policy_effect want;
	} cases[] = {
	        {ALLOW("\"Action\":\"*\",\"Resource\":\"*\""), "s3:GetObject", "arn:aws:s3:::b/k", POLICY_ALLOW},
	        {ALLOW("\"Action\":\"s3:*\",\"Resource\":\"*\""), "s3:GetObject", "arn:aws:s3:::b/k", POLICY_ALLOW},
	        {ALLOW("\"Action\":\"s3:*\",\"Resource\":\"*\""), "s3control:GetObject", "*", POLICY_SILENT},
	        {ALLOW("\"Action\":\"S3:getobject\",\"Resource\":\"*\""), "s3:GetObject", "arn:aws:s3:::b/k", POLICY_ALLOW},
	        {ALLOW("\"Action\":\"s3:Get*\",\"Resource\":\"*\""), "s3:PutObject", "arn:aws:s3:::b/k", POLICY_SILENT},
	        {ALLOW("\"Action\":[\"ec2:*\",\"s3:?etObject\"],\"Resource\":\"*\""), "s3:GetObject", "arn:aws:s3:::b/k",
	         POLICY_ALLOW},
	        {ALLOW("\"NotAction\":\"iam:*\",\"Resource\":\"*\""), "s3:GetObject", "*", POLICY_ALLOW},
	        {ALLOW("\"NotAction\":\"iam:*\",\"Resource\":\"*\""), "iam:GetUser", "*", POLICY_SILENT},
	        {ALLOW("\"NotAction\":[\"s3:*\",\"iam:*\"],\"Resource\":\"*\""), "s3:GetObject", "*", POLICY_SILENT},
	        {ALLOW("\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/*\""), "s3:GetObject", "arn:aws:s3:::b/x/y/z",
	         POLICY_ALLOW},
	        {ALLOW("\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/*\""), "s3:ListBucket", "arn:aws:s3:::b", POLICY_SILENT},
	        {ALLOW("\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b\""), "s3:ListBucket", "arn:aws:s3:::B", POLICY_SILENT},
	        {ALLOW("\"Action\":\"s3:*\",\"Resource\":[\"arn:aws:s3:::a\",\"arn:aws:s3:::b?\"]"), "s3:ListBucket",
	         "arn:aws:s3:::bc", POLICY_ALLOW},
	        {ALLOW("\"Action\":\"s3:*\",\"NotResource\":\"arn:aws:s3:::secret/*\""), "s3:GetObject", "arn:aws:s3:::secret/x",
	         POLICY_SILENT},
	        {ALLOW("\"Action\":\"s3:*\",\"NotResource\":\"arn:aws:s3:::secret/*\""), "s3:GetObject", "arn:aws:s3:::open/x",
	         POLICY_ALLOW},
	        /* Parts of an ARN are matched one by one: a star does not reach over the colons of the first five. */
	        {ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:lambda:*:function:x\""), "lambda:InvokeFunction",
	         "arn:aws:lambda:us-east-1:123456789012:function:x", POLICY_SILENT},
	        {ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:lambda:*:*:function:x\""), "lambda:InvokeFunction",
	         "arn:aws:lambda:us-east-1:123456789012:function:x", POLICY_ALLOW},
	        {ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:logs:*:*:*\""), "logs:PutLogEvents",
	         "arn:aws:logs:us-east-1:123456789012:log-group:g:log-stream:s", POLICY_ALLOW},
	        {ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:logs:*:*:log-group:/aws/*:*\""), "logs:PutLogEvents",
	         "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/f:log-stream:s", POLICY_ALLOW},
	        {ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:sqs\""), "sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:q",
	         POLICY_ALLOW},
	        {ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:sqs:us-east-1\""), "sqs:SendMessage",
	         "arn:aws:sqs:eu-west-1:123456789012:q", POLICY_SILENT},
	        {ALLOW("\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b\""), "s3:ListAllMyBuckets", "*", POLICY_SILENT},
	        {DOC("{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"},{\"Effect\":\"Deny\",\"Action\":\"s3:Delete*\",\"Resource\":\"*\"}"),
	         "s3:DeleteObject", "arn:aws:s3:::b/k", POLICY_DENY},
	        {DOC("{\"Effect\":\"Deny\",\"NotAction\":\"s3:*\",\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}"),
	         "s3:DeleteObject", "arn:aws:s3:::b/k", POLICY_ALLOW},
	        /* One statement in place of a list. */
	        {"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"a:b\",\"Resource\":\"*\"}}", "a:b",
	         "*", POLICY_DENY},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (eval(cases[i].json, cases[i].action, cases[i].resource, "") != cases[i].want)
			fail_msg("%s on %s %s", cases[i].json, cases[i].action, cases[i].resource);
}

/* One condition against one context. */
static void tests_conditions(void **state)
{
	(void)state;
	static const struct {
		const char *condition, *context;
		bool want;
	} cases[] = {
	        {"\"StringEquals\":{\"aws:username\":\"ann\"}", "aws:username=ann", true},
	        {"\"StringEquals\":{\"AWS:UserName\":\"ann\"}", "aws:username=ann", true},
	        {"\"StringEquals\":{\"aws:username\":\"ann\"}", "aws:username=Ann", false},
	        {"\"StringEquals\":{\"aws:username\":[\"bob\",\"ann\"]}", "aws:username=ann", true},
	        {"\"StringEquals\":{\"aws:username\":\"a*\"}", "aws:username=ann", false},
	        {"\"StringEquals\":{\"aws:username\":\"ann\"}", "", false},
	        {"\"StringEqualsIfExists\":{\"aws:username\":\"ann\"}", "", true},
	        {"\"StringEqualsIfExists\":{\"aws:username\":\"ann\"}", "aws:username=bob", false},
	        {"\"StringNotEquals\":{\"aws:username\":\"ann\"}", "aws:username=bob", true},
	        {"\"StringNotEquals\":{\"aws:username\":[\"ann\",\"bob\"]}", "aws:username=bob", false},
	        {"\"StringNotEquals\":{\"aws:username\":\"ann\"}", "", true},
	        {"\"StringEqualsIgnoreCase\":{\"aws:username\":\"ANN\"}", "aws:username=ann", true},
	        {"\"StringNotEqualsIgnoreCase\":{\"aws:username\":\"ANN\"}", "aws:username=ann", false},
	        {"\"StringLike\":{\"s3:prefix\":[\"\",\"home/*\"]}", "s3:prefix=home/ann/x", true},
	        {"\"StringLike\":{\"s3:prefix\":[\"\",\"home/*\"]}", "s3:prefix=", true},
	        {"\"StringLike\":{\"s3:prefix\":[\"\",\"home/*\"]}", "s3:prefix=work", false},
	        {"\"StringNotLike\":{\"s3:prefix\":\"home/*\"}", "s3:prefix=home/x", false},
	        /* Two operators, two keys: all of them. */
	        {"\"StringEquals\":{\"a:x\":\"1\",\"a:y\":\"2\"}", "a:x=1;a:y=2", true},
	        {"\"StringEquals\":{\"a:x\":\"1\",\"a:y\":\"2\"}", "a:x=1;a:y=3", false},
	        {"\"StringEquals\":{\"a:x\":\"1\"},\"Bool\":{\"a:y\":true}", "a:x=1;a:y=false", false},
	        {"\"NumericLessThan\":{\"s3:max-keys\":\"10\"}", "s3:max-keys=9.5", true},
	        {"\"NumericLessThan\":{\"s3:max-keys\":10}", "s3:max-keys=10", false},
	        {"\"NumericLessThanEquals\":{\"s3:max-keys\":10}", "s3:max-keys=10", true},
	        {"\"NumericGreaterThan\":{\"s3:max-keys\":10}", "s3:max-keys=11", true},
	        {"\"NumericGreaterThanEquals\":{\"s3:max-keys\":10}", "s3:max-keys=9", false},
	        {"\"NumericEquals\":{\"s3:max-keys\":\"10\"}", "s3:max-keys=10.0", true},
	        {"\"NumericEquals\":{\"s3:max-keys\":\"10\"}", "s3:max-keys=ten", false},
	        {"\"NumericNotEquals\":{\"s3:max-keys\":\"10\"}", "s3:max-keys=11", true},
	        {"\"DateGreaterThan\":{\"aws:CurrentTime\":\"2020-01-01T00:00:00Z\"}", "aws:CurrentTime=2024-05-01T12:00:00Z",
	         true},
	        {"\"DateLessThan\":{\"aws:CurrentTime\":\"2020-01-01\"}", "aws:CurrentTime=2024-05-01T12:00:00Z", false},
	        {"\"DateLessThanEquals\":{\"aws:EpochTime\":\"1714564800\"}", "aws:EpochTime=1714564800", true},
	        {"\"DateEquals\":{\"aws:CurrentTime\":\"1714564800\"}", "aws:CurrentTime=2024-05-01T12:00:00Z", true},
	        {"\"DateNotEquals\":{\"aws:CurrentTime\":\"1714564800\"}", "aws:CurrentTime=2024-05-01T12:00:00Z", false},
	        {"\"DateGreaterThanEquals\":{\"aws:CurrentTime\":\"x\"}", "aws:CurrentTime=2024-05-01T12:00:00Z", false},
	        {"\"Bool\":{\"aws:SecureTransport\":\"true\"}", "aws:SecureTransport=true", true},
	        {"\"Bool\":{\"aws:SecureTransport\":false}", "aws:SecureTransport=true", false},
	        {"\"Bool\":{\"aws:SecureTransport\":\"true\"}", "", false},
	        {"\"BoolIfExists\":{\"aws:MultiFactorAuthPresent\":\"true\"}", "", true},
	        {"\"BinaryEquals\":{\"a:k\":\"QmluYXJ5VmFsdWU=\"}", "a:k=QmluYXJ5VmFsdWU", true},
	        {"\"BinaryEquals\":{\"a:k\":\"QmluYXJ5VmFsdWU=\"}", "a:k=QmluYXJ5", false},
	        {"\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}", "aws:SourceIp=203.0.113.77", true},
	        {"\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}", "aws:SourceIp=203.0.114.1", false},
	        {"\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.128/25\"}", "aws:SourceIp=203.0.113.127", false},
	        {"\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.1\"}", "aws:SourceIp=10.0.0.1", true},
	        {"\"IpAddress\":{\"aws:SourceIp\":[\"10.0.0.0/8\",\"2001:db8:1234::/48\"]}", "aws:SourceIp=2001:DB8:1234:5678::1",
	         true},
	        {"\"IpAddress\":{\"aws:SourceIp\":\"2001:db8::/32\"}", "aws:SourceIp=2001:db9::1", false},
	        {"\"IpAddress\":{\"aws:SourceIp\":\"0.0.0.0/0\"}", "aws:SourceIp=2001:db9::1", false},
	        {"\"NotIpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}", "aws:SourceIp=10.2.3.4", false},
	        {"\"NotIpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}", "", true},
	        {"\"ArnEquals\":{\"aws:SourceArn\":\"arn:aws:s3:::b*\"}", "aws:SourceArn=arn:aws:s3:::bucket", true},
	        {"\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:*:*:123456789012:*\"}",
	         "aws:SourceArn=arn:aws:sns:us-east-1:123456789012:t", true},
	        {"\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:*:123456789012:*\"}",
	         "aws:SourceArn=arn:aws:sns:us-east-1:123456789012:t", false},
	        {"\"ArnNotLike\":{\"aws:SourceArn\":\"arn:aws:s3:::b*\"}", "aws:SourceArn=arn:aws:s3:::c", true},
	        {"\"ArnNotEquals\":{\"aws:SourceArn\":\"arn:aws:s3:::b\"}", "aws:SourceArn=arn:aws:s3:::b", false},
	        {"\"Null\":{\"aws:TokenIssueTime\":\"true\"}", "", true},
	        {"\"Null\":{\"aws:TokenIssueTime\":\"true\"}", "aws:TokenIssueTime=2020-01-01", false},
	        {"\"Null\":{\"aws:TokenIssueTime\":false}", "aws:TokenIssueTime=2020-01-01", true},
	        {"\"ForAllValues:StringEquals\":{\"aws:TagKeys\":[\"a\",\"b\"]}", "aws:TagKeys=a|b", true},
	        {"\"ForAllValues:StringEquals\":{\"aws:TagKeys\":[\"a\",\"b\"]}", "aws:TagKeys=a|c", false},
	        {"\"ForAllValues:StringEquals\":{\"aws:TagKeys\":[\"a\",\"b\"]}", "", true},
	        {"\"ForAnyValue:StringEquals\":{\"aws:TagKeys\":[\"a\",\"b\"]}", "aws:TagKeys=c|b", true},
	        {"\"ForAnyValue:StringEquals\":{\"aws:TagKeys\":[\"a\",\"b\"]}", "aws:TagKeys=c|d", false},
	        {"\"ForAnyValue:StringEquals\":{\"aws:TagKeys\":\"a\"}", "", false},
	        {"\"ForAnyValue:StringNotEquals\":{\"aws:TagKeys\":\"a\"}", "", false},
	        {"\"ForAnyValue:StringNotEquals\":{\"aws:TagKeys\":\"a\"}", "aws:TagKeys=a|b", true},
	        {"\"ForAllValues:StringNotLike\":{\"aws:TagKeys\":\"x*\"}", "aws:TagKeys=a|xb", false},
	        {"\"ForAllValues:StringLikeIfExists\":{\"aws:TagKeys\":\"x*\"}", "aws:TagKeys=xa|xb", true},
	        /* Variables in values. */
	        {"\"StringEquals\":{\"a:owner\":\"${aws:username}\"}", "a:owner=ann;aws:username=ann", true},
	        {"\"StringEquals\":{\"a:owner\":\"${aws:username}\"}", "a:owner=ann;aws:username=bob", false},
	        {"\"StringEquals\":{\"a:owner\":\"${aws:username}\"}", "a:owner=ann", false},
	        {"\"StringLike\":{\"s3:prefix\":\"home/${aws:username}/*\"}", "s3:prefix=home/ann/x;aws:username=ann", true},
	        {"\"StringLike\":{\"s3:prefix\":\"home/${aws:username}/*\"}", "s3:prefix=home/ann/x;aws:username=*", false},
	        {"\"StringLike\":{\"s3:prefix\":\"a${*}b*\"}", "s3:prefix=a*bc", true},
	        {"\"StringLike\":{\"s3:prefix\":\"a${*}b*\"}", "s3:prefix=axbc", false},
	        {"\"StringLike\":{\"s3:prefix\":\"${$}{x}\"}", "s3:prefix=${x}", true},
	        {"\"StringEquals\":{\"a:t\":\"${aws:PrincipalTag/team, 'none'}\"}", "a:t=none", true},
	        {"\"StringEquals\":{\"a:t\":\"${aws:PrincipalTag/team, 'none'}\"}", "a:t=red;aws:PrincipalTag/team=red", true},
	        {"\"StringEquals\":{\"a:t\":\"${aws:PrincipalTag/team, 'none'}\"}", "a:t=none;aws:PrincipalTag/team=red", false},
	        {"\"StringEquals\":{\"a:t\":\"${aws:TagKeys}\"}", "a:t=x;aws:TagKeys=x|y", false},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char json[512];
		snprintf(json, sizeof(json), ALLOW("\"Action\":\"*\",\"Resource\":\"*\",\"Condition\":{%s}"), cases[i].condition);
		if ((eval(json, "a:b", "*", cases[i].context) == POLICY_ALLOW) != cases[i].want)
			fail_msg("%s with %s", cases[i].condition, cases[i].context);
	}
}

static void fills_variables_into_resources(void **state)
{
	(void)state;
	const char *doc = ALLOW("\"Action\":\"*\",\"Resource\":\"arn:aws:s3:::b/${aws:username}/*\"");
	assert_int_equal(eval(doc, "s3:GetObject", "arn:aws:s3:::b/ann/x", "aws:username=ann"), POLICY_ALLOW);
	assert_int_equal(eval(doc, "s3:GetObject", "arn:aws:s3:::b/bob/x", "aws:username=ann"), POLICY_SILENT);
	assert_int_equal(eval(doc, "s3:GetObject", "arn:aws:s3:::b/bob/x", "aws:username=*"), POLICY_SILENT);
	assert_int_equal(eval(doc, "s3:GetObject", "arn:aws:s3:::b//x", ""), POLICY_SILENT);
	/* Version 2008-10-17 takes the text as it stands. */
	const char *old =
	        "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"arn:aws:s3:::b/${aws:username}/*\"}}";
	assert_int_equal(eval(old, "s3:GetObject", "arn:aws:s3:::b/ann/x", "aws:username=ann"), POLICY_SILENT);
	assert_int_equal(eval(old, "s3:GetObject", "arn:aws:s3:::b/${aws:username}/x", "aws:username=ann"), POLICY_ALLOW);
	/* What NotResource excludes is not known here, so nothing is allowed. */
	const char *not_resource = ALLOW("\"Action\":\"*\",\"NotResource\":\"arn:aws:s3:::b/${aws:username}/*\"");
	assert_int_equal(eval(not_resource, "s3:GetObject", "arn:aws:s3:::b/ann/x", ""), POLICY_SILENT);
	assert_int_equal(eval(not_resource, "s3:GetObject", "arn:aws:s3:::b/bob/x", "aws:username=ann"), POLICY_ALLOW);
}

static void refuses_bad_documents(void **state)
{
	(void)state;
#define IAM POLICY_IDENTITY
#define S_OK "\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\""
	static const struct {
		enum policy_kind kind;
		const char *json, *message;
	} cases[] = {
	        {IAM, "", "Syntax errors in policy."},
	        {IAM, "[]", "Syntax errors in policy."},
	        {IAM, "{}", "Syntax errors in policy."},
	        {IAM, "{\"Statement\":[]}", "Syntax errors in policy."},
	        {IAM, " " DOC("{" S_OK "}"), "JSON strings must not have leading spaces"},
	        {IAM, "{\"Version\":\"2015-10-17\",\"Statement\":{" S_OK "}}",
	         "Policy document must be version 2012-10-17 or greater."},
	        {IAM, "{\"Versions\":\"2012-10-17\",\"Statement\":{" S_OK "}}", "Syntax errors in policy."},
	        {IAM, DOC("{\"Effect\":\"allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}"), "Syntax errors in policy."},
	        {IAM, DOC("{\"Action\":\"s3:*\",\"Resource\":\"*\"}"), "Syntax errors in policy."},
	        {IAM, DOC("{" S_OK ",\"NotAction\":\"s3:*\"}"), "Syntax errors in policy."},
	        {IAM, DOC("{" S_OK ",\"Effect\":\"Deny\"}"), "Syntax errors in policy."},
	        {IAM, DOC("{" S_OK ",\"Colour\":\"red\"}"), "Syntax errors in policy."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Resource\":\"*\"}"), "Policy statement must contain actions."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"s3:*\"}"), "Policy statement must contain resources."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":[],\"Resource\":\"*\"}"), "Policy statement must contain actions."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"GetObject\",\"Resource\":\"*\"}"),
	         "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"s3:Get:Object\",\"Resource\":\"*\"}"),
	         "Actions/Condition can contain only one colon."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"s*:GetObject\",\"Resource\":\"*\"}"), "Vendor s* is not valid"},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"bucket\"}"),
	         "Resource bucket must be in ARN format or \"*\"."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:azure:s3:::b\"}"),
	         "Partition \"azure\" is not valid for resource \"arn:azure:s3:::b\"."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s*:::b\"}"),
	         "Resource vendor must be fully qualified and cannot contain regexes."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:us-east-1::b\"}"),
	         "Resource arn:aws:s3:us-east-1::b can not contain region information."},
	        {IAM, DOC("{\"Effect\":\"Allow\",\"Action\":\"iam:*\",\"Resource\":\"arn:aws:iam:us-east-1:123456789012:user/x\"}"),
	         "IAM resource arn:aws:iam:us-east-1:123456789012:user/x cannot contain region information."},
	        {IAM, DOC("{" S_OK ",\"Principal\":\"*\"}"), "Policy document should not specify a principal."},
	        {IAM, DOC("{\"Sid\":\"a b\"," S_OK "}"),
	         "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"},
	        {IAM, DOC("{\"Sid\":\"a\"," S_OK "},{\"Sid\":\"a\"," S_OK "}"),
	         "Statement IDs (SID) in a single policy must be unique."},
	        {IAM, DOC("{" S_OK ",\"Condition\":{\"StringIs\":{\"aws:x\":\"y\"}}}"), "Syntax errors in policy."},
	        {IAM, DOC("{" S_OK ",\"Condition\":{\"NullIfExists\":{\"aws:x\":\"true\"}}}"), "Syntax errors in policy."},
	        {IAM, DOC("{" S_OK ",\"Condition\":{\"StringEquals\":{\"aws:x\":{}}}}"), "Syntax errors in policy."},
	        {IAM, DOC("{" S_OK ",\"Condition\":{\"StringEquals\":{\"x\":\"y\"}}}"),
	         "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
	        {IAM, DOC("{" S_OK ",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/33\"}}}"),
	         "Invalid IP address or range in policy: \"10.0.0.0/33\""},
	        {POLICY_TRUST, "{", "This policy contains invalid Json"},
	        {POLICY_TRUST, DOC("{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\"}"), "Missing required field Principal"},
	        {POLICY_TRUST, DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"sts:AssumeRole\",\"Resource\":\"*\"}"),
	         "Has prohibited field Resource"},
	        {POLICY_TRUST, DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:GetObject\"}"),
	         "AssumeRole policy may only specify STS AssumeRole actions."},
	        {POLICY_TRUST, DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"ann\"},\"Action\":\"sts:AssumeRole\"}"),
	         "Invalid principal in policy: \"AWS\":\"ann\""},
	        {POLICY_TRUST,
	         DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:user/*\"},\"Action\":\"sts:AssumeRole\"}"),
	         "Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:user/*\""},
	        {POLICY_TRUST, DOC("{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"lambda\"},\"Action\":\"sts:AssumeRole\"}"),
	         "Invalid principal in policy: \"SERVICE\":\"lambda\""},
	        {POLICY_TRUST,
	         DOC("{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"lambda.example.com\"},\"Action\":\"sts:AssumeRole\"}"),
	         "Invalid principal in policy: \"SERVICE\":\"lambda.example.com\""},
	        {POLICY_TRUST,
	         DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:group/g\"},\"Action\":\"sts:AssumeRole\"}"),
	         "Invalid principal in policy: \"AWS\":\"arn:aws:iam::123456789012:group/g\""},
	        {POLICY_TRUST,
	         DOC("{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:sts::123456789012:role/r\"},\"Action\":\"sts:AssumeRole\"}"),
	         "Invalid principal in policy: \"AWS\":\"arn:aws:sts::123456789012:role/r\""},
	        {POLICY_MANAGED, "{\"Statement\":{" S_OK "}}", "Policy document must be version 2012-10-17 or greater."},
	        {POLICY_MANAGED, "{\"Version\":\"2008-10-17\",\"Statement\":{" S_OK "}}",
	         "Policy document must be version 2012-10-17 or greater."},
	        {POLICY_MANAGED, DOC("{" S_OK ",\"Principal\":\"*\"}"), "Policy document should not specify a principal."},
	        {POLICY_TRUST, DOC("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"sts:AssumeRole\",\"Colour\":1}"),
	         "Unknown field Colour"},
	        {POLICY_RESOURCE, DOC("{" S_OK "}"), "Missing required field Principal"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct str message = STR_NONE;
		struct policy *p = policy_parse(str_from(cases[i].json), cases[i].kind, S("p"), &a, &message);
		if (p)
			fail_msg("taken: %s", cases[i].json);
		if (!str_is(message, cases[i].message))
			fail_msg("%s: %.*s", cases[i].json, STR_ARG(message));
	}
}

static void tells_public_policies(void **state)
{
	(void)state;
#define GRANT(principal, more) \
	DOC("{\"Effect\":\"Allow\",\"Principal\":" principal ",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::b/*\"" more \
	    "}")
	static const struct {
		const char *json;
		bool want;
	} cases[] = {
	        {GRANT("\"*\"", ""), true},
	        {GRANT("{\"AWS\":\"*\"}", ""), true},
	        {GRANT("{\"AWS\":\"123456789012\"}", ""), false},
	        {GRANT("\"*\"", ",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/8\"}}"), false},
	        {GRANT("\"*\"", ",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"0.0.0.0/0\"}}"), true},
	        {GRANT("\"*\"", ",\"Condition\":{\"StringEquals\":{\"aws:PrincipalAccount\":\"123456789012\"}}"), false},
	        {GRANT("\"*\"", ",\"Condition\":{\"StringLike\":{\"aws:SourceVpc\":\"vpc-*\"}}"), true},
	        {GRANT("\"*\"", ",\"Condition\":{\"StringLike\":{\"aws:Referer\":\"https://x/*\"}}"), true},
	        {DOC("{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"*\"}"), false},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena CLEAN_ARENA a = {0};
		struct policy *p = parse(&a, cases[i].json, POLICY_RESOURCE);
		if (policy_is_public(p) != cases[i].want)
			fail_msg("%s", cases[i].json);
		policy_free(p);
	}
}

struct found {
	unsigned numbers[8], count;
};

static void holding(void *ctx, const struct policy *p, unsigned statement)
{
	struct found *f = ctx;
	(void)p;
	f->numbers[f->count++] = statement;
}

static bool no_key(void *ctx, struct str key, struct str_list *ret)
{
	(void)ctx, (void)key, (void)ret;
	return false;
}

static void assert_place(struct policy_place p, unsigned line, unsigned column)
{
	assert_int_equal(p.line, line);
	assert_int_equal(p.column, column);
}

static void says_where_statements_stand(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct policy_place begins, ends;
	struct found f = {0};
	struct policy *p = parse(&a,
	                         "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\",\n"
	                         "      \"Action\": \"*\",\n      \"Resource\": \"*\"\n    }, {" S_OK
	                         "},{\"Effect\":\"Deny\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::other\"}\n  ]\n}",
	                         POLICY_IDENTITY);
	policy_statement_places(p, 0, &begins, &ends);
	assert_place(begins, 3, 17);
	assert_place(ends, 8, 6);
	policy_statement_places(p, 1, &begins, &ends);
	assert_place(begins, 8, 7);
	struct policy_request q = {.action = S("s3:GetObject"), .resource = S("arn:aws:s3:::b/k"), .key = no_key, .arena = &a};
	policy_each_holding(p, &q, POLICY_ALLOW, holding, &f);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.numbers[1], 1);
	policy_each_holding(p, &q, POLICY_DENY, holding, &f);
	assert_int_equal(f.count, 2);
	q.resource = S("arn:aws:s3:::other");
	policy_each_holding(p, &q, POLICY_DENY, holding, &f);
	assert_int_equal(f.count, 3);
	policy_free(p);
	p = parse(&a, "{\"Version\":\"2012-10-17\",\"Statement\":{" S_OK "}}", POLICY_IDENTITY);
	policy_statement_places(p, 0, &begins, &ends);
	assert_place(begins, 1, 37);
	policy_free(p);
}

static void lists_context_keys(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct policy *p = parse(
	        &a,
	        ALLOW("\"Action\":\"*\",\"Resource\":[\"arn:aws:s3:::b/${aws:username}\",\"arn:aws:s3:::${*}\"],"
	              "\"Condition\":{\"StringLike\":{\"s3:prefix\":\"${aws:PrincipalTag/t, 'x'}\"},\"Bool\":{\"AWS:Username\":\"true\"}}"),
	        POLICY_IDENTITY);
	struct str_list keys = {0};
	policy_context_keys(p, &a, &keys);
	assert_int_equal(keys.n, 3);
	assert_str(keys.v[0], "aws:username");
	assert_str(keys.v[1], "s3:prefix");
	assert_str(keys.v[2], "aws:PrincipalTag/t");
	policy_free(p);
	assert_int_equal(policy_length(S("{ \"a\" :\n 1}\t")), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(matches_actions_and_resources),  cmocka_unit_test(tests_conditions),
	        cmocka_unit_test(fills_variables_into_resources), cmocka_unit_test(refuses_bad_documents),
	        cmocka_unit_test(tells_public_policies),          cmocka_unit_test(lists_context_keys),
	        cmocka_unit_test(says_where_statements_stand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
