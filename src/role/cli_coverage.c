/* What the cloud can do, from the tables that dispatch: an operation without a row is absent, one with a note of what is missing is
 * partial. */
#include "role/cli.h"

#include "core/gate.h"

#include <stdio.h>

static const struct service *service_of(const struct api *api)
{
	for (const struct service *const *s = cloud_services; *s; s++)
		if ((*s)->api == api)
			return *s;
	return NULL;
}

struct tally {
	unsigned real, partial, absent;
};

static void count(const struct api *api, struct tally *t)
{
	const struct service *s = service_of(api);
	for (uint32_t i = 0; i < api->operation_count; i++) {
		const struct service_op *row = s ? service_op_find(s, api_text(api, api->operations[i].name)) : NULL;
		if (!row)
			t->absent++;
		else if (row->missing)
			t->partial++;
		else
			t->real++;
	}
}

static void list_operations(const struct api *api)
{
	const struct service *s = service_of(api);
	for (uint32_t i = 0; i < api->operation_count; i++) {
		struct str name = api_text(api, api->operations[i].name);
		const struct service_op *row = s ? service_op_find(s, name) : NULL;
		if (row && row->missing)
			printf("%-44s partial  %s\n", name.p, row->missing);
		else
			printf("%-44s %s\n", name.p, row ? "real" : "absent");
	}
}

/* As the AWS CLI writes it too: application-autoscaling. */
static const struct api *named(const char *name)
{
	char plain[64];
	snprintf(plain, sizeof(plain), "%s", name);
	for (char *p = plain; *p; p++)
		*p = *p == '-' ? '_' : *p;
	return model_api(str_from(plain));
}

int cli_coverage(struct cli *cli)
{
	int status = cli_rest(cli, 1);
	if (status != CLI_OK)
		return status;
	struct tally all = {0};
	if (cli->argc) {
		const struct api *api = named(cli->argv[0]);
		if (!api)
			return cli_fail(cli, CLI_USAGE, "there is no service \"%s\"; `quartet coverage` lists them", cli->argv[0]);
		list_operations(api);
		count(api, &all);
		printf("%s: %u real, %u partial, %u absent\n", api->id, all.real, all.partial, all.absent);
		return CLI_OK;
	}
	printf("%-28s %6s %8s %7s\n", "service", "real", "partial", "absent");
	for (const struct api *const *api = model_apis; *api; api++) {
		struct tally t = {0};
		count(*api, &t);
		printf("%-28s %6u %8u %7u\n", (*api)->id, t.real, t.partial, t.absent);
		all.real += t.real;
		all.partial += t.partial;
		all.absent += t.absent;
	}
	printf("%-28s %6u %8u %7u\n", "all", all.real, all.partial, all.absent);
	return CLI_OK;
}
