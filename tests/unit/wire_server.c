/* What clients of the real services rely on: which operation a request means, what a wrong one is answered, how errors are spelled.
 */
#include "unit.h"

#include "gen/lambda.h"
#include "gen/s3.h"
#include "gen/sqs.h"
#include "wire/wire.h"

static struct wire_pairs headers_of(struct arena *a, const char *const *pairs)
{
	struct wire_pairs h = {0};
	for (; pairs && *pairs; pairs += 2)
		wire_pairs_add(a, &h, str_from(pairs[0]), str_from(pairs[1]));
	return h;
}

static struct wire_request request_of(const char *method, const char *uri, const struct wire_pairs *headers, struct str body)
{
	struct wire_headers view = wire_headers_of(headers);
	struct str query = str_from(uri), path = str_cut(&query, '?');
	return (struct wire_request){
	        .method = str_from(method),
	        .path = path,
	        .query = str_set(query) ? query : S(""),
	        .content_type = view.get(view.ctx, S("content-type")),
	        .target = view.get(view.ctx, S("x-amz-target")),
	        .smithy_protocol = view.get(view.ctx, S("smithy-protocol")),
	        .headers = view,
	        .body = body,
	};
}

/* "Operation label=value ..." or "!Code". */
static struct str identified(struct arena *a, const char *api, const char *method, const char *uri, const char *const *pairs,
                             struct str body)
{
	struct wire_pairs headers = headers_of(a, pairs);
	struct wire_request r = request_of(method, uri, &headers, body);
	struct wire_target t;
	struct wire_fault fault = {0};
	if (!wire_identify(a, model_api(str_from(api)), &r, &t, &fault))
		return arena_printf(a, "!%.*s %u", STR_ARG(fault.code), fault.status);
	struct str text = api_text(t.api, t.op->name);
	for (uint32_t i = 0; i < t.label_count; i++)
		text = ARENA_CAT(a, text, S(" "), t.labels[i].name, S("="), t.labels[i].value);
	return text;
}

static void routes_s3(void **state)
{
	(void)state;
	static const char *const copy[] = {"x-amz-copy-source", "/b/k", NULL};
	static const struct {
		const char *method, *uri, *want;
		const char *const *headers;
	} cases[] = {
	        {"GET", "/", "ListBuckets", NULL},
	        {"GET", "/?x-id=ListBuckets", "ListBuckets", NULL},
	        {"GET", "/b", "ListObjects Bucket=b", NULL},
	        {"GET", "/b/", "ListObjects Bucket=b", NULL},
	        {"GET", "/b?list-type=2&prefix=x", "ListObjectsV2 Bucket=b", NULL},
	        {"GET", "/b/?list-type=2", "ListObjectsV2 Bucket=b", NULL},
	        {"GET", "/b?acl", "GetBucketAcl Bucket=b", NULL},
	        {"GET", "/b?acl=", "GetBucketAcl Bucket=b", NULL},
	        {"GET", "/b/k?acl", "GetObjectAcl Bucket=b Key=k", NULL},
	        {"GET", "/b?lifecycle", "GetBucketLifecycleConfiguration Bucket=b", NULL},
	        {"PUT", "/b?notification", "PutBucketNotificationConfiguration Bucket=b", NULL},
	        {"GET", "/b?analytics", "ListBucketAnalyticsConfigurations Bucket=b", NULL},
	        {"GET", "/b?analytics&id=1", "GetBucketAnalyticsConfiguration Bucket=b", NULL},
	        {"GET", "/b/a//b%2Fc/%20d/", "GetObject Bucket=b Key=a//b/c/ d/", NULL},
	        {"GET", "/b//k", "GetObject Bucket=b Key=/k", NULL},
	        {"HEAD", "/b/k", "HeadObject Bucket=b Key=k", NULL},
	        {"PUT", "/b/k", "PutObject Bucket=b Key=k", NULL},
	        {"PUT", "/b/k", "CopyObject Bucket=b Key=k", copy},
	        {"PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart Bucket=b Key=k", NULL},
	        {"PUT", "/b/k?partNumber=1&uploadId=u", "UploadPartCopy Bucket=b Key=k", copy},
	        {"GET", "/b/k?uploadId=u", "ListParts Bucket=b Key=k", NULL},
	        {"DELETE", "/b/k?uploadId=u", "AbortMultipartUpload Bucket=b Key=k", NULL},
	        {"DELETE", "/b/k?versionId=v", "DeleteObject Bucket=b Key=k", NULL},
	        {"POST", "/b/k?uploads", "CreateMultipartUpload Bucket=b Key=k", NULL},
	        {"POST", "/b/k?uploadId=u", "CompleteMultipartUpload Bucket=b Key=k", NULL},
	        {"POST", "/b?delete", "DeleteObjects Bucket=b", NULL},
	        {"POST", "/b/k?select&select-type=2", "SelectObjectContent Bucket=b Key=k", NULL},
	        {"PATCH", "/b/k", "!MethodNotAllowed 405", NULL},
	        {"POST", "/b/k", "!MethodNotAllowed 405", NULL},
	        {"PUT", "/b/k?partNumber=1", "PutObject Bucket=b Key=k", NULL},
	        {"GET", "/b/k?attributes", "GetObjectAttributes Bucket=b Key=k", NULL},
	        {"GET", "/b/%zz", "!InvalidURI 400", NULL},
	};
	struct arena CLEAN_ARENA a = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str got = identified(&a, "s3", cases[i].method, cases[i].uri, cases[i].headers, S(""));
		if (!str_is(got, cases[i].want))
			fail_msg("%s %s: got %.*s, want %s", cases[i].method, cases[i].uri, STR_ARG(got), cases[i].want);
	}
}

