/* Where the gate learns who signs and what holds for them: keys from the configuration, the well-known pair, users' access keys,
 * and temporary credentials. Everything is kept after its first use; one watch on IAM's records drops what a change may have
 * touched. */
#include "aws/iam/source.h"
#include "aws/iam/nouns.h"
#include "base/id.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct fixed_key {
	struct str secret;
	const struct principal *root;
};
struct iam_key {
	char secret[64];
	bool inactive;
	const struct principal *principal;
};
struct iam_use {
	int64_t ms;
	char service[40], region[40];
	bool dirty;
};
enum { KNOWN_MAX = 4096, KEYS_MAX = 20000, USES_MAX = 20000, FLUSH_US = 60 * 1000000, FILE_MAX = 1 << 20 };

struct iam *iam_of(const struct cloud *cloud)
{
	return cloud->identity.ctx;
}

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

/* --- root users */

static bool is_account(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!ascii_is_digit(s.p[i]))
			return false;
	return s.n == 12;
}

static void add_fixed(struct iam *iam, struct str id, struct str secret, struct str account)
{
	struct principal *root = principal_new(PRINCIPAL_ROOT, account);
	struct fixed_key *k = must(calloc(1, sizeof(*k)));
	root->access_key_id = arena_dup(&root->arena, id);
	k->secret = arena_dup(&root->arena, secret);
	k->root = root;
	struct fixed_key *old = map_put(&iam->fixed, id, k);
	if (old) {
		principal_unref(old->root);
		free(old);
	}
}

static void known_drop(struct iam *iam)
{
	size_t at = 0;
	struct str id;
	void *root;
	while (map_next(&iam->known, &at, &id, &root))
		principal_unref(root);
	map_done(&iam->known);
	iam->known = (struct map){0};
}

static bool find_well_known(struct iam *iam, struct str id, struct credential *ret)
{
	struct str account = str_is(id, "test") ? S("000000000000") : id;
	if (!iam->well_known || !is_account(account))
		return false;
	struct principal *root = map_get(&iam->known, id);
	if (!root) {
		if (iam->known.count >= KNOWN_MAX)
			known_drop(iam);
		root = principal_new(PRINCIPAL_ROOT, account);
		root->access_key_id = arena_dup(&root->arena, id);
		map_put(&iam->known, id, root);
	}
	ret->secret = S("test");
	ret->principal = principal_ref(root);
	ret->well_known = true;
	return true;
}

/* --- users' keys */

static void key_free(struct iam_key *k)
{
	principal_unref(k->principal);
	free(k);
}

static void keys_drop(struct iam *iam, struct str account)
{
	struct map kept = {0};
	size_t at = 0;
	struct str id;
	void *v;
	while (map_next(&iam->keys, &at, &id, &v)) {
		struct iam_key *k = v;
		if (str_set(account) && !str_eq(k->principal->account, account))
			map_put(&kept, id, k);
		else
			key_free(k);
	}
	map_done(&iam->keys);
	iam->keys = kept;
}

static bool read_key(struct iam *iam, struct arena *a, struct str id, struct state_iam_access_key_record *ret)
{
	if (id.n == 0 || id.n > 128)
		return false;
	struct store_txn *t = store_begin(iam->cloud->store, a);
	bool found = record_get(t, a, KEY(a, S("iam"), S(""), S("key"), id), &iam_key_type, ret);
	store_abort(t);
	return found;
}

static struct iam_key *find_user_key(struct iam *iam, struct str id)
{
	struct iam_key *k = map_get(&iam->keys, id);
	if (k)
		return k;
	struct arena CLEAN_ARENA a = {0};
	struct state_iam_access_key_record r;
	if (!read_key(iam, &a, id, &r) || r.secret.n >= sizeof(k->secret))
		return NULL;
	const struct iam_cached *user = iam_cached_entity(iam, r.account, IAM_USER, r.user);
	if (!user)
		return NULL;
	struct principal *p = principal_new(PRINCIPAL_USER, r.account);
	p->name = arena_dup(&p->arena, user->record.name);
	p->arn = arena_dup(&p->arena, user->arn);
	p->user_id = arena_dup(&p->arena, user->record.id);
	p->access_key_id = arena_dup(&p->arena, id);
	for (uint32_t i = 0; i < user->record.tags.n; i++)
		*LIST_ADD(&p->arena, &p->tags) = (struct str_map_entry){arena_dup(&p->arena, user->record.tags.v[i].key),
		                                                        arena_dup(&p->arena, user->record.tags.v[i].value)};
	k = must(calloc(1, sizeof(*k)));
	memcpy(k->secret, r.secret.p, r.secret.n);
	k->inactive = r.inactive.v;
	k->principal = p;
	if (iam->keys.count >= KEYS_MAX)
		keys_drop(iam, STR_NONE);
	map_put(&iam->keys, id, k);
	return k;
}

