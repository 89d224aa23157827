/* The bill's golden set: what was metered, and what that costs, worked out by hand (tests/golden/bill.json has the arithmetic). */
#include "unit.h"

#include "aws/ce/cost.h"
#include "aws/savingsplans/savingsplans.h"
#include "base/json.h"

#include <stdio.h>

static struct str read_file(struct arena *a, const char *path)
{
	enum { MAX = 1 << 20 };
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	char *p = arena_alloc(a, MAX);
	size_t n = fread(p, 1, MAX, f);
	fclose(f);
	return str_of(p, n);
}

static int64_t number(const struct json_value *v, const char *key)
{
	int64_t n = 0;
	const struct json_value *member = json_get(v, str_from(key));
	assert_true(json_is(member, JSON_NUMBER) && json_to_int(member->text, &n));
	return n;
}

static struct meter_lines used_of(struct arena *a, const struct json_value *one)
{
	struct meter_lines used = {0};
	int64_t first;
	assert_true(cost_day_parse(ARENA_CAT(a, json_get_str(one, S("month")), S("-01")), &first));
	json_each(json_get(one, S("used")), u)
	{
		*LIST_ADD(a, &used) = (struct meter_line){.day = first + number(u, "day") - 1,
		                                          .region = S("us-east-1"),
		                                          .usage = json_get_str(u, S("usage")),
		                                          .amount = number(u, "amount")};
	}
	return used;
}

/* The lines of a type: the next one, or all of them where the case wants one. */
static unsigned take(struct cost_lines *lines, struct str usage, bool all, __int128 *ret_quantity, __int128 *ret_usd)
{
	unsigned n = 0;
	*ret_quantity = *ret_usd = 0;
	for (uint32_t i = 0; i < lines->n && (all || !n); i++) {
		struct cost_line *line = &lines->v[i];
		if (!line->price || !str_eq(line->usage_type, usage))
			continue;
		*ret_quantity += line->quantity_e10;
		*ret_usd += line->usd_e10;
		line->price = NULL;
		n++;
	}
	return n;
}

static void check(struct arena *a, const struct json_value *one)
{
	struct meter_lines used = used_of(a, one);
	struct cost_lines lines = cost_fold(a, NULL, S("000000000000"), &used, 0, NULL);
	uint32_t taken = 0;
	const struct json_value *wanted = json_get(one, S("want"));
	json_each(wanted, want)
	{
		__int128 quantity_e10, usd_e10;
		struct str usage = json_get_str(want, S("usage"));
		taken += take(&lines, usage, wanted->count == 1, &quantity_e10, &usd_e10);
		struct str quantity = price_text_e10(a, quantity_e10), usd = price_text_e10(a, usd_e10);
		if (!str_eq(quantity, json_get_str(want, S("quantity"))) || !str_eq(usd, json_get_str(want, S("usd"))))
			fail_msg("%.*s, %.*s: %.*s costs %.*s", STR_ARG(json_get_str(one, S("name"))), STR_ARG(usage),
			         STR_ARG(quantity), STR_ARG(usd));
	}
	assert_int_equal(taken, lines.n);
}

static void golden(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str why = STR_NONE;
	const struct json_value *all = json_parse(&a, read_file(&a, TEST_DATA "/golden/bill.json"), &why);
	unsigned n = 0;
	assert_non_null(all);
	json_each(json_get(all, S("cases")), one)
	{
		check(&a, one);
		n++;
	}
	assert_true(n > 50);
}

/* --- reservations */

static struct meter_commitments bought_of(struct arena *a, const struct json_value *one, int64_t start)
{
	struct meter_commitments all = {0};
	json_each(json_get(one, S("bought")), b)
	{
		struct str type = json_get_str(b, S("type"));
		const struct price *p = price_find(ARENA_CAT(a, S("HeavyUsage:"), type));
		assert_non_null(p);
		*LIST_ADD(a, &all) = (struct meter_commitment){.id = S("r"),
		                                               .region = S("us-east-1"),
		                                               .instance_type = type,
		                                               .count = number(b, "count"),
		                                               .price_e12 = p->tiers[0].usd_e12,
		                                               .from_ms = (start + number(b, "from")) * METER_HOUR_MS,
		                                               .to_ms = (start + number(b, "to")) * METER_HOUR_MS};
	}
	return all;
}