static void tells_protocols_apart(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	static const char *const json[] = {"x-amz-target", "AmazonSQS.ListQueues", "content-type", "application/x-amz-json-1.0",
	                                   NULL};
	static const char *const form[] = {"content-type", "application/x-www-form-urlencoded; charset=utf-8", NULL};
	static const char *const cbor[] = {"smithy-protocol", "rpc-v2-cbor", "content-type", "application/cbor", NULL};
	static const char *const wrong[] = {"x-amz-target", "AmazonSQS.Nothing", "content-type", "application/x-amz-json-1.0",
	                                    NULL};
	static const char *const other[] = {"x-amz-target", "AmazonSNS.ListQueues", "content-type", "application/x-amz-json-1.0",
	                                    NULL};
	assert_str(identified(&a, "sqs", "POST", "/", json, S("{}")), "ListQueues");
	assert_str(identified(&a, "sqs", "POST", "/", form, S("Action=ListQueues&Version=2012-11-05")), "ListQueues");
	assert_str(identified(&a, "sqs", "POST", "/", wrong, S("{}")), "!UnknownOperationException 400");
	assert_str(identified(&a, "sqs", "POST", "/", other, S("{}")), "!UnknownOperationException 400");
	assert_str(identified(&a, "cloudwatch", "POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", cbor,
	                      S("\xa0")),
	           "ListMetrics");
	assert_str(identified(&a, "iam", "GET", "/?Action=ListUsers&Version=2010-05-08", NULL, S("")), "ListUsers");
	assert_str(identified(&a, "iam", "POST", "/", form, S("Action=Nothing&Version=2010-05-08")), "!InvalidAction 400");
	assert_str(identified(&a, "iam", "POST", "/", form, S("Version=2010-05-08")), "!MissingAction 400");
	assert_str(identified(&a, "iam", "POST", "/", form, S("Action=ListUsers&Version=2009-05-08")), "!InvalidAction 400");
	assert_str(identified(&a, "iam", "POST", "/", form, S("Action=ListUsers")), "!InvalidAction 400");
	assert_str(identified(&a, "ec2", "POST", "/", form, S("Action=DescribeInstances&Version=2013-02-01")), "DescribeInstances");
	assert_str(identified(&a, "ec2", "POST", "/", form, S("Action=Nothing")), "!InvalidAction 400");
	assert_str(identified(&a, "ec2", "POST", "/", form, S("Action=%zz")), "!MalformedQueryString 400");
	assert_str(identified(&a, "lambda", "GET", "/2015-03-31/functions/", NULL, S("")), "ListFunctions");
	assert_str(identified(&a, "lambda", "GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Ar%3A1%3Afunction%3Af", NULL, S("")),
	           "ListTags Resource=arn:aws:lambda:r:1:function:f");
	assert_str(identified(&a, "lambda", "GET", "/2015-03-31/nothing", NULL, S("")), "!MissingAuthenticationTokenException 403");
}

