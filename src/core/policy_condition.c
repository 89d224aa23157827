/* Condition operators. A condition is one operator on one key with the values that the document gives; it holds when some value
 * compares (for negated operators: when none does). What an absent key means depends on the operator, see policy_condition_holds().
 */
#include "base/clock.h"
#include "core/policy_compiled.h"

#include <arpa/inet.h>

static const struct {
	const char *name;
	enum condition_test test;
	enum condition_order order;
	bool negated;
} operators[] = {
        {"StringEquals", TEST_STRING, ORDER_EQ, false},
        {"StringNotEquals", TEST_STRING, ORDER_EQ, true},
        {"StringEqualsIgnoreCase", TEST_STRING_FOLD, ORDER_EQ, false},
        {"StringNotEqualsIgnoreCase", TEST_STRING_FOLD, ORDER_EQ, true},
        {"StringLike", TEST_STRING_LIKE, ORDER_EQ, false},
        {"StringNotLike", TEST_STRING_LIKE, ORDER_EQ, true},
        {"NumericEquals", TEST_NUMERIC, ORDER_EQ, false},
        {"NumericNotEquals", TEST_NUMERIC, ORDER_EQ, true},
        {"NumericLessThan", TEST_NUMERIC, ORDER_LT, false},
        {"NumericLessThanEquals", TEST_NUMERIC, ORDER_LE, false},
        {"NumericGreaterThan", TEST_NUMERIC, ORDER_GT, false},
        {"NumericGreaterThanEquals", TEST_NUMERIC, ORDER_GE, false},
        {"DateEquals", TEST_DATE, ORDER_EQ, false},
        {"DateNotEquals", TEST_DATE, ORDER_EQ, true},
        {"DateLessThan", TEST_DATE, ORDER_LT, false},
        {"DateLessThanEquals", TEST_DATE, ORDER_LE, false},
        {"DateGreaterThan", TEST_DATE, ORDER_GT, false},
        {"DateGreaterThanEquals", TEST_DATE, ORDER_GE, false},
        {"Bool", TEST_BOOL, ORDER_EQ, false},
        {"BinaryEquals", TEST_BINARY, ORDER_EQ, false},
        {"IpAddress", TEST_IP, ORDER_EQ, false},
        {"NotIpAddress", TEST_IP, ORDER_EQ, true},
        {"ArnEquals", TEST_ARN, ORDER_EQ, false},
        {"ArnLike", TEST_ARN, ORDER_EQ, false},
        {"ArnNotEquals", TEST_ARN, ORDER_EQ, true},
        {"ArnNotLike", TEST_ARN, ORDER_EQ, true},
        {"Null", TEST_NULL, ORDER_EQ, false},
};

bool policy_condition_name(struct str name, struct policy_condition *ret)
{
	struct policy_condition c = {0};
	if (str_istarts(name, S("ForAllValues:"))) {
		c.set = SET_ALL;
		name = str_from_at(name, 13);
	} else if (str_istarts(name, S("ForAnyValue:"))) {
		c.set = SET_ANY;
		name = str_from_at(name, 12);
	}
	if (name.n > 8 && str_ieq(str_from_at(name, name.n - 8), S("IfExists"))) {
		c.if_exists = true;
		name = str_sub(name, 0, name.n - 8);
	}
	for (unsigned i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (!str_ieq(name, str_from(operators[i].name)))
			continue;
		/* Null asks for the key itself: neither "if it exists" nor sets make sense. */
		if (operators[i].test == TEST_NULL && (c.if_exists || c.set != SET_NONE))
			return false;
		c.test = operators[i].test;
		c.order = operators[i].order;
		c.negated = operators[i].negated;
		*ret = c;
		return true;
	}
	return false;
}

/* --- addresses: IPv4 as its mapped IPv6, so that one comparison serves both */

struct cidr {
	unsigned char bytes[16];
	unsigned bits;
	bool v4;
};

