/* The protocol comes from the request's own marks, never from the service alone: one API may be spoken to in several. */
#include "wire/codec.h"

#include "base/uri.h"

static bool speaks(const struct api *api, enum protocol p)
{
	return api->protocols >> p & 1;
}

static bool type_is(struct str content_type, struct str want)
{
	return str_istarts(content_type, want) &&
	       (content_type.n == want.n || content_type.p[want.n] == ';' || content_type.p[want.n] == ' ');
}

static bool is_form(const struct wire_request *r)
{
	return type_is(r->content_type, S("application/x-www-form-urlencoded"));
}

/* /service/<name>/operation/<op>: both parts, or false. */
static bool rpc_path(struct str path, struct str *ret_service, struct str *ret_op)
{
	if (!str_starts(path, S("/service/")))
		return false;
	struct str rest = str_from_at(path, 9), service = str_cut(&rest, '/');
	if (!str_set(rest) || !str_starts(rest, S("operation/")))
		return false;
	*ret_service = service;
	*ret_op = str_from_at(rest, 10);
	return true;
}

static enum protocol protocol_of(const struct api *api, const struct wire_request *r)
{
	if (str_is(r->smithy_protocol, "rpc-v2-cbor") && speaks(api, PROTOCOL_CBOR))
		return PROTOCOL_CBOR;
	bool json10 = type_is(r->content_type, S("application/x-amz-json-1.0")),
	     json11 = type_is(r->content_type, S("application/x-amz-json-1.1"));
	if ((str_set(r->target) || json10 || json11) && (speaks(api, PROTOCOL_JSON10) || speaks(api, PROTOCOL_JSON11)))
		return json10                         ? PROTOCOL_JSON10
		       : json11                       ? PROTOCOL_JSON11
		       : speaks(api, PROTOCOL_JSON10) ? PROTOCOL_JSON10
		                                      : PROTOCOL_JSON11;
	if (speaks(api, PROTOCOL_EC2))
		return PROTOCOL_EC2;
	if (speaks(api, PROTOCOL_QUERY) && (is_form(r) || api->protocol == PROTOCOL_QUERY || str_find(r->query, S("Action=")) >= 0))
		return PROTOCOL_QUERY;
	return api->protocol;
}

static bool fault(struct wire_fault *ret, uint16_t status, struct str code, struct str message)
{
	*ret = (struct wire_fault){.code = code, .message = message, .status = status};
	return false;
}

/* The parameters of a query request: its form body, and the query string. */
static bool read_form(struct arena *a, const struct wire_request *r, struct form *ret)
{
	struct str text = is_form(r) || str_is(r->method, "POST") ? r->body : STR_NONE;
	if (text.n && r->query.n)
		text = ARENA_CAT(a, text, S("&"), r->query);
	else if (!text.n)
		text = r->query;
	return form_parse(a, text, ret);
}

static bool identify_query(struct arena *a, const struct wire_request *r, struct wire_target *t, struct wire_fault *ret_fault)
{
	bool ec2 = t->protocol == PROTOCOL_EC2;
	if (!read_form(a, r, &t->form))
		return fault(ret_fault, 400, S("MalformedQueryString"), S("The query string contains a syntax error"));
	struct str action = form_get(&t->form, S("Action")), version = form_get(&t->form, S("Version"));
	if (!action.n && ec2)
		return fault(ret_fault, 400, S("MissingParameter"), S("The request must contain the parameter Action"));
	if (!action.n)
		return fault(ret_fault, 400, S("MissingAction"), S("Missing Action"));
	t->op = api_operation(t->api, action);
	/* EC2 goes on answering to its older versions. */
	bool versionless = !version.n && quirk_needs_no_version(t->api);
	if (t->op && (ec2 || versionless || str_is(version, t->api->api_version)))
		return true;
	if (ec2)
		return fault(ret_fault, 400, S("InvalidAction"),
		             arena_printf(a, "The action %.*s is not valid for this web service.", STR_ARG(action)));
	return fault(ret_fault, 400, S("InvalidAction"),
	             arena_printf(a, "Could not find operation %.*s for version %.*s", STR_ARG(action),
	                          STR_ARG(version.n ? version : S("NO_VERSION_SPECIFIED"))));
}

