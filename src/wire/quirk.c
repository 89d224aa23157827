/* What single services do differently from their protocol, in one place. */
#include "wire/codec.h"

#include "base/clock.h"

static bool api_is(const struct api *api, const char *id)
{
	return strcmp(api->id, id) == 0;
}

bool quirk_is_s3(const struct api *api)
{
	return api_is(api, "s3");
}

bool quirk_times_with_ms(const struct api *api)
{
	return quirk_is_s3(api) || api_is(api, "ec2");
}

/* S3's documents carry names that its model does not keep; everywhere else the root is named after the output's shape. */
struct str quirk_root_name(const struct api *api, const struct operation *op, const struct shape *output)
{
	static const char *const names[][2] = {
	        {"CompleteMultipartUpload", "CompleteMultipartUploadResult"},
	        {"CreateMultipartUpload", "InitiateMultipartUploadResult"},
	        {"CreateSession", "CreateSessionResult"},
	        {"DeleteObjects", "DeleteResult"},
	        {"GetBucketAccelerateConfiguration", "AccelerateConfiguration"},
	        {"GetBucketAcl", "AccessControlPolicy"},
	        {"GetBucketCors", "CORSConfiguration"},
	        {"GetBucketLifecycleConfiguration", "LifecycleConfiguration"},
	        {"GetBucketLocation", "LocationConstraint"},
	        {"GetBucketLogging", "BucketLoggingStatus"},
	        {"GetBucketNotificationConfiguration", "NotificationConfiguration"},
	        {"GetBucketRequestPayment", "RequestPaymentConfiguration"},
	        {"GetBucketTagging", "Tagging"},
	        {"GetBucketVersioning", "VersioningConfiguration"},
	        {"GetBucketWebsite", "WebsiteConfiguration"},
	        {"GetObjectAcl", "AccessControlPolicy"},
	        {"GetObjectAttributes", "GetObjectAttributesResponse"},
	        {"GetObjectTagging", "Tagging"},
	        {"ListBucketAnalyticsConfigurations", "ListBucketAnalyticsConfigurationResult"},
	        {"ListBucketInventoryConfigurations", "ListInventoryConfigurationsResult"},
	        {"ListBucketMetricsConfigurations", "ListMetricsConfigurationsResult"},
	        {"ListBuckets", "ListAllMyBucketsResult"},
	        {"ListMultipartUploads", "ListMultipartUploadsResult"},
	        {"ListObjectVersions", "ListVersionsResult"},
	        {"ListObjects", "ListBucketResult"},
	        {"ListObjectsV2", "ListBucketResult"},
	        {"ListParts", "ListPartsResult"},
	};
	for (size_t i = 0; quirk_is_s3(api) && i < sizeof(names) / sizeof(*names); i++)
		if (str_is(api_text(api, op->name), names[i][0]))
			return str_from(names[i][1]);
	return api_text(api, output->xml_name ? output->xml_name : output->name);
}

/* What a service says although its own model does not list it. */
bool quirk_beside_enumeration(const struct api *api, struct str shape, struct str value)
{
	static const char *const values[][3] = {
	        {"ec2", "AttachmentStatus", "available"}, /* of an internet gateway */
	        {"ec2", "NetworkInterfaceType", "nat_gateway"},
	};
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (api_is(api, values[i][0]) && str_is(shape, values[i][1]) && str_is(value, values[i][2]))
			return true;
	return false;
}

/* What a service leaves out although its own model requires it. */
bool quirk_left_out(const struct api *api, struct str shape, struct str member)
{
	if (api_is(api, "sqs"))
		return str_is(member, "Failed") || str_is(member, "Successful") || str_is(member, "queueUrls");        /* empty */
	return api_is(api, "route53") && str_is(shape, "CreateHostedZoneResponse") && str_is(member, "DelegationSet"); /* private */
}

/* Operations whose requests look exactly like those of their successors. */
bool quirk_never_routed(const struct api *api, struct str op_name)
{
	static const char *const names[] = {"GetBucketLifecycle", "GetBucketNotification", "ListDirectoryBuckets",
	                                    "PutBucketLifecycle", "PutBucketNotification"};
	for (size_t i = 0; quirk_is_s3(api) && i < sizeof(names) / sizeof(*names); i++)
		if (str_is(op_name, names[i]))
			return true;
	return false;
}

