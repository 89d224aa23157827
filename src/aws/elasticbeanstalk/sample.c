/* Sample applications: what an environment runs that is made without a version. A tiny bundle for each platform, which the keeper
 * puts into the storage bucket; instances fetch it as any other. */
#include "environment.h"

#include <zlib.h>

static const struct {
	const char *platform, *file, *text;
} samples[] = {
        {"Python", "application.py",
         "def application(environ, start_response):\n"
         "    start_response(\"200 OK\", [(\"Content-Type\", \"text/html\")])\n"
         "    return [b\"<h1>It runs</h1><p>This is the sample application for Python.</p>\"]\n"},
        {"Node.js", "app.js",
         "require('http').createServer((request, response) => {\n"
         "  response.writeHead(200, {'Content-Type': 'text/html'});\n"
         "  response.end('<h1>It runs</h1><p>This is the sample application for Node.js.</p>');\n"
         "}).listen(process.env.PORT || 8080);\n"},
};
enum { SAMPLES = sizeof(samples) / sizeof(*samples) };

static int find(struct str platform)
{
	for (int i = 0; i < SAMPLES; i++)
		if (str_is(platform, samples[i].platform))
			return i;
	return -1;
}

bool sample_there(struct str platform)
{
	return find(platform) >= 0;
}

bool sample_is(struct str label)
{
	return str_is(label, SAMPLE_LABEL);
}

struct str sample_key(struct arena *a, struct str platform)
{
	return ARENA_CAT(a, S("resources/samples/"), platform, S(".zip"));
}

static void put(char **at, uint64_t v, unsigned bytes)
{
	for (; bytes; bytes--, v >>= 8)
		*(*at)++ = (char)v;
}

/* What the file's own head and the directory's entry have in common. */
static void put_entry(char **at, uint32_t crc, size_t length, size_t name)
{
	put(at, 20, 2); /* the version that can read it */
	put(at, 0, 2);
	put(at, 0, 2); /* stored */
	put(at, 0, 2);
	put(at, 0x21, 2); /* 1980-01-01 */
	put(at, crc, 4);
	put(at, length, 4);
	put(at, length, 4);
	put(at, name, 2);
	put(at, 0, 2);
}

struct str sample_bundle(struct arena *a, struct str platform)
{
	int i = find(platform);
	if (i < 0)
		return STR_NONE;
	struct str name = str_from(samples[i].file), text = str_from(samples[i].text);
	uint32_t crc = (uint32_t)crc32(crc32(0, NULL, 0), (const Bytef *)text.p, (uInt)text.n);
	char *made = arena_alloc(a, text.n + 2 * name.n + 200), *at = made;
	put(&at, 0x04034b50, 4);
	put_entry(&at, crc, text.n, name.n);
	memcpy(at, name.p, name.n);
	at += name.n;
	memcpy(at, text.p, text.n);
	at += text.n;
	size_t directory = (size_t)(at - made);
	put(&at, 0x02014b50, 4);
	put(&at, 0x0314, 2); /* made under Unix */
	put_entry(&at, crc, text.n, name.n);
	put(&at, 0, 2); /* no comment; the first disk */
	put(&at, 0, 2);
	put(&at, 0, 2);
	put(&at, (uint64_t)0100644 << 16, 4);
	put(&at, 0, 4); /* where the file's own head is */
	memcpy(at, name.p, name.n);
	at += name.n;
	size_t end = (size_t)(at - made);
	put(&at, 0x06054b50, 4);
	put(&at, 0, 4);
	put(&at, 1, 2);
	put(&at, 1, 2);
	put(&at, end - directory, 4);
	put(&at, directory, 4);
	put(&at, 0, 2);
	return str_of(made, (size_t)(at - made));
}