/* By the hour, and the same by day. */
static void ran_of(struct arena *a, const struct json_value *one, int64_t start, int64_t hours, struct meter_lines *ret_hours,
                   struct meter_lines *ret_days)
{
	const struct json_value *ran = json_get(one, S("ran"));
	for (int64_t hour = 0; hour < hours; hour++)
		json_each(ran, r)
		{
			if (hour >= number(r, "from") && hour < number(r, "to"))
				*LIST_ADD(a, ret_hours) = (struct meter_line){.day = (start + hour) / 24,
				                                              .hour = (start + hour) % 24,
				                                              .region = S("us-east-1"),
				                                              .usage = json_get_str(r, S("usage")),
				                                              .amount = number(r, "amount")};
		}
	json_each(ran, r) * LIST_ADD(a, ret_days) =
	        (struct meter_line){.day = start / 24,
	                            .region = S("us-east-1"),
	                            .usage = json_get_str(r, S("usage")),
	                            .amount = number(r, "amount") * (number(r, "to") - number(r, "from"))};
}

static struct savings_plans plans_of(struct arena *a, const struct json_value *one, const struct price_book *book, int64_t start)
{
	struct savings_plans all = {0};
	struct price_offers offers = price_book_offers(book);
	json_each(json_get(one, S("plans")), b)
	{
		const struct price_offer *o = &offers.v[number(b, "offer")];
		assert_true(number(b, "offer") < offers.n);
		struct savings_plan *p = LIST_ADD(a, &all);
		*p = (struct savings_plan){.id = arena_printf(a, "%u", all.n),
		                           .arn = arena_printf(a, "arn:%u", all.n),
		                           .type = o->type,
		                           .payment = o->payment,
		                           .region = o->region,
		                           .family = o->family,
		                           .years = o->years,
		                           .commitment_e5 = number(b, "commitment_e5"),
		                           .upfront_e5 = number(b, "upfront_e5"),
		                           .from_ms = (start + number(b, "from")) * METER_HOUR_MS,
		                           .rates = o->rates};
		p->to_ms = p->from_ms + p->years * SAVINGS_YEAR_H * METER_HOUR_MS;
	}
	return all;
}

static void sum_lines(const struct cost_lines lines[2], struct str record, struct str usage, __int128 ret[4])
{
	ret[0] = ret[1] = ret[2] = ret[3] = 0;
	for (int k = 0; k < 2; k++)
		for (uint32_t i = 0; i < lines[k].n; i++) {
			const struct cost_line *l = &lines[k].v[i];
			if (!str_is(record, l->record) || !str_eq(usage, l->usage_type))
				continue;
			ret[0] += l->quantity_e10;
			ret[1] += l->usd_e10;
			ret[2] += l->amortized_e10;
			ret[3]++;
		}
}