static enum key_state find_key(void *ctx, struct str id, struct str token, int64_t now_ms, struct credential *ret)
{
	struct iam *iam = ctx;
	*ret = (struct credential){0};
	struct fixed_key *fixed = map_get(&iam->fixed, id);
	if (fixed) {
		if (token.n)
			return KEY_BAD_TOKEN;
		ret->secret = fixed->secret;
		ret->principal = principal_ref(fixed->root);
		return KEY_GOOD;
	}
	if (str_starts(id, S("ASIA")))
		return iam_session_find(iam, id, token, now_ms, ret);
	/* Whoever sets the well-known pair may have set a token as well; it means nothing. */
	if (find_well_known(iam, id, ret))
		return KEY_GOOD;
	struct iam_key *k = find_user_key(iam, id);
	if (!k)
		return KEY_UNKNOWN;
	if (token.n)
		return KEY_BAD_TOKEN;
	if (k->inactive)
		return KEY_INACTIVE;
	ret->secret = str_from(k->secret);
	ret->principal = principal_ref(k->principal);
	return KEY_GOOD;
}

static void policies(void *ctx, const struct principal *p, struct principal_policies *ret)
{
	struct iam *iam = ctx;
	*ret = (struct principal_policies){0};
	struct str account, path, name;
	const struct iam_cached *e = NULL;
	static const struct policy *all[1];
	switch (p->kind) {
	case PRINCIPAL_USER:
		e = iam_cached_entity(iam, p->account, IAM_USER, p->name);
		break;
	case PRINCIPAL_ROLE:
		if (iam_arn_parse(p->issuer_arn, S("role"), &account, &path, &name))
			e = iam_cached_entity(iam, p->account, IAM_ROLE, name);
		break;
	case PRINCIPAL_FEDERATED:
		if (iam_arn_parse(p->issuer_arn, S("user"), &account, &path, &name)) {
			e = iam_cached_entity(iam, p->account, IAM_USER, name);
		} else {
			/* Federated by the root user: only the session policies limit it. */
			all[0] = iam_cached_managed(iam, p->account, S("arn:aws:iam::aws:policy/AdministratorAccess"));
			ret->identity = all;
			ret->identity_count = 1;
		}
		break;
	default:
		break;
	}
	/* Another one of the same name has nothing to do with this principal. */
	if (e && str_eq(e->record.id, p->kind == PRINCIPAL_USER ? p->user_id : p->issuer_id))
		iam_cached_policies(iam, e, ret);
	if (p->temporary)
		iam_session_policies(iam, p, ret);
}

/* --- last use */

static void copy_text(char *to, size_t room, struct str from)
{
	size_t n = from.n < room ? from.n : room - 1;
	memcpy(to, from.p ? from.p : "", n);
	to[n] = '\0';
}

static void used(void *ctx, const struct principal *p, struct str service, struct str region, int64_t now_ms)
{
	struct iam *iam = ctx;
	/* Root users' keys and the well-known pair are in no list. */
	struct str id = p->kind == PRINCIPAL_ROLE                    ? p->issuer_id
	                : p->kind == PRINCIPAL_USER && !p->temporary ? p->access_key_id
	                                                             : STR_NONE;
	if (!str_set(id))
		return;
	struct iam_use *u = map_get(&iam->uses, id);
	if (u && u->ms / 1000 == now_ms / 1000)
		return;
	if (!u) {
		if (iam->uses.count >= USES_MAX)
			return;
		u = must(calloc(1, sizeof(*u)));
		map_put(&iam->uses, id, u);
	}
	u->ms = now_ms;
	u->dirty = iam->uses_dirty = true;
	copy_text(u->service, sizeof(u->service), service);
	copy_text(u->region, sizeof(u->region), region);
}