static void guesses_apis(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	static const char *const target[] = {"x-amz-target", "Logs_20140328.PutLogEvents", NULL};
	static const char *const form[] = {"content-type", "application/x-www-form-urlencoded", NULL};
	static const char *const cbor[] = {"smithy-protocol", "rpc-v2-cbor", NULL};
	struct wire_pairs none = {0}, t = headers_of(&a, target), f = headers_of(&a, form), c = headers_of(&a, cbor);
	struct wire_request r = request_of("POST", "/", &t, S("{}"));
	assert_string_equal(wire_guess_api(&a, &r)->id, "logs");
	r = request_of("POST", "/", &f, S("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"));
	assert_string_equal(wire_guess_api(&a, &r)->id, "sts");
	r = request_of("POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", &c, S(""));
	assert_string_equal(wire_guess_api(&a, &r)->id, "cloudwatch");
	r = request_of("GET", "/2015-03-31/functions/f", &none, S(""));
	assert_string_equal(wire_guess_api(&a, &r)->id, "lambda");
	r = request_of("GET", "/bucket/key", &none, S(""));
	assert_string_equal(wire_guess_api(&a, &r)->id, "s3");
	r = request_of("POST", "/", &f, S("Action=Nothing&Version=1999-01-01"));
	assert_null(wire_guess_api(&a, &r));
}

/* The fault of decoding a body, "Code: message". */
static struct str fault_of(struct arena *a, const char *api, const char *method, const char *uri, const char *const *pairs,
                           struct str body)
{
	struct wire_pairs headers = headers_of(a, pairs);
	struct wire_request r = request_of(method, uri, &headers, body);
	struct wire_target t;
	struct wire_fault fault = {0};
	assert_true(wire_identify(a, model_api(str_from(api)), &r, &t, &fault));
	void *in = arena_zalloc(a, operation_input(t.api, t.op)->size);
	if (wire_decode(a, &t, &r, in, &fault))
		return S("none");
	assert_int_equal(fault.status, 400);
	return ARENA_CAT(a, fault.code, S(": "), fault.message);
}

static void says_what_is_malformed(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	static const char *const logs[] = {"x-amz-target", "Logs_20140328.CreateLogGroup", "content-type",
	                                   "application/x-amz-json-1.1", NULL};
	static const char *const form[] = {"content-type", "application/x-www-form-urlencoded", NULL};
	assert_str(fault_of(&a, "logs", "POST", "/", logs, S("{\"logGroupName\":1}")),
	           "SerializationException: NUMBER_VALUE can not be converted to a String");
	assert_str(fault_of(&a, "logs", "POST", "/", logs, S("{\"logGroupName\":{}}")),
	           "SerializationException: Start of structure or map found where not expected.");
	assert_str(fault_of(&a, "logs", "POST", "/", logs, S("{\"logGroupName\":\"a\"")),
	           "SerializationException: unexpected end at offset 19");
	assert_str(fault_of(&a, "logs", "POST", "/", logs, S("{\"unknown\":[{}],\"logGroupName\":\"a\"}")), "none");
	assert_str(fault_of(&a, "logs", "POST", "/", logs, S("")), "none");
	assert_str(fault_of(&a, "s3", "POST", "/b?delete", NULL, S("<Delete><Object>")),
	           "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema");
	assert_str(fault_of(&a, "s3", "POST", "/b?delete", NULL, S("<Other/>")),
	           "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema");
	assert_str(fault_of(&a, "s3", "PUT", "/b?tagging", NULL, S("<Tagging><TagSet><Tags/></TagSet></Tagging>")),
	           "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema");
	assert_str(
	        fault_of(&a, "s3", "PUT", "/b?versioning", NULL, S("<VersioningConfiguration><State/></VersioningConfiguration>")),
	        "MalformedXML: The XML you provided was not well-formed or did not validate against our published schema");
	assert_str(fault_of(&a, "s3", "GET", "/b?max-keys=x", NULL, S("")),
	           "InvalidArgument: Provided max-keys not an integer or within integer range");
	static const char *const since[] = {"if-modified-since", "never", NULL};
	assert_str(fault_of(&a, "s3", "GET", "/b/k", since, S("")), "none");
	assert_str(fault_of(&a, "s3", "GET", "/b/%ff", NULL, S("")), "InvalidArgument: Value at 'Key' is not valid UTF-8");
	static const char *const meta[] = {"x-amz-meta-a", "\xff", NULL};
	assert_str(fault_of(&a, "s3", "PUT", "/b/k", meta, S("")), "InvalidArgument: A header x-amz-meta- is not valid UTF-8");
	assert_str(fault_of(&a, "iam", "POST", "/", form, S("Action=GetUser&Version=2010-05-08&UserName=%c3%28")),
	           "MalformedInput: Value at 'UserName' is not valid UTF-8");
	assert_str(fault_of(&a, "iam", "POST", "/", form, S("Action=ListUsers&Version=2010-05-08&MaxItems=x")),
	           "MalformedInput: Value 'x' at 'MaxItems' is not a valid Integer");
	assert_str(fault_of(&a, "ec2", "POST", "/", form, S("Action=DescribeInstances&Filter.x.Name=a")),
	           "InvalidParameterValue: Unexpected parameter Filter.x.Name");
	assert_str(fault_of(&a, "lambda", "POST", "/2015-03-31/functions", NULL, S("{")),
	           "InvalidRequestContentException: Could not parse request body into json: unexpected end at offset 1");
}

