/* Which operation of a REST API a method and path mean.
 *
 * Templates are compiled at first use into routes that stay for the life of the process. A route fits when its segments and the
 * constants of its query (?acl, ?list-type=2) do. Of several that fit, the one with more fixed segments wins, then the one with
 * more constants; what remains are operations that only their required headers and parameters tell apart (UploadPartCopy,
 * UploadPart, CopyObject and PutObject share one template): the one with the most of these wins, if all of them are there. Where
 * some are missing from every one of them, S3 knows no operation; others are told what is missing. */
#include "wire/codec.h"

#include "base/log.h"
#include "base/uri.h"

#include <stdlib.h>

enum { SEGMENTS_MAX = 12, CONSTANTS_MAX = 4, REQUIRED_MAX = 4 };

struct segment {
	struct str text; /* literal, or the label's name */
	bool label;
};
struct route {
	const struct operation *op;
	struct str method;
	struct segment segments[SEGMENTS_MAX];
	struct uri_part constants[CONSTANTS_MAX];
	struct {
		struct str name;
		bool header; /* else a parameter */
	} required[REQUIRED_MAX];
	uint8_t segment_count, constant_count, literals, required_count;
	bool greedy; /* the last label takes the rest of the path */
};
enum { METHODS_MAX = 8 };
struct router {
	const struct api *api;
	struct router *next;
	struct {
		struct str name;
		uint32_t first, count; /* of routes */
	} methods[METHODS_MAX];
	uint32_t count;
	struct route routes[];
};

static void route_compile(struct route *r, const struct api *api, const struct operation *op)
{
	struct str path = api_text(api, op->uri), query = STR_NONE;
	*r = (struct route){.op = op, .method = api_text(api, op->method)};
	query = path;
	path = str_cut(&query, '?');
	while (str_set(path)) {
		struct str text = str_cut(&path, '/');
		if (str_empty(text))
			continue;
		if (r->segment_count == SEGMENTS_MAX)
			die("%s: template with too many segments", api->text + op->name);
		struct segment *s = &r->segments[r->segment_count++];
		s->label = text.p[0] == '{' && text.p[text.n - 1] == '}';
		s->text = s->label ? str_sub(text, 1, text.n - 2) : text;
		r->literals += !s->label;
		if (s->label && s->text.n && s->text.p[s->text.n - 1] == '+') {
			r->greedy = true;
			s->text.n--;
		}
	}
	struct uri_part part;
	while (uri_next_part(&query, &part)) {
		if (r->constant_count == CONSTANTS_MAX)
			die("%s: template with too many constants", api->text + op->name);
		r->constants[r->constant_count++] = part;
	}
	const struct shape *input = operation_input(api, op);
	for (uint32_t i = 0; input && i < input->members; i++) {
		const struct member *m = shape_member(api, input, i);
		if (!(m->flags & MEMBER_REQUIRED) || (m->location != IN_HEADER && m->location != IN_QUERY))
			continue;
		if (r->required_count == REQUIRED_MAX)
			die("%s: too many required headers and parameters", api->text + op->name);
		r->required[r->required_count].name = api_text(api, m->wire_name);
		r->required[r->required_count++].header = m->location == IN_HEADER;
	}
}

/* By method, and within one as the operations come. */
static int route_order(const void *a, const void *b)
{
	const struct route *x = a, *y = b;
	int order = str_cmp(x->method, y->method);
	return order ? order : (x->op > y->op) - (x->op < y->op);
}

static const struct router *router_of(const struct api *api)
{
	static struct router *routers;
	for (const struct router *r = routers; r; r = r->next)
		if (r->api == api)
			return r;
	struct router *r = calloc(1, sizeof(*r) + api->operation_count * sizeof(struct route));
	if (!r)
		die("out of memory");
	r->api = api;
	for (uint32_t i = 0; i < api->operation_count; i++)
		if (!quirk_never_routed(api, api_text(api, api->operations[i].name)))
			route_compile(&r->routes[r->count++], api, &api->operations[i]);
	qsort(r->routes, r->count, sizeof(r->routes[0]), route_order);
	for (uint32_t i = 0, m = 0; i < r->count; i++) {
		if (i && !str_eq(r->routes[i].method, r->methods[m].name))
			m++;
		if (m == METHODS_MAX)
			die("%s: too many methods", api->id);
		if (!r->methods[m].count++) {
			r->methods[m].name = r->routes[i].method;
			r->methods[m].first = i;
		}
	}
	r->next = routers;
	routers = r;
	return r;
}

enum { PATH_PARTS_MAX = SEGMENTS_MAX + 1 };
struct path {
	struct str parts[PATH_PARTS_MAX], rests[PATH_PARTS_MAX]; /* rests: from a segment to the end of the path */
	size_t n;
	bool more; /* than PATH_PARTS_MAX */
};