void iam_key_last_used(struct call *c, struct str id, struct state_iam_key_use_record *ret)
{
	struct iam_use *u = map_get(&iam_of(c->cloud)->uses, id);
	if (u)
		*ret = (struct state_iam_key_use_record){.time = OPT_TIME(u->ms - u->ms % 1000),
		                                         .service = arena_dup(c->arena, str_from(u->service)),
		                                         .region = arena_dup(c->arena, str_from(u->region))};
	else
		record_get(call_txn(c), c->arena, KEY(c->arena, S("iam-use"), id), &iam_use_type, ret);
}

static void flushed(void *ctx, int result, uint64_t revision)
{
	(void)result, (void)revision;
	struct arena *a = ctx;
	arena_done(a);
	free(a);
}

static void uses_write(struct iam *iam)
{
	if (!iam->uses_dirty)
		return;
	iam->uses_dirty = false;
	struct arena *a = must(calloc(1, sizeof(*a)));
	struct store_txn *t = store_begin(iam->cloud->store, a);
	size_t at = 0;
	struct str id;
	void *v;
	while (map_next(&iam->uses, &at, &id, &v)) {
		struct iam_use *u = v;
		if (!u->dirty)
			continue;
		u->dirty = false;
		struct state_iam_key_use_record r = {
		        .time = OPT_TIME(u->ms - u->ms % 1000), .service = str_from(u->service), .region = str_from(u->region)};
		record_put(t, a, KEY(a, S("iam-use"), id), &iam_use_type, &r);
	}
	store_commit(t, flushed, a);
}

static void flush(void *ctx)
{
	struct iam *iam = ctx;
	iam->flush = loop_add_timer(iam->cloud->loop, FLUSH_US, flush, iam);
	uses_write(iam);
}

/* --- changes */

static void changed(void *ctx, const struct store_event *e)
{
	struct iam *iam = ctx;
	struct arena CLEAN_ARENA a = {0};
	struct str_list parts = record_key_parts(&a, e->key);
	if (parts.n < 3)
		return;
	struct str account = parts.v[1];
	if (account.n == 0) {
		struct iam_key *k = str_is(parts.v[2], "key") && parts.n > 3 ? map_remove(&iam->keys, parts.v[3]) : NULL;
		if (k)
			key_free(k);
		return;
	}
	iam_cache_drop(iam, account);
	iam_sessions_drop(iam, account);
	keys_drop(iam, account);
}

/* --- the beginning */

static struct str read_file(struct arena *a, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return STR_NONE;
	char *p = arena_alloc(a, FILE_MAX);
	size_t n = 0;
	for (ssize_t got; n < FILE_MAX && (got = read(fd, p + n, FILE_MAX - n)) > 0;)
		n += (size_t)got;
	close(fd);
	return str_of(p, n);
}

static void read_config(struct iam *iam, const char *path)
{
	struct arena CLEAN_ARENA a = {0};
	struct str text = read_file(&a, path);
	bool mine = false;
	if (!str_set(text))
		log_warn("%s: %s: this role cannot read it, so its credentials do not hold", path, strerror(errno));
	while (str_set(text)) {
		struct str line = str_trim(str_cut(&text, '\n'));
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (line.p[0] == '[') {
			mine = str_is(line, "[credentials]");
			continue;
		}
		if (!mine)
			continue;
		struct str account = line, id = str_trim(str_cut(&account, '='));
		struct str secret = str_set(account) ? str_trim(str_cut(&account, ',')) : STR_NONE;
		account = str_set(account) ? str_trim(account) : S("000000000000");
		if (id.n && secret.n && is_account(account))
			add_fixed(iam, id, secret, account);
		else
			log_warn("%s: [credentials] needs lines \"KEYID = secret, account\"", path);
	}
}

/* The file that the first start writes is one that AWS tools read as well. */
static void first_key(struct iam *iam, const char *path)
{
	struct arena CLEAN_ARENA a = {0};
	struct str text = read_file(&a, path), id = STR_NONE, secret = STR_NONE;
	while (str_set(text)) {
		struct str value = str_cut(&text, '\n'), name = str_trim(str_cut(&value, '='));
		if (str_is(name, "aws_access_key_id"))
			id = str_trim(value);
		else if (str_is(name, "aws_secret_access_key"))
			secret = str_trim(value);
	}
	if (!id.n || !secret.n) {
		id = id_base32(&a, S("AKIA"), 16);
		secret = id_secret(&a, 40);
		struct str out = arena_printf(&a, "[default]\naws_access_key_id = %.*s\naws_secret_access_key = %.*s\n",
		                              STR_ARG(id), STR_ARG(secret));
		int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, out.p, out.n) != (ssize_t)out.n || fsync(fd) < 0)
			log_error("%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	add_fixed(iam, id, secret, S("000000000000"));
}