/* By day, as it is wanted; and by the hour, whose costs have to add up to the same. */
static void check_covered(struct arena *a, const struct json_value *one)
{
	const int64_t start = 20454 * 24; /* 2026-01-01 */
	struct str why = STR_NONE;
	const struct json_value *own = json_get(one, S("prices"));
	struct buf CLEAN_BUF text;
	buf_init(&text, 1 << 20);
	if (own)
		json_put_value(&text, own);
	struct price_book *book = own ? price_book_read(a, buf_str(&text), &why) : NULL;
	if (own && !book)
		fail_msg("%.*s", STR_ARG(why));
	struct meter_commitments bought = bought_of(a, one, start);
	struct savings_plans plans = plans_of(a, one, book, start);
	struct meter_lines hours = {0}, days = {0};
	struct cost_lines lines[2] = {{0}}, hourly[2] = {{0}};
	ran_of(a, one, start, 24, &hours, &days);
	struct cost_cover_question q = {.commitments = &bought,
	                                .plans = &plans,
	                                .book = book,
	                                .hours = &hours,
	                                .from_day = start / 24,
	                                .to_day = start / 24 + 1,
	                                .now_ms = (start + number(one, "until")) * METER_HOUR_MS};
	struct cost_covers covers = cost_cover(a, S("000000000000"), &q, &lines[1]);
	lines[0] = cost_fold(a, book, S("000000000000"), &days, 0, &covers);
	q.hourly = true;
	covers = cost_cover(a, S("000000000000"), &q, &hourly[1]);
	hourly[0] = cost_fold(a, book, S("000000000000"), &hours, 0, &covers);
	__int128 taken = 0, n[4], of_hours[4];
	json_each(json_get(one, S("want")), want)
	{
		struct str record = json_get_str(want, S("record")), usage = json_get_str(want, S("usage"));
		sum_lines(lines, record, usage, n);
		sum_lines(hourly, record, usage, of_hours);
		taken += n[3];
		if (!str_eq(price_text_e10(a, n[0]), json_get_str(want, S("quantity"))) ||
		    !str_eq(price_text_e10(a, n[1]), json_get_str(want, S("usd"))) ||
		    !str_eq(price_text_e10(a, n[2]), json_get_str(want, S("amortized"))))
			fail_msg("%.*s, %.*s %.*s: %.*s costs %.*s, amortized %.*s", STR_ARG(json_get_str(one, S("name"))),
			         STR_ARG(record), STR_ARG(usage), STR_ARG(price_text_e10(a, n[0])),
			         STR_ARG(price_text_e10(a, n[1])), STR_ARG(price_text_e10(a, n[2])));
		if (n[1] != of_hours[1] || n[2] != of_hours[2])
			fail_msg("%.*s, %.*s %.*s: by the hour it costs %.*s, amortized %.*s",
			         STR_ARG(json_get_str(one, S("name"))), STR_ARG(record), STR_ARG(usage),
			         STR_ARG(price_text_e10(a, of_hours[1])), STR_ARG(price_text_e10(a, of_hours[2])));
	}
	assert_true(taken == lines[0].n + lines[1].n);
	price_book_done(book);
}

static void reserved(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str why = STR_NONE;
	const struct json_value *all = json_parse(&a, read_file(&a, TEST_DATA "/golden/bill.json"), &why);
	unsigned n = 0;
	assert_non_null(all);
	json_each(json_get(all, S("reserved")), one)
	{
		check_covered(&a, one);
		n++;
	}
	assert_true(n >= 7);
}

static void planned(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str why = STR_NONE;
	const struct json_value *all = json_parse(&a, read_file(&a, TEST_DATA "/golden/bill.json"), &why);
	unsigned n = 0;
	assert_non_null(all);
	json_each(json_get(all, S("plans")), one)
	{
		check_covered(&a, one);
		n++;
	}
	assert_true(n >= 12);
}

/* What is wrong in a price file's plans is said. */
static void offers(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str why = STR_NONE;
	static const char *const bad[] = {
	        "{\"savings_plans\": {}}",
	        "{\"savings_plans\": [{\"type\": \"SageMaker\", \"years\": 1, \"payment\": \"No Upfront\", \"rates\": {}}]}",
	        "{\"savings_plans\": [{\"type\": \"Compute\", \"years\": 2, \"payment\": \"No Upfront\", \"rates\": {}}]}",
	        "{\"savings_plans\": [{\"type\": \"Compute\", \"years\": 1, \"payment\": \"No Upfront\", \"rates\": {\"us-east-1\": {\"BoxUsage:m5.large\": 0.1}}}]}",
	        "{\"savings_plans\": [{\"type\": \"Compute\", \"years\": 1, \"payment\": \"No Upfront\", \"rates\": {\"eu-west-1\": {\"BoxUsage:m5.large\": 0.01}}}]}",
	        "{\"savings_plans\": [{\"type\": \"EC2Instance\", \"years\": 1, \"payment\": \"No Upfront\", \"rates\": {\"us-east-1\": {\"Lambda-GB-Second\": 0.00001}}}]}",
	        "{\"savings_plans\": [{\"type\": \"Compute\", \"years\": 1, \"payment\": \"No Upfront\", \"rates\": {\"us-east-1\": {\"Request\": 0.0000001}}}]}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		why = STR_NONE;
		assert_null(price_book_read(&a, str_from(bad[i]), &why));
		assert_true(str_starts(why, S("savings_plans")));
	}
	assert_int_equal(price_book_offers(NULL).n, 0);
}

