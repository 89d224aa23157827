/* Every way to refuse a signature, in the words of each family of services. */
#include "base/clock.h"
#include "core/sigv4.h"

/* Codes outside S3. Statuses: the query services answer 403, EC2 401, JSON 400 and REST-JSON 403. */
enum family { F_INVALID_KEY, F_MISMATCH, F_MISSING, F_INCOMPLETE, F_EXPIRED_TOKEN };
static const struct {
	const char *query, *ec2, *json;
	unsigned query_status;
} families[] = {
        [F_INVALID_KEY] = {"InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException", 403},
        [F_MISMATCH] = {"SignatureDoesNotMatch", "AuthFailure", "InvalidSignatureException", 403},
        [F_MISSING] = {"MissingAuthenticationToken", "AuthFailure", "MissingAuthenticationTokenException", 403},
        [F_INCOMPLETE] = {"IncompleteSignature", "AuthFailure", "IncompleteSignatureException", 400},
        [F_EXPIRED_TOKEN] = {"ExpiredToken", "RequestExpired", "ExpiredTokenException", 403},
};

static struct str basic(struct arena *a, int64_t ms)
{
	return time_format(a, ms - ms % 1000, TIME_BASIC);
}

static enum family general_fault(struct arena *a, enum sigv4_fault fault, const struct sigv4 *sig, int64_t now_ms,
                                 struct str *ret_message)
{
	switch (fault) {
	case SIGV4_FAULT_V2:
		*ret_message = S("Signature version 2 is not supported. Please use AWS4-HMAC-SHA256.");
		return F_INCOMPLETE;
	case SIGV4_FAULT_V4A:
		*ret_message = S("Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'. Please use AWS4-HMAC-SHA256.");
		return F_INCOMPLETE;
	case SIGV4_FAULT_ALGORITHM:
		*ret_message = arena_printf(a, "Unsupported AWS 'algorithm': '%.*s'.", STR_ARG(sig->detail));
		return F_INCOMPLETE;
	case SIGV4_FAULT_BOTH:
		*ret_message = S(
		        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter or the Authorization header should be "
		        "specified");
		return F_INCOMPLETE;
	case SIGV4_FAULT_INCOMPLETE:
	case SIGV4_FAULT_CREDENTIAL:
	case SIGV4_FAULT_EXPIRES:
		*ret_message = sig->detail;
		return F_INCOMPLETE;
	case SIGV4_FAULT_DATE:
		*ret_message = arena_printf(
		        a, "Date must be in ISO-8601 'basic format'. Got '%.*s'. See http://en.wikipedia.org/wiki/ISO_8601",
		        STR_ARG(sig->timestamp));
		return F_INCOMPLETE;
	case SIGV4_FAULT_SCOPE_DATE:
		*ret_message = arena_printf(
		        a,
		        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%.*s' != '%.*s', from '%.*s'.",
		        STR_ARG(sig->date), STR_ARG(str_sub(sig->timestamp, 0, 8)), STR_ARG(sig->timestamp));
		return F_MISMATCH;
	case SIGV4_FAULT_HOST_UNSIGNED:
		*ret_message = S("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
		return F_MISMATCH;
	case SIGV4_FAULT_HEADERS_UNSIGNED:
		*ret_message = arena_printf(a, "'%.*s' must be a 'SignedHeader' in the AWS Authorization.", STR_ARG(sig->detail));
		return F_MISMATCH;
	case SIGV4_FAULT_OLD:
		*ret_message =
		        arena_printf(a, "Signature expired: %.*s is now earlier than %.*s (%.*s - 15 min.)",
		                     STR_ARG(sig->timestamp), STR_ARG(basic(a, now_ms - SIGV4_SKEW_MS)), STR_ARG(basic(a, now_ms)));
		return F_MISMATCH;
	case SIGV4_FAULT_EXPIRED:
		*ret_message = arena_printf(a, "Signature expired: %.*s is now earlier than %.*s (%.*s - %lld s.)",
		                            STR_ARG(sig->timestamp), STR_ARG(basic(a, now_ms - sig->expires_s * 1000)),
		                            STR_ARG(basic(a, now_ms)), (long long)sig->expires_s);
		return F_MISMATCH;
	case SIGV4_FAULT_EARLY:
		*ret_message =
		        arena_printf(a, "Signature not yet current: %.*s is still later than %.*s (%.*s + 15 min.)",
		                     STR_ARG(sig->timestamp), STR_ARG(basic(a, now_ms + SIGV4_SKEW_MS)), STR_ARG(basic(a, now_ms)));
		return F_MISMATCH;
	case SIGV4_FAULT_REGION:
		*ret_message = arena_printf(a, "Credential should be scoped to a valid Region, not '%.*s'. ", STR_ARG(sig->region));
		return F_MISMATCH;
	case SIGV4_FAULT_SERVICE:
		*ret_message = arena_printf(a, "Credential should be scoped to correct service: '%.*s'. ", STR_ARG(sig->detail));
		return F_MISMATCH;
	case SIGV4_FAULT_MISSING:
		*ret_message = S("Request is missing Authentication Token");
		return F_MISSING;
	case SIGV4_FAULT_TOKEN_EXPIRED:
		*ret_message = S("The security token included in the request is expired");
		return F_EXPIRED_TOKEN;
	case SIGV4_FAULT_KEY_UNKNOWN:
	case SIGV4_FAULT_KEY_INACTIVE:
	case SIGV4_FAULT_TOKEN_BAD:
		*ret_message = S("The security token included in the request is invalid.");
		return F_INVALID_KEY;
	default:
		*ret_message = S(
		        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
		        "and signing method. Consult the service documentation for details.");
		return F_MISMATCH;
	}
}

static void general_words(struct arena *a, enum sigv4_fault fault, const struct sigv4 *sig, enum protocol protocol, int64_t now_ms,
                          struct sigv4_words *ret)
{
	enum family f = general_fault(a, fault, sig, now_ms, &ret->message);
	if (protocol == PROTOCOL_EC2) {
		bool late = f == F_EXPIRED_TOKEN || fault == SIGV4_FAULT_OLD || fault == SIGV4_FAULT_EXPIRED ||
		            fault == SIGV4_FAULT_EARLY;
		ret->code = late ? S("RequestExpired") : str_from(families[f].ec2);
		ret->status = late ? 400 : 401;
		if (late)
			ret->message = S("Request has expired.");
		else if (f == F_INVALID_KEY || fault == SIGV4_FAULT_MISMATCH)
			ret->message = S("AWS was not able to validate the provided access credentials");
		return;
	}
	if (protocol == PROTOCOL_QUERY || protocol == PROTOCOL_REST_XML) {
		ret->code = str_from(families[f].query);
		ret->status = families[f].query_status;
		return;
	}
	ret->code = str_from(families[f].json);
	ret->status = protocol == PROTOCOL_REST_JSON ? 403 : 400;
}

/* --- S3 */

static void field(struct arena *a, struct sigv4_words *w, const char *name, struct str value)
{
	enum { FIELDS_MAX = 8 };
	if (!w->fields.v)
		w->fields = (struct str_map){.v = arena_array(a, FIELDS_MAX, sizeof(*w->fields.v)), .set = true};
	if (str_set(value) && w->fields.n < FIELDS_MAX)
		w->fields.v[w->fields.n++] = (struct str_map_entry){.key = str_from(name), .value = value};
}

/* "47 45 54": S3 shows bytes so that invisible differences can be seen. */
static struct str bytes_shown(struct arena *a, struct str s)
{
	static const char digits[] = "0123456789abcdef";
	char *p = arena_alloc(a, 3 * s.n + 1), *out = p;
	for (size_t i = 0; i < s.n; i++) {
		if (i)
			*out++ = ' ';
		*out++ = digits[(unsigned char)s.p[i] >> 4];
		*out++ = digits[(unsigned char)s.p[i] & 15];
	}
	return str_of(p, (size_t)(out - p));
}

static void say(struct sigv4_words *ret, unsigned status, struct str code, struct str message)
{
	ret->status = status;
	ret->code = code;
	ret->message = message;
}

static void malformed(struct arena *a, const struct sigv4 *sig, struct str what, struct sigv4_words *ret)
{
	if (sig->form == SIGV4_IN_QUERY)
		say(ret, 400, S("AuthorizationQueryParametersError"),
		    arena_printf(a, "Error parsing the X-Amz-Credential parameter; %.*s", STR_ARG(what)));
	else
		say(ret, 400, S("AuthorizationHeaderMalformed"),
		    arena_printf(a, "The authorization header is malformed; %.*s", STR_ARG(what)));
}

static void s3_words(struct arena *a, enum sigv4_fault fault, const struct sigv4 *sig, int64_t now_ms, struct sigv4_words *ret)
{
	bool query = sig->form == SIGV4_IN_QUERY;
	switch (fault) {
	case SIGV4_FAULT_V2:
	case SIGV4_FAULT_V4A:
		say(ret, 400, S("InvalidRequest"),
		    S("The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."));
		break;
	case SIGV4_FAULT_ALGORITHM:
		if (query) {
			say(ret, 400, S("AuthorizationQueryParametersError"),
			    S("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
		} else {
			say(ret, 400, S("InvalidArgument"), S("Unsupported Authorization Type"));
			field(a, ret, "ArgumentName", S("Authorization"));
			field(a, ret, "ArgumentValue", sig->detail);
		}
		break;
	case SIGV4_FAULT_BOTH:
		say(ret, 400, S("InvalidArgument"),
		    S("Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the "
		      "Authorization header should be specified"));
		field(a, ret, "ArgumentName", S("Authorization"));
		break;
	case SIGV4_FAULT_INCOMPLETE:
		if (query)
			say(ret, 400, S("AuthorizationQueryParametersError"),
			    S("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
			      "X-Amz-SignedHeaders, and X-Amz-Expires parameters."));
		else if (!str_set(sig->timestamp))
			say(ret, 403, S("AccessDenied"), S("AWS authentication requires a valid Date or x-amz-date header"));
		else
			malformed(
			        a, sig,
			        S("the authorization header requires three components: Credential, SignedHeaders, and Signature."),
			        ret);
		break;
	case SIGV4_FAULT_CREDENTIAL:
		malformed(a, sig,
		          S("the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."), ret);
		break;
	case SIGV4_FAULT_DATE:
		if (query)
			say(ret, 400, S("AuthorizationQueryParametersError"),
			    S("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""));
		else
			say(ret, 403, S("AccessDenied"), S("AWS authentication requires a valid Date or x-amz-date header"));
		break;
	case SIGV4_FAULT_SCOPE_DATE:
		malformed(a, sig,
		          arena_printf(a, "Invalid credential date \"%.*s\". This date is not the same as X-Amz-Date: \"%.*s\".",
		                       STR_ARG(sig->date), STR_ARG(str_sub(sig->timestamp, 0, 8))),
		          ret);
		break;
	case SIGV4_FAULT_EXPIRES:
		say(ret, 400, S("AuthorizationQueryParametersError"), sig->detail);
		break;
	case SIGV4_FAULT_HOST_UNSIGNED:
	case SIGV4_FAULT_HEADERS_UNSIGNED:
		say(ret, 403, S("AccessDenied"), S("There were headers present in the request which were not signed"));
		field(a, ret, "HeadersNotSigned", fault == SIGV4_FAULT_HOST_UNSIGNED ? S("host") : sig->detail);
		break;
	case SIGV4_FAULT_NO_CONTENT_HASH:
		say(ret, 400, S("InvalidRequest"), S("Missing required header for this request: x-amz-content-sha256"));
		break;
	case SIGV4_FAULT_BAD_CONTENT_HASH:
		say(ret, 400, S("InvalidArgument"),
		    S("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
		      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."));
		field(a, ret, "ArgumentName", S("x-amz-content-sha256"));
		field(a, ret, "ArgumentValue", sig->content_hash);
		break;
	case SIGV4_FAULT_EARLY:
		if (query) {
			say(ret, 403, S("AccessDenied"), S("Request is not yet valid"));
			break;
		}
		__attribute__((fallthrough));
	case SIGV4_FAULT_OLD:
		say(ret, 403, S("RequestTimeTooSkewed"),
		    S("The difference between the request time and the current time is too large."));
		field(a, ret, "RequestTime", sig->timestamp);
		field(a, ret, "ServerTime", time_format(a, now_ms - now_ms % 1000, TIME_ISO8601));
		field(a, ret, "MaxAllowedSkewMilliseconds", S("900000"));
		break;
	case SIGV4_FAULT_EXPIRED:
		say(ret, 403, S("AccessDenied"), S("Request has expired"));
		if (!sig->v2) /* which names a moment, not a length */
			field(a, ret, "X-Amz-Expires", arena_printf(a, "%lld", (long long)sig->expires_s));
		field(a, ret, "Expires", time_format(a, sig->time_ms + sig->expires_s * 1000, TIME_ISO8601));
		field(a, ret, "ServerTime", time_format(a, now_ms - now_ms % 1000, TIME_ISO8601));
		break;
	case SIGV4_FAULT_BODY_HASH:
		say(ret, 400, S("XAmzContentSHA256Mismatch"),
		    S("The provided 'x-amz-content-sha256' header does not match what was computed."));
		field(a, ret, "ClientComputedContentSHA256", sig->content_hash);
		field(a, ret, "S3ComputedContentSHA256", sig->body_hash);
		break;
	case SIGV4_FAULT_MISSING:
		say(ret, 403, S("AccessDenied"), S("Access Denied"));
		break;
	case SIGV4_FAULT_REGION:
		malformed(
		        a, sig,
		        arena_printf(a, "the region '%.*s' is wrong; expecting '%.*s'", STR_ARG(sig->region), STR_ARG(sig->detail)),
		        ret);
		field(a, ret, "Region", sig->detail);
		break;
	case SIGV4_FAULT_SERVICE:
		malformed(a, sig,
		          arena_printf(a, "incorrect service \"%.*s\". This endpoint belongs to \"s3\".", STR_ARG(sig->service)),
		          ret);
		break;
	case SIGV4_FAULT_KEY_UNKNOWN:
	case SIGV4_FAULT_KEY_INACTIVE:
		say(ret, 403, S("InvalidAccessKeyId"), S("The AWS Access Key Id you provided does not exist in our records."));
		field(a, ret, "AWSAccessKeyId", sig->access_key_id);
		break;
	case SIGV4_FAULT_TOKEN_BAD:
		say(ret, 400, S("InvalidToken"), S("The provided token is malformed or otherwise invalid."));
		field(a, ret, "Token-0", sig->token);
		break;
	case SIGV4_FAULT_TOKEN_EXPIRED:
		say(ret, 400, S("ExpiredToken"), S("The provided token has expired."));
		field(a, ret, "Token-0", sig->token);
		break;
	default:
		say(ret, 403, S("SignatureDoesNotMatch"),
		    S("The request signature we calculated does not match the signature you provided. Check your key and signing method."));
		field(a, ret, "AWSAccessKeyId", sig->access_key_id);
		field(a, ret, "StringToSign", sig->string_to_sign);
		field(a, ret, "SignatureProvided", sig->signature);
		field(a, ret, "StringToSignBytes", bytes_shown(a, sig->string_to_sign));
		if (str_set(sig->canonical_request)) {
			field(a, ret, "CanonicalRequest", sig->canonical_request);
			field(a, ret, "CanonicalRequestBytes", bytes_shown(a, sig->canonical_request));
		}
		break;
	}
}

void sigv4_fault_words(struct arena *a, enum sigv4_fault fault, const struct sigv4 *sig, enum protocol protocol, bool s3,
                       int64_t now_ms, struct sigv4_words *ret)
{
	*ret = (struct sigv4_words){0};
	if (s3)
		s3_words(a, fault, sig, now_ms, ret);
	else
		general_words(a, fault, sig, protocol, now_ms, ret);
}