/* The links in its messages name no version of its API. */
bool quirk_needs_no_version(const struct api *api)
{
	return api_is(api, "sns");
}

/* A POST to a key without ?uploadId completes nothing: there is no such request. */
bool quirk_needs_required(const struct api *api)
{
	return quirk_is_s3(api);
}

/* HTTP has a condition on a date that is none pass for no condition. */
bool quirk_passes_over(const struct api *api, struct str header, struct str value)
{
	int64_t ms;
	return quirk_is_s3(api) && (str_is(header, "If-Modified-Since") || str_is(header, "If-Unmodified-Since")) &&
	       !time_parse(str_trim(value), &ms);
}

struct str quirk_type_prefix(const struct api *api)
{
	if (api_is(api, "dynamodb"))
		return S("com.amazonaws.dynamodb.v20120810#");
	if (api_is(api, "dynamodbstreams"))
		return S("com.amazonaws.dynamodb.v20120810#");
	if (api_is(api, "sqs"))
		return S("com.amazonaws.sqs#");
	return S("");
}

struct str quirk_error_code(const struct api *api, const struct shape *error)
{
	static const char *const sqs[][2] = {
	        {"BatchEntryIdsNotDistinct", "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
	        {"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"},
	        {"EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest"},
	        {"InvalidBatchEntryId", "AWS.SimpleQueueService.InvalidBatchEntryId"},
	        {"KmsAccessDenied", "KMS.AccessDeniedException"},
	        {"KmsDisabled", "KMS.DisabledException"},
	        {"KmsInvalidKeyUsage", "KMS.InvalidKeyUsageException"},
	        {"KmsInvalidState", "KMS.InvalidStateException"},
	        {"KmsNotFound", "KMS.NotFoundException"},
	        {"MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"},
	        {"PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"},
	        {"QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"},
	        {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"},
	        {"QueueNameExists", "QueueAlreadyExists"},
	        {"TooManyEntriesInBatchRequest", "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
	        {"UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"},
	};
	struct str name = api_text(api, error->name);
	for (size_t i = 0; api_is(api, "sqs") && i < sizeof(sqs) / sizeof(*sqs); i++)
		if (str_is(name, sqs[i][0]))
			return str_from(sqs[i][1]);
	return error->error_code ? api_text(api, error->error_code) : name;
}

struct str quirk_error_type(const struct api *api, bool server)
{
	if (!api_is(api, "lambda"))
		return STR_NONE;
	return server ? S("Service") : S("User");
}

static bool is_query(enum protocol p)
{
	return p == PROTOCOL_QUERY || p == PROTOCOL_EC2;
}

/* A header or parameter that is no value of its type: S3 names it beside its sentence. */
static void s3_bad_argument(const struct wire_in *in, struct wire_fault *ret)
{
	struct str message = in->fault;
	if (str_is(in->where, "partNumber"))
		message = S("Part number must be an integer between 1 and 10000, inclusive");
	else if (str_starts(in->where, S("max-")) || str_ends(in->where, S("-marker")))
		message = ARENA_CAT(in->arena, S("Provided "), in->where, S(" not an integer or within integer range"));
	*ret = (struct wire_fault){
	        .code = S("InvalidArgument"), .message = message, .status = 400, .argument = in->where, .value = in->text};
}

void quirk_malformed(const struct api *api, enum protocol protocol, const struct wire_in *in, struct wire_fault *ret)
{
	struct str code = S("SerializationException"), message = in->fault;
	if (quirk_is_s3(api) && !in->syntax) {
		s3_bad_argument(in, ret);
		return;
	}
	if (quirk_is_s3(api)) {
		code = S("MalformedXML");
		message = S("The XML you provided was not well-formed or did not validate against our published schema");
	} else if (protocol == PROTOCOL_REST_XML) {
		code = S("InvalidInput");
	} else if (protocol == PROTOCOL_EC2) {
		code = in->syntax ? S("MalformedQueryString") : S("InvalidParameterValue");
	} else if (is_query(protocol)) {
		code = in->syntax ? S("MalformedQueryString") : S("MalformedInput");
	} else if (api_is(api, "lambda") && in->syntax) {
		code = S("InvalidRequestContentException");
		message = ARENA_CAT(in->arena, S("Could not parse request body into json: "), in->fault);
	}
	*ret = (struct wire_fault){.code = code, .message = message, .status = 400};
}