static void path_split(struct str raw, struct path *ret)
{
	*ret = (struct path){0};
	struct str rest = raw.n && raw.p[0] == '/' ? str_from_at(raw, 1) : raw;
	while (str_set(rest)) {
		if (ret->n == PATH_PARTS_MAX) {
			ret->more = true;
			return;
		}
		ret->rests[ret->n] = rest;
		ret->parts[ret->n++] = str_cut(&rest, '/');
	}
}

static bool segments_fit(const struct route *r, const struct path *path)
{
	size_t n = path->n;
	if (!r->greedy) {
		if (n && str_empty(path->parts[n - 1]))
			n--; /* a trailing slash */
		if (path->more || n != r->segment_count)
			return false;
	} else if (n < r->segment_count || str_empty(path->rests[r->segment_count - 1])) {
		return false;
	}
	for (size_t i = 0; i < r->segment_count; i++)
		if (r->segments[i].label ? str_empty(path->parts[i]) && !(r->greedy && i + 1 == r->segment_count)
		                         : !str_eq(r->segments[i].text, path->parts[i]))
			return false;
	return true;
}

static bool constants_fit(const struct route *r, struct str query)
{
	for (size_t i = 0; i < r->constant_count; i++) {
		struct str rest = query;
		struct uri_part part;
		bool found = false;
		while (!found && uri_next_part(&rest, &part))
			found = str_eq(part.name, r->constants[i].name) &&
			        (!r->constants[i].has_value || str_eq(part.value, r->constants[i].value));
		if (!found)
			return false;
	}
	return true;
}

static struct str query_value(struct str query, struct str name)
{
	struct uri_part part;
	while (uri_next_part(&query, &part))
		if (str_eq(part.name, name))
			return part.value;
	return STR_NONE;
}

/* How many members that must come as headers or parameters there are; -1 when one of them is not there. */
static int required_there(const struct route *r, const struct wire_request *request)
{
	for (size_t i = 0; i < r->required_count; i++) {
		struct str name = r->required[i].name;
		struct str value = r->required[i].header ? request->headers.get(request->headers.ctx, name)
		                                         : query_value(request->query, name);
		if (!str_set(value))
			return -1;
	}
	return r->required_count;
}

/* there, than_there: what required_there() says of each. */
static bool route_better(const struct api *api, const struct route *r, int there, const struct route *than, int than_there,
                         const struct wire_request *request)
{
	if (!than)
		return true;
	if (r->literals != than->literals)
		return r->literals > than->literals;
	if (r->greedy != than->greedy)
		return !r->greedy;
	if (r->constant_count != than->constant_count)
		return r->constant_count > than->constant_count;
	if (there != than_there)
		return there > than_there;
	return str_eq(query_value(request->query, S("x-id")), api_text(api, r->op->name));
}

static const struct route *find(struct arena *a, const struct api *api, const struct wire_request *request, struct path *path)
{
	(void)a;
	const struct router *router = router_of(api);
	const struct route *best = NULL;
	int best_there = 0;
	uint32_t m = 0;
	while (m < METHODS_MAX && !str_eq(router->methods[m].name, request->method))
		m++;
	if (m == METHODS_MAX)
		return NULL;
	path_split(request->path, path);
	for (uint32_t i = 0; i < router->methods[m].count; i++) {
		const struct route *r = &router->routes[router->methods[m].first + i];
		if (!segments_fit(r, path) || !constants_fit(r, request->query))
			continue;
		int there = required_there(r, request);
		if (there < 0 && !r->constant_count && quirk_needs_required(api))
			continue;
		if (!route_better(api, r, there, best, best_there, request))
			continue;
		best = r;
		best_there = there;
	}
	return best;
}

const struct operation *wire_route(struct arena *a, const struct api *api, const struct wire_request *request,
                                   struct wire_target *target)
{
	struct path path;
	const struct route *r = find(a, api, request, &path);
	if (!r)
		return NULL;
	target->label_count = 0;
	for (size_t i = 0; i < r->segment_count; i++) {
		if (!r->segments[i].label || target->label_count == WIRE_LABELS_MAX)
			continue;
		struct str raw = r->greedy && i + 1 == r->segment_count ? path.rests[i] : path.parts[i], value = uri_decode(a, raw);
		if (!str_set(value))
			return NULL;
		target->labels[target->label_count++] = (struct wire_pair){r->segments[i].text, value};
	}
	return r->op;
}

bool wire_route_claims(const struct api *api, const struct wire_request *request)
{
	struct path path;
	const struct route *r = find(NULL, api, request, &path);
	return r && r->segment_count && !r->segments[0].label;
}