/* Every usage type with a known price has a case, but for instances, of which there are a thousand. */
static void complete(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	struct str text = read_file(&a, TEST_DATA "/golden/bill.json");
	static const char *const same[] = {"CPUCredits:t2",
	                                   "CPUCredits:t3a",
	                                   "EBS:VolumeUsage",
	                                   "EBS:VolumeUsage.io2",
	                                   "EBS:VolumeUsage.sc1",
	                                   "EBS:VolumeUsage.st1",
	                                   "Lambda-Provisioned-Concurrency-ARM",
	                                   "Lambda-Provisioned-GB-Second-ARM",
	                                   "Lambda-Storage-GB-Second-ARM",
	                                   "SpotUsage-Fargate-GB-Hours"};
	for (unsigned i = 0; i < price_count; i++) {
		struct str usage = str_from(prices[i].usage);
		bool skip = !prices[i].tier_count || str_starts(usage, S("BoxUsage:")) || str_starts(usage, S("SpotUsage:")) ||
		            str_starts(usage, S("UnusedBox:")) || str_starts(usage, S("HeavyUsage:"));
		for (size_t k = 0; k < sizeof(same) / sizeof(*same); k++)
			skip |= str_is(usage, same[k]);
		if (!skip && str_find(text, ARENA_CAT(&a, S("\"usage\": \""), usage, S("\""))) < 0)
			fail_msg("no case of %s", prices[i].usage);
	}
}

static void months(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	/* What is free is free again in the next month; the days of a month add up to it. */
	struct meter_lines used = {0};
	int64_t day0 = 20454; /* 2026-01-01 */
	__int128 first = 0, second = 0;
	for (int64_t i = 0; i < 59; i++)
		*LIST_ADD(&a, &used) = (struct meter_line){
		        .day = day0 + i, .region = S("us-east-1"), .usage = S("Request"), .amount = INT64_C(1000003)};
	struct cost_lines lines = cost_fold(&a, NULL, S("000000000000"), &used, day0, NULL);
	for (uint32_t i = 0; i < lines.n; i++)
		*(lines.v[i].day < day0 + 31 ? &first : &second) += lines.v[i].usd_e10;
	assert_str(price_text_e10(&a, first), "6.0000186");  /* (31 x 1,000,003 - 1,000,000) x 0.0000002 */
	assert_str(price_text_e10(&a, second), "5.4000168"); /* (28 x 1,000,003 - 1,000,000) x 0.0000002 */
	/* Asked for later days alone, what came before in the month counts all the same. */
	struct cost_lines late = cost_fold(&a, NULL, S("000000000000"), &used, day0 + 30, NULL);
	assert_int_equal(late.n, 29);
	assert_str(price_text_e10(&a, late.v[0].usd_e10), "0.2000006");
	/* In a region without known prices nothing costs, and nothing of what is free goes. */
	used.v[0].region = S("eu-west-1");
	lines = cost_fold(&a, NULL, S("000000000000"), &used, day0, NULL);
	assert_true(lines.v[0].usd_e10 == 0 && lines.v[1].usd_e10 == 6000); /* 3 of 1,000,003 */
	assert_str(lines.v[0].usage_type, "EU-Request");
}

static void numbers(void **state)
{
	(void)state;
	struct arena CLEAN_ARENA a = {0};
	static const struct {
		const char *text, *shown;
	} good[] = {{"0", "0"},
	            {"12", "12"},
	            {"-0.5", "-0.5"},
	            {"1.10", "1.1"},
	            {"2e-07", "0.0000002"},
	            {"1E3", "1000"},
	            {"0.00000000009", "0"},
	            {"123456789012.0123456789", "123456789012.0123456789"}};
	static const char *const bad[] = {"", "-", "x", "1.2.3", "1e99", "0x1", "1e", "99999999999999999999999999999999999999999"};
	__int128 n = 7;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(price_parse(str_from(good[i].text), 10, &n));
		assert_str(price_text_e10(&a, n), good[i].shown);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(price_parse(str_from(bad[i]), 10, &n));
	assert_str(price_text_e12(&a, 1), "0.000000000001");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(reserved), cmocka_unit_test(planned),
	                                   cmocka_unit_test(offers), cmocka_unit_test(complete), cmocka_unit_test(months),
	                                   cmocka_unit_test(numbers)};
	return cmocka_run_group_tests_name("ce golden", tests, NULL, NULL);
}
