/* Domain validation. A name's record is the same for all certificates of an account, as on AWS, so that it is put into a zone once:
 * it follows from account and name. A wildcard's is that of the name it stands below. */
#include "rows.h"

#include "aws/route53/route53.h"
#include "base/hash.h"

static struct str base_of(struct str domain)
{
	return str_starts(domain, S("*.")) ? str_from_at(domain, 2) : domain;
}

void acm_option_make(struct arena *a, struct str account, struct str domain, struct str validation_domain, struct str method,
                     struct acm_domain_validation *ret)
{
	static const char *const boxes[] = {"admin", "administrator", "hostmaster", "postmaster", "webmaster"};
	struct str base = base_of(domain);
	*ret = (struct acm_domain_validation){.domain_name = domain,
	                                      .validation_domain = str_set(validation_domain) ? validation_domain : base,
	                                      .validation_status = S("PENDING_VALIDATION"),
	                                      .validation_method = method};
	if (!str_is(method, "DNS")) {
		for (size_t i = 0; i < sizeof(boxes) / sizeof(boxes[0]); i++)
			*LIST_ADD(a, &ret->validation_emails) =
			        arena_printf(a, "%s@%.*s", boxes[i], STR_ARG(ret->validation_domain));
		return;
	}
	ret->validation_domain = domain;
	struct str token = hash_hex(a, HASH_SHA256, ARENA_CAT(a, S("acm "), account, S(" "), base));
	char zone[11] = {0};
	for (size_t i = 0; i < sizeof(zone) - 1; i++)
		zone[i] = (char)('a' + token.p[i] % 26);
	ret->resource_record = arena_new(a, struct acm_resource_record);
	*ret->resource_record = (struct acm_resource_record){
	        .name = arena_printf(a, "_%.32s.%.*s.", token.p, STR_ARG(base)),
	        .type = S("CNAME"),
	        .value = arena_printf(a, "_%.32s.%s.acm-validations.aws.", token.p + 32, zone),
	};
}

static bool is_at_once(const struct cloud *cloud, struct str domain)
{
	struct str words = str_from(cloud->issue_at_once ? cloud->issue_at_once : ACM_AT_ONCE);
	while (str_set(words)) {
		struct str word = str_cut(&words, ' ');
		if (!word.n)
			continue;
		if (str_is(word, "*") || str_ieq(domain, word))
			return true;
		if (domain.n > word.n && domain.p[domain.n - word.n - 1] == '.' &&
		    str_ieq(str_from_at(domain, domain.n - word.n), word))
			return true;
	}
	return false;
}

static struct str without_dot(struct str name)
{
	return name.n && name.p[name.n - 1] == '.' ? str_sub(name, 0, name.n - 1) : name;
}

bool acm_option_holds(const struct cloud *cloud, struct arena *a, const struct acm_domain_validation *o)
{
	struct str found;
	if (is_at_once(cloud, o->domain_name))
		return true;
	return o->resource_record && route53_public_cname(cloud, a, o->resource_record->name, &found) &&
	       str_ieq(without_dot(found), without_dot(o->resource_record->value));
}
