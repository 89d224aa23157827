/* `quartet bill --by`: sums by service, tag, resource or day. */
#include "role/bill/bill.h"

#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_tag(struct str by)
{
	return str_starts(by, S("tag:")) && by.n > 4;
}

bool bill_by_known(struct str by)
{
	return str_is(by, "service") || str_is(by, "resource") || str_is(by, "day") || is_tag(by);
}

/* The dearest first. */
static int by_cost(const void *x, const void *y)
{
	const struct bill_group *a = x, *b = y;
	if (a->usd_e10 != b->usd_e10)
		return a->usd_e10 > b->usd_e10 ? -1 : 1;
	int order = str_cmp(a->keys[0], b->keys[0]);
	return order ? order : str_cmp(a->keys[1], b->keys[1]);
}

/* Times go together; a day is its own key. */
static struct bill_groups merged(struct cli *cli, const struct bill_groups *found, bool days)
{
	struct bill_groups all = {0};
	for (uint32_t i = 0; i < found->n; i++) {
		const struct bill_group *g = &found->v[i];
		struct str key = days ? g->start : g->keys[0];
		struct bill_group *same = NULL;
		if (!str_set(key))
			continue;
		for (uint32_t k = 0; k < all.n && !same; k++)
			if (str_eq(all.v[k].keys[0], key) && str_eq(all.v[k].keys[1], g->keys[1]))
				same = &all.v[k];
		if (!same) {
			same = LIST_ADD(&cli->arena, &all);
			*same = (struct bill_group){.keys = {key, g->keys[1]}, .unit = g->unit};
		}
		same->usd_e10 += g->usd_e10;
		same->quantity_e10 += g->quantity_e10;
	}
	if (all.n && !days)
		qsort(all.v, all.n, sizeof(*all.v), by_cost);
	return all;
}

static struct str quoted(struct cli *cli, struct str s)
{
	struct buf b;
	buf_init(&b, SIZE_MAX);
	json_put_string(&b, s);
	struct str text = arena_dup(&cli->arena, str_of(b.p, b.n));
	buf_done(&b);
	return text;
}

static void print_json(struct cli *cli, const struct bill *b, const struct bill_groups *all, const char *second)
{
	printf("{\"start\":\"%.*s\",\"end\":\"%.*s\",\"by\":%.*s,\"lines\":[", STR_ARG(b->period.start), STR_ARG(b->period.end),
	       STR_ARG(quoted(cli, str_from(b->by))));
	for (uint32_t i = 0; i < all->n; i++) {
		const struct bill_group *g = &all->v[i];
		printf("%s{\"key\":%.*s,", i ? "," : "", STR_ARG(quoted(cli, g->keys[0])));
		if (second)
			printf("\"%s\":%.*s,", second, STR_ARG(quoted(cli, g->keys[1])));
		printf("\"usd\":%.*s}", STR_ARG(price_text_e10(&cli->arena, g->usd_e10)));
	}
	printf("],\"usd\":%.*s,\"unknownPrices\":%u}\n", STR_ARG(price_text_e10(&cli->arena, b->total_e10)), b->unknown);
}

static void print_table(struct cli *cli, const struct bill *b, const struct bill_groups *all)
{
	printf("%.*s to %.*s, by %s\n\n", STR_ARG(b->period.start), STR_ARG(b->period.end), b->by);
	for (uint32_t i = 0; i < all->n; i++) {
		const struct bill_group *g = &all->v[i];
		struct str key = g->keys[0].n ? g->keys[0] : S("(none)"), second = str_set(g->keys[1]) ? g->keys[1] : S("");
		printf("%-48.*s %-39.*s %14.*s USD\n", STR_ARG(key), STR_ARG(second), STR_ARG(bill_shown(cli, g->usd_e10)));
	}
	if (!all->n)
		printf("nothing was used\n");
	printf("\n");
	bill_print_total(cli, b);
}

int bill_print_by(struct cli *cli, const struct cli_cloud *cloud, const struct bill *b, bool json)
{
	struct str by = str_from(b->by);
	bool days = str_is(by, "day"), resources = str_is(by, "resource"), tag = is_tag(by);
	struct bill_question q = {.bill = b, .granularity = days ? "DAILY" : "MONTHLY"};
	struct bill_groups found = {0};
	if (resources) {
		q.keys[0] = "RESOURCE_ID";
		q.keys[1] = "USAGE_TYPE";
	} else if (tag) {
		q.keys[0] = arena_dupz(&cli->arena, ARENA_CAT(&cli->arena, S("TAG:"), str_from_at(by, 4)));
		q.keys[1] = "SERVICE";
	} else if (!days) {
		q.keys[0] = "SERVICE";
	}
	int status = bill_ask(cli, cloud, &q, &found);
	if (status != CLI_OK)
		return status;
	/* AWS says "KEY$VALUE". */
	for (uint32_t i = 0; tag && i < found.n; i++)
		if (str_set(found.v[i].keys[0]))
			found.v[i].keys[0] = str_from_at(found.v[i].keys[0], by.n - 4 + 1);
	struct bill_groups all = merged(cli, &found, days);
	if (json)
		print_json(cli, b, &all, resources ? "usageType" : tag ? "service" : NULL);
	else
		print_table(cli, b, &all);
	return CLI_OK;
}