static bool cidr_parse(struct str s, struct cidr *ret)
{
	char text[64];
	struct str rest = s, address = str_cut(&rest, '/');
	if (address.n == 0 || address.n >= sizeof(text))
		return false;
	memcpy(text, address.p, address.n);
	text[address.n] = '\0';
	*ret = (struct cidr){0};
	struct in_addr v4;
	uint64_t bits;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		ret->v4 = true;
		ret->bytes[10] = ret->bytes[11] = 0xff;
		memcpy(ret->bytes + 12, &v4, 4);
	} else if (inet_pton(AF_INET6, text, ret->bytes) != 1) {
		return false;
	}
	unsigned most = ret->v4 ? 32 : 128;
	bits = most;
	if (str_set(rest) && (!str_to_u64(rest, &bits) || bits > most))
		return false;
	ret->bits = (unsigned)bits + (ret->v4 ? 96 : 0);
	return true;
}

bool policy_ip_valid(struct str text)
{
	struct cidr c;
	return cidr_parse(text, &c);
}

static bool ip_within(struct str range, struct str address)
{
	struct cidr r, a;
	if (!cidr_parse(range, &r) || !cidr_parse(address, &a))
		return false;
	if (a.bits < r.bits)
		return false;
	unsigned whole = r.bits / 8, left = r.bits % 8;
	if (memcmp(r.bytes, a.bytes, whole) != 0)
		return false;
	return left == 0 || ((r.bytes[whole] ^ a.bytes[whole]) >> (8 - left)) == 0;
}

/* --- one value of the request against one of the document */

static bool ordered(enum condition_order order, double have, double want)
{
	switch (order) {
	case ORDER_EQ:
		return have == want;
	case ORDER_LT:
		return have < want;
	case ORDER_LE:
		return have <= want;
	case ORDER_GT:
		return have > want;
	case ORDER_GE:
		return have >= want;
	}
	return false;
}

/* Base64 ends with padding or not. */
static struct str unpadded(struct str s)
{
	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	return s;
}

static bool compare(const struct policy_condition *c, const struct policy_pattern *want, const struct policy_request *q,
                    struct str have)
{
	double x, y;
	int64_t t, u;
	switch (c->test) {
	case TEST_STRING:
		return policy_pattern_equal(want, q, have, false);
	case TEST_STRING_FOLD:
		return policy_pattern_equal(want, q, have, true);
	case TEST_STRING_LIKE:
		return policy_pattern_match(want, q, have);
	case TEST_NUMERIC:
		return str_to_double(have, &x) && str_to_double(want->text, &y) && ordered(c->order, x, y);
	case TEST_DATE:
		return time_parse(have, &t) && time_parse(want->text, &u) && ordered(c->order, (double)t, (double)u);
	case TEST_BOOL:
		return str_ieq(have, want->text);
	case TEST_BINARY:
		return str_eq(unpadded(have), unpadded(want->text));
	case TEST_IP:
		return ip_within(want->text, have);
	case TEST_ARN:
		return policy_pattern_arn(want, q, have);
	case TEST_NULL:
		break;
	}
	return false;
}

static bool value_holds(const struct policy_condition *c, const struct policy_request *q, struct str have)
{
	for (unsigned i = 0; i < c->count; i++)
		if (compare(c, &c->values[i], q, have))
			return !c->negated;
	return c->negated;
}

bool policy_condition_holds(const struct policy_condition *c, const struct policy_request *q)
{
	struct str_list have = {0};
	bool there = q->key(q->ctx, c->key, &have);
	if (c->test == TEST_NULL) {
		for (unsigned i = 0; i < c->count; i++)
			if (str_ieq(c->values[i].text, there ? S("false") : S("true")))
				return true;
		return false;
	}
	if (!there || have.n == 0) {
		/* "All of none" is true, "any of none" is not; else an absent key fails a positive test and passes a negated one.
		 */
		if (c->if_exists || c->set == SET_ALL)
			return true;
		return c->set != SET_ANY && c->negated;
	}
	/* Without a set operator several values count as: one is enough; for negated operators each has to pass. */
	bool all = c->set == SET_ALL || (c->set == SET_NONE && c->negated);
	for (uint32_t i = 0; i < have.n; i++)
		if (value_holds(c, q, have.v[i]) != all)
			return !all;
	return all;
}