static bool identify_rest(struct arena *a, const struct wire_request *r, struct wire_target *t, struct wire_fault *ret_fault)
{
	t->op = wire_route(a, t->api, r, t);
	if (t->op)
		return true;
	if (quirk_is_s3(t->api) && !str_set(uri_decode(a, r->path)))
		return fault(ret_fault, 400, S("InvalidURI"), S("Couldn't parse the specified URI."));
	if (quirk_is_s3(t->api))
		return fault(ret_fault, 405, S("MethodNotAllowed"),
		             S("The specified method is not allowed against this resource."));
	if (t->protocol == PROTOCOL_REST_XML)
		return fault(ret_fault, 404, S("UnknownOperationException"), STR_NONE);
	return fault(ret_fault, 403, S("MissingAuthenticationTokenException"), S("Missing Authentication Token"));
}

bool wire_identify(struct arena *a, const struct api *api, const struct wire_request *r, struct wire_target *ret,
                   struct wire_fault *ret_fault)
{
	*ret = (struct wire_target){.api = api, .protocol = protocol_of(api, r)};
	struct str service, name;
	switch (ret->protocol) {
	case PROTOCOL_QUERY:
	case PROTOCOL_EC2:
		return identify_query(a, r, ret, ret_fault);
	case PROTOCOL_REST_JSON:
	case PROTOCOL_REST_XML:
		return identify_rest(a, r, ret, ret_fault);
	case PROTOCOL_CBOR:
		if (!rpc_path(r->path, &service, &name))
			name = STR_NONE;
		break;
	default: {
		struct str prefix = str_from(api->target_prefix);
		bool mine = str_starts(r->target, prefix) && r->target.n > prefix.n && r->target.p[prefix.n] == '.';
		name = mine ? str_from_at(r->target, prefix.n + 1) : STR_NONE;
		break;
	}
	}
	ret->op = name.n ? api_operation(api, name) : NULL;
	return ret->op || fault(ret_fault, 400, S("UnknownOperationException"), STR_NONE);
}

static const struct api *guess_by_target(struct str target)
{
	ptrdiff_t dot = str_rfind_char(target, '.');
	struct str prefix = str_sub(target, 0, dot < 0 ? 0 : (size_t)dot);
	for (const struct api *const *api = model_apis; *api; api++)
		if (prefix.n && str_is(prefix, (*api)->target_prefix))
			return *api;
	return NULL;
}

static const struct api *guess_by_action(struct str action, struct str version)
{
	const struct api *found = NULL;
	for (const struct api *const *api = model_apis; *api; api++) {
		if (!(speaks(*api, PROTOCOL_QUERY) || speaks(*api, PROTOCOL_EC2)) || !api_operation(*api, action))
			continue;
		if (str_is(version, (*api)->api_version))
			return *api;
		if (!version.n && !found)
			found = *api;
	}
	return found;
}

const struct api *wire_guess_api(struct arena *a, const struct wire_request *r)
{
	struct str service, name;
	if (str_set(r->target))
		return guess_by_target(r->target);
	if (str_set(r->smithy_protocol) && rpc_path(r->path, &service, &name)) {
		for (const struct api *const *api = model_apis; *api; api++)
			if (str_is(service, (*api)->target_prefix) || str_is(service, (*api)->service_id))
				return *api;
		return NULL;
	}
	struct form form;
	if ((is_form(r) || str_find(r->query, S("Action=")) >= 0) && read_form(a, r, &form) && form_get(&form, S("Action")).n)
		return guess_by_action(form_get(&form, S("Action")), form_get(&form, S("Version")));
	for (const struct api *const *api = model_apis; *api; api++)
		if (!quirk_is_s3(*api) && (speaks(*api, PROTOCOL_REST_JSON) || speaks(*api, PROTOCOL_REST_XML)) &&
		    wire_route_claims(*api, r))
			return *api;
	return model_api(S("s3"));
}