static void bounds_memory(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a, CLEAN_ARENA text = {0};
	arena_init(&a, 1 << 20);
	struct buf CLEAN_BUF body;
	buf_init(&body, 1 << 20);
	buf_add_lit(&body, "{\"Containers\":[{}");
	for (int i = 0; i < 100000; i++)
		buf_add_lit(&body, ",{}");
	buf_add_lit(&body, "]}");
	const struct api *ecs = model_api(S("ecs"));
	struct wire_target t = {.api = ecs, .op = api_operation(ecs, S("RegisterTaskDefinition")), .protocol = PROTOCOL_JSON11};
	struct str json = ARENA_CAT(&text, S("{\"containerDefinitions\""), str_from_at(buf_str(&body), 13));
	struct wire_request r = {.body = json};
	struct wire_fault fault = {0};
	assert_false(wire_decode(&a, &t, &r, arena_zalloc(&a, operation_input(ecs, t.op)->size), &fault));
	assert_str(fault.message, "The request is too large to be processed");
	assert_true(a.used_bytes < 4 << 20);
}

static void reads_inputs(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct wire_pairs headers = headers_of(
	        &a, (const char *const[]){"x-amz-meta-Color", "red", "Content-Type", "text/plain", "x-amz-tagging", "", NULL});
	struct wire_request r = request_of("PUT", "/b/k%C3%A9", &headers, S("the object's own bytes"));
	struct wire_target t;
	struct wire_fault fault;
	struct s3_put_object_request put = {0};
	assert_true(wire_identify(&a, &s3_api, &r, &t, &fault) && wire_decode(&a, &t, &r, &put, &fault));
	assert_str(put.bucket, "b");
	assert_str(put.key, "k\xc3\xa9");
	assert_str(put.content_type, "text/plain");
	assert_str(str_map_get(&put.metadata, S("color")), "red");
	assert_str(put.tagging, "");
	assert_false(str_set(put.body));

	headers = headers_of(&a, (const char *const[]){"content-type", "application/x-www-form-urlencoded", NULL});
	r = request_of(
	        "POST", "/", &headers,
	        S("Action=SendMessage&Version=2012-11-05&MessageBody=hi+there&MessageAttribute.2.Name=n&MessageAttribute.2.Value.DataType=Number&MessageAttribute.2.Value.StringValue=7"
	          "&MessageAttribute.10.Name=z&MessageAttribute.10.Value.BinaryValue=AAE%3D&MessageAttribute.10.Value.DataType=Binary&DelaySeconds=3"));
	struct sqs_send_message_request send = {0};
	assert_true(wire_identify(&a, &sqs_api, &r, &t, &fault) && wire_decode(&a, &t, &r, &send, &fault));
	assert_str(send.message_body, "hi there");
	assert_true(send.delay_seconds.set && send.delay_seconds.v == 3);
	assert_int_equal(send.message_attributes.n, 2);
	assert_str(send.message_attributes.v[0].key, "n");
	assert_str(send.message_attributes.v[0].value.string_value, "7");
	assert_str(send.message_attributes.v[1].key, "z");
	assert_int_equal(send.message_attributes.v[1].value.binary_value.n, 2);
}

