/* Older Python clients (boto3 before 1.28, version 2 of the AWS CLI before 2.13, as Debian 12 has them) do not know
 * AWS_ENDPOINT_URL. All of them look for their API data in AWS_DATA_PATH first, though, and that includes the rules by which they
 * find endpoints: a folder with one rule a service, "it is here", points them at this cloud without a change to any command. */
#include "role/cli.h"
#include "role/role.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* An endpoint that a command or program names itself goes first: --endpoint-url, endpoint_url. */
#define ENDPOINT_PARAMETER \
	"\"Endpoint\":{\"builtIn\":\"SDK::Endpoint\",\"required\":false,\"documentation\":\"\",\"type\":\"String\"}"
#define ENDPOINT_GIVEN "{\"fn\":\"isSet\",\"argv\":[{\"ref\":\"Endpoint\"}]}"

static const char plain_rules[] =
        "{\"version\":\"1.0\",\"parameters\":{\"Region\":{\"builtIn\":\"AWS::Region\",\"required\":false,\"documentation\":\"\",\"type\":\"String\"}," ENDPOINT_PARAMETER
        "},\"rules\":[{\"conditions\":[" ENDPOINT_GIVEN
        "],\"endpoint\":{\"url\":{\"ref\":\"Endpoint\"},\"properties\":{},\"headers\":{}},\"type\":\"endpoint\"},"
        "{\"conditions\":[],\"endpoint\":{\"url\":\"%s\",\"properties\":{},\"headers\":{}},\"type\":\"endpoint\"}]}\n";

/* S3's client wants the bucket in the path, and its own way of signing. */
#define S3_SCHEME \
	"\"properties\":{\"authSchemes\":[{\"name\":\"sigv4\",\"signingName\":\"s3\",\"signingRegion\":\"{Region}\",\"disableDoubleEncoding\":true}]},\"headers\":{}}," \
	"\"type\":\"endpoint\"}"
#define BUCKET_GIVEN \
	"{\"fn\":\"isSet\",\"argv\":[{\"ref\":\"Bucket\"}]},{\"fn\":\"uriEncode\",\"argv\":[{\"ref\":\"Bucket\"}],\"assign\":\"bucket\"}"
static const char s3_rules[] =
        "{\"version\":\"1.0\",\"parameters\":{\"Region\":{\"builtIn\":\"AWS::Region\",\"required\":false,\"documentation\":\"\",\"type\":\"String\"}," ENDPOINT_PARAMETER
        ",\"Bucket\":{\"required\":false,\"documentation\":\"\",\"type\":\"String\"}},"
        "\"rules\":[{\"conditions\":[" ENDPOINT_GIVEN "," BUCKET_GIVEN "],\"endpoint\":{\"url\":\"{Endpoint}/{bucket}\"," S3_SCHEME
        ",{\"conditions\":[" ENDPOINT_GIVEN "],\"endpoint\":{\"url\":\"{Endpoint}\"," S3_SCHEME ",{\"conditions\":[" BUCKET_GIVEN
        "],\"endpoint\":{\"url\":\"%s/{bucket}\"," S3_SCHEME ",{\"conditions\":[],\"endpoint\":{\"url\":\"%s\"," S3_SCHEME "]}\n";

static int make_dir(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int write_file(const char *path, struct str text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	int e = write(fd, text.p, text.n) == (ssize_t)text.n ? 0 : -EIO;
	close(fd);
	return e;
}

static int endpoints_write(struct arena *a, const char *dir, const char *url)
{
	int e = make_dir(dir);
	for (const struct api *const *api = model_apis; *api && !e; api++) {
		struct str text = str_is(str_from((*api)->id), "s3") ? arena_printf(a, s3_rules, url, url)
		                                                     : arena_printf(a, plain_rules, url);
		struct str service = arena_printf(a, "%s/%s", dir, (*api)->id);
		for (char *p = (char *)(uintptr_t)service.p + strlen(dir) + 1; *p; p++)
			if (*p == '_')
				*p = '-';
		struct str version = arena_printf(a, "%s/%s", service.p, (*api)->api_version);
		e = make_dir(service.p);
		if (!e)
			e = make_dir(version.p);
		if (!e)
			e = write_file(arena_printf(a, "%s/endpoint-rule-set-1.json", version.p).p, text);
	}
	return e;
}

int clients_write(const struct role_config *c)
{
	CLEAN_ARENA struct arena a;
	arena_init(&a, 0);
	const char *dir = arena_printf(&a, "%s/clients", c->data_dir).p;
	int e = make_dir(dir);
	if (!e)
		e = endpoints_write(&a, arena_printf(&a, "%s/http", dir).p,
		                    arena_printf(&a, "http://%s:%u", c->listen_addr, c->port).p);
	if (!e && c->tls_port)
		e = endpoints_write(&a, arena_printf(&a, "%s/https", dir).p,
		                    arena_printf(&a, "https://localhost:%u", c->tls_port).p);
	return e;
}