void iam_open(struct cloud *cloud, const struct iam_config *config)
{
	struct iam *iam = must(calloc(1, sizeof(*iam)));
	iam->cloud = cloud;
	iam->well_known = config->well_known;
	cloud->identity = (struct identity_source){.ctx = iam, .find_key = find_key, .policies = policies, .used = used};
	iam_seal_open(iam);
	if (config->credentials_file)
		first_key(iam, config->credentials_file);
	if (config->config_file)
		read_config(iam, config->config_file);
	struct arena CLEAN_ARENA a = {0};
	struct str prefix = KEY_UNDER(&a, S("iam"));
	iam->watch = store_watch(cloud->store, prefix, store_prefix_end(&a, prefix), store_revision(cloud->store), changed, iam);
	iam->flush = loop_add_timer(cloud->loop, FLUSH_US, flush, iam);
}

void iam_close(struct cloud *cloud)
{
	struct iam *iam = iam_of(cloud);
	if (!iam)
		return;
	uses_write(iam);
	loop_remove_timer(cloud->loop, iam->flush);
	store_unwatch(iam->watch);
	iam_sessions_drop(iam, STR_NONE);
	keys_drop(iam, STR_NONE);
	known_drop(iam);
	iam_cache_done(iam);
	size_t at = 0;
	struct str key;
	void *v;
	while (map_next(&iam->fixed, &at, &key, &v)) {
		principal_unref(((struct fixed_key *)v)->root);
		free(v);
	}
	at = 0;
	while (map_next(&iam->uses, &at, &key, &v))
		free(v);
	map_done(&iam->fixed);
	map_done(&iam->uses);
	free(iam);
	cloud->identity = (struct identity_source){0};
}

/* --- what others ask */

bool iam_find_role(struct cloud *cloud, struct str arn, struct iam_role_view *ret)
{
	struct str account, path, name;
	if (!iam_arn_parse(arn, S("role"), &account, &path, &name) || !is_account(account))
		return false;
	const struct iam_cached *e = iam_cached_entity(iam_of(cloud), account, IAM_ROLE, name);
	if (!e || !str_eq(e->arn, arn))
		return false;
	*ret = (struct iam_role_view){.arn = e->arn,
	                              .account = e->account,
	                              .path = e->record.path,
	                              .name = e->record.name,
	                              .id = e->record.id,
	                              .trust = e->record.trust,
	                              .max_session_s = e->record.max_session_s.v,
	                              .tags = &e->record.tags};
	return true;
}

bool iam_find_profile(struct cloud *cloud, struct arena *a, struct str account, struct str arn_or_name, struct str *ret_arn,
                      struct str *ret_id, struct str *ret_role_arn)
{
	struct iam *iam = iam_of(cloud);
	struct str owner = account, path, name = arn_or_name;
	bool by_arn = str_starts(arn_or_name, S("arn:"));
	if (by_arn && (!iam_arn_parse(arn_or_name, S("instance-profile"), &owner, &path, &name) || !str_eq(owner, account)))
		return false;
	const struct iam_cached *e = iam_cached_entity(iam, owner, IAM_PROFILE, name), *role = NULL;
	if (!e || (by_arn && !str_eq(e->arn, arn_or_name)))
		return false;
	*ret_arn = arena_dup(a, e->arn);
	*ret_id = arena_dup(a, e->record.id);
	if (e->record.roles.n)
		role = iam_cached_entity(iam, owner, IAM_ROLE, e->record.roles.v[0]);
	*ret_role_arn = role ? arena_dup(a, role->arn) : STR_NONE;
	return true;
}

struct str iam_key_account(struct cloud *cloud, struct arena *a, struct str id)
{
	struct iam *iam = iam_of(cloud);
	struct state_iam_access_key_record r;
	struct fixed_key *fixed = map_get(&iam->fixed, id);
	if (fixed)
		return fixed->root->account;
	return read_key(iam, a, id, &r) ? r.account : STR_NONE;
}

bool iam_managed_exists(struct cloud *cloud, struct str account, struct str arn)
{
	return iam_cached_managed(iam_of(cloud), account, arn) != NULL;
}