static struct str spelled(struct arena *a, const char *api, enum protocol p, const char *op, struct wire_error error)
{
	struct buf CLEAN_BUF body;
	buf_init(&body, 4096);
	const struct api *x = model_api(str_from(api));
	struct wire_target t = {.api = x, .op = op ? api_operation(x, str_from(op)) : NULL, .protocol = p};
	struct wire_reply reply;
	wire_encode_error(a, &t, &error, S("rid"), &body, &reply);
	struct wire_headers view = wire_headers_of(&reply.headers);
	struct str type = view.get(view.ctx, S("x-amzn-errortype")), legacy = view.get(view.ctx, S("x-amzn-query-error"));
	return arena_printf(a, "%u %.*s%.*s%.*s", reply.status, STR_ARG(type), STR_ARG(legacy), STR_ARG(buf_str(&body)));
}

static void spells_errors(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct wire_pair key = {S("Key"), S("a&b")}, reason = {S("Reason"), S("R")};
	assert_str(
	        spelled(&a, "iam", PROTOCOL_QUERY, "GetUser",
	                (struct wire_error){.code = S("NoSuchEntityException"), .message = S("The user <x>")}),
	        "404 <ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>NoSuchEntity</Code>"
	        "<Message>The user &lt;x&gt;</Message></Error><RequestId>rid</RequestId></ErrorResponse>");
	assert_str(
	        spelled(&a, "ec2", PROTOCOL_EC2, NULL, (struct wire_error){.code = S("InvalidAction"), .message = S("m")}),
	        "400 <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>InvalidAction</Code><Message>m</Message></Error></Errors>"
	        "<RequestID>rid</RequestID></Response>");
	assert_str(
	        spelled(&a, "s3", PROTOCOL_REST_XML, "GetObject",
	                (struct wire_error){
	                        .code = S("NoSuchKey"), .message = S("m"), .status = 404, .fields = &key, .field_count = 1}),
	        "404 <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>m</Message><Key>a&amp;b</Key><RequestId>rid</RequestId>"
	        "<HostId>cmlk</HostId></Error>");
	assert_str(spelled(&a, "logs", PROTOCOL_JSON11, "PutLogEvents",
	                   (struct wire_error){.code = S("ResourceNotFoundException"), .message = S("m")}),
	           "400 {\"__type\":\"ResourceNotFoundException\",\"message\":\"m\"}");
	assert_str(spelled(&a, "dynamodb", PROTOCOL_JSON10, "GetItem",
	                   (struct wire_error){.code = S("ResourceNotFoundException"), .message = S("m")}),
	           "400 {\"__type\":\"com.amazonaws.dynamodb.v20120810#ResourceNotFoundException\",\"message\":\"m\"}");
	assert_str(
	        spelled(&a, "sqs", PROTOCOL_JSON10, "SendMessage",
	                (struct wire_error){.code = S("QueueDoesNotExist"), .message = S("m")}),
	        "400 AWS.SimpleQueueService.NonExistentQueue;Sender{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"m\"}");
	assert_str(spelled(&a, "lambda", PROTOCOL_REST_JSON, "GetFunction",
	                   (struct wire_error){.code = S("ResourceNotFoundException"), .message = S("m")}),
	           "404 ResourceNotFoundException{\"Type\":\"User\",\"Message\":\"m\"}");
	assert_str(spelled(&a, "lambda", PROTOCOL_REST_JSON, "Invoke",
	                   (struct wire_error){.code = S("TooManyRequestsException"),
	                                       .message = S("Rate Exceeded."),
	                                       .fields = &reason,
	                                       .field_count = 1}),
	           "429 TooManyRequestsException{\"Reason\":\"R\",\"Type\":\"User\",\"message\":\"Rate Exceeded.\"}");
	assert_str(spelled(&a, "lambda", PROTOCOL_REST_JSON, "Invoke",
	                   (struct wire_error){.code = S("InternalFailure"), .server_fault = true}),
	           "500 InternalFailure{}");
	assert_str(spelled(&a, "cloudwatch", PROTOCOL_CBOR, "ListMetrics", (struct wire_error){.code = S("X"), .message = S("m")}),
	           "400 X;Sender\xa2\x66__type\x61X\x67message\x61m");
}

static void writes_replies(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct buf CLEAN_BUF body;
	buf_init(&body, 4096);
	struct wire_reply reply;
	struct wire_target t = {
	        .api = &s3_api, .op = api_operation(&s3_api, S("GetBucketLocation")), .protocol = PROTOCOL_REST_XML};
	struct s3_get_bucket_location_output where = {.location_constraint = S("eu-west-1")};
	wire_encode(&a, &t, &where, S("rid"), &body, &reply);
	assert_str(
	        buf_str(&body),
	        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">eu-west-1</LocationConstraint>");
	struct wire_headers view = wire_headers_of(&reply.headers);
	assert_str(view.get(view.ctx, S("x-amz-request-id")), "rid");
	assert_str(view.get(view.ctx, S("content-type")), "application/xml");

	buf_clear(&body);
	t.op = api_operation(&s3_api, S("DeleteObject"));
	struct s3_delete_object_output deleted = {.version_id = S("v"), .delete_marker = OPT_BOOL(true)};
	wire_encode(&a, &t, &deleted, S("rid"), &body, &reply);
	view = wire_headers_of(&reply.headers);
	assert_int_equal(reply.status, 204);
	assert_true(reply.no_body && body.n == 0);
	assert_str(view.get(view.ctx, S("x-amz-version-id")), "v");
	assert_str(view.get(view.ctx, S("x-amz-delete-marker")), "true");

	t = (struct wire_target){.api = &lambda_api, .op = api_operation(&lambda_api, S("Invoke")), .protocol = PROTOCOL_REST_JSON};
	struct lambda_invocation_response invoked = {
	        .status_code = OPT_INT(202), .payload = S("{\"a\":1}"), .executed_version = S("$LATEST")};
	wire_encode(&a, &t, &invoked, S("rid"), &body, &reply);
	view = wire_headers_of(&reply.headers);
	assert_int_equal(reply.status, 202);
	assert_str(buf_str(&body), "{\"a\":1}");
	assert_str(view.get(view.ctx, S("X-Amz-Executed-Version")), "$LATEST");
}

static void checks_replies(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct wire_pairs headers = {0};
	wire_pairs_add(&a, &headers, S("x-amzn-RequestId"), S("rid"));
	struct wire_headers view = wire_headers_of(&headers);
	const struct operation *op = api_operation(&lambda_api, S("GetAccountSettings"));
#define CHECK(status, body) wire_reply_check(&a, &lambda_api, op, PROTOCOL_REST_JSON, status, &view, S(body))
	assert_false(str_set(CHECK(200, "{\"AccountUsage\":{\"FunctionCount\":1}}")));
	assert_str(CHECK(200, "{\"accountUsage\":{}}"), "unknown member accountUsage of GetAccountSettingsResponse");
	assert_str(CHECK(200, "{\"AccountUsage\":{\"FunctionCount\":\"1\"}}"), "STRING_VALUE can not be converted to a Long");
	assert_str(CHECK(200, "{"), "unexpected end at offset 1");
	assert_str(CHECK(400, "{}"), "an error without a code");
	op = api_operation(&lambda_api, S("GetFunctionConfiguration"));
	assert_false(str_set(CHECK(200, "{\"State\":\"Active\"}")));
	assert_str(CHECK(200, "{\"State\":\"active\"}"), "'active' is not a value of State");
#undef CHECK
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(routes_s3),     cmocka_unit_test(tells_protocols_apart), cmocka_unit_test(guesses_apis),
	        cmocka_unit_test(reads_inputs),  cmocka_unit_test(bounds_memory),         cmocka_unit_test(says_what_is_malformed),
	        cmocka_unit_test(spells_errors), cmocka_unit_test(writes_replies),        cmocka_unit_test(checks_replies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
