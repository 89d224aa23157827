/* Pull-through caches: an image that is not here, or was last asked for a day ago, is fetched whole before it is read, and from
 * then on is an image like others. A thread fetches the manifests, the loop sees which blobs the repository lacks, a thread fetches
 * those, and the call that waited writes the records in its own transaction. When the other registry cannot be asked, what is here
 * counts. */
#include "aws/ecr/import_fetch.h"
#include "aws/ecr/rows.h"

#include "base/log.h"
#include "core/cloud.h"

#include <errno.h>
#include <stdlib.h>

enum { CHECK_AGAIN_MS = 24 * 3600 * 1000, THREADS = 3, IMPORTS_MAX = 64 };

struct import {
	struct ecr_state *s;
	struct call *call; /* NULL: nobody waits any more */
	struct ecr_place place;
	bool over;      /* no thread has it */
	bool committed; /* its records are */
	struct fetch f;
};

struct work *ecr_import_threads(struct ecr_state *s)
{
	if (!s->imports)
		s->imports = work_new(s->cloud->loop, THREADS);
	return s->imports;
}

void ecr_imports_stop(struct ecr_state *s)
{
	atomic_store(&s->stopping, true);
	if (s->imports)
		work_free(s->imports);
	s->imports = NULL;
}

static void import_free(struct import *m)
{
	/* Those that the registry has taken are its own; the others it knows nothing of. */
	for (unsigned i = 0; i < m->f.part_count; i++)
		if (m->f.parts[i].blob_id[0] && !(m->committed && m->f.parts[i].wanted))
			ecr_delete_file(m->s, str_from(m->f.parts[i].blob_id));
	arena_done(&m->f.arena);
	free(m);
}

static void let_go(struct call *c)
{
	struct import *m = c->state;
	if (!m)
		return;
	c->state = NULL;
	m->call = NULL;
	if (m->over)
		import_free(m);
}

static void end(struct import *m)
{
	m->over = true;
	if (m->call)
		call_resume(m->call);
	else
		import_free(m);
}

/* --- threads */

static void blobs_run(void *job)
{
	fetch_blobs(&((struct import *)job)->f);
}

static void blobs_done(void *job)
{
	end(job);
}

static void manifests_run(void *job)
{
	fetch_manifests(&((struct import *)job)->f);
}

static void manifests_done(void *job)
{
	struct import *m = job;
	struct fetch *f = &m->f;
	struct arena a = {0};
	bool any = false;
	if (f->error || !m->call) {
		end(m);
		return;
	}
	struct store_txn *t = store_begin(m->s->cloud->store, &a);
	for (unsigned i = 0; i < f->part_count; i++) {
		struct state_ecr_layer_record layer;
		f->parts[i].wanted = !ecr_find_layer(t, &a, &m->place, f->parts[i].digest, &layer);
		any |= f->parts[i].wanted;
	}
	store_abort(t);
	arena_done(&a);
	if (any)
		work_add(ecr_import_threads(m->s), blobs_run, blobs_done, m);
	else
		end(m);
}

/* --- the call */

static struct str checked_key(struct arena *a, const struct ecr_place *p, struct str tag)
{
	return KEY(a, S("ecr"), S("upstream"), p->account, p->region, p->name, tag);
}

static bool is_fresh(struct call *c, const struct ecr_place *p, struct str reference)
{
	struct state_ecr_image_record image;
	struct state_ecr_upstream_record up;
	struct state_ecr_repository_record r;
	if (str_find_char(reference, ':') >= 0)
		return ecr_find_image(call_txn(c), c->arena, p, reference, &image);
	if (!str_set(ecr_find_tag(call_txn(c), c->arena, p, reference)))
		return false;
	if (ecr_find_repository(call_txn(c), c->arena, p, &r) && ecr_tag_is_fixed(&r, reference))
		return true; /* it stays what it is, whatever has become of it there */
	return record_get(call_txn(c), c->arena, checked_key(c->arena, p, reference), ECR_ROW("Upstream"), &up) &&
	       c->now_ms - up.checked.ms < CHECK_AGAIN_MS;
}

static bool is_there(struct call *c, const struct ecr_place *p, struct str reference)
{
	return str_find_char(reference, ':') < 0 && str_set(ecr_find_tag(call_txn(c), c->arena, p, reference));
}

static void on_committed(struct call *c)
{
	struct import *m = c->state;
	if (m)
		m->committed = true;
}

static int write_records(struct call *c, struct import *m, const struct ecr_place *p, struct str reference)
{
	struct state_ecr_repository_record r;
	bool tagged = str_find_char(reference, ':') < 0;
	if (!ecr_find_repository(call_txn(c), c->arena, p, &r))
		ecr_make_repository(c, p, "PULL_THROUGH_CACHE", &r);
	for (unsigned i = 0; i < m->f.part_count; i++) {
		struct fetched_blob *b = &m->f.parts[i];
		if (b->blob_id[0])
			b->wanted = ecr_layer_add(call_txn(c), c->arena, p, b->digest, str_from(b->blob_id), (uint64_t)b->size,
			                          c->now_ms);
	}
	for (unsigned i = 0; i < m->f.manifest_count; i++) {
		const struct fetched_manifest *one = &m->f.manifests[i];
		struct ecr_put put = {.text = arena_dup(c->arena, one->text),
		                      .media_type = one->media_type,
		                      .digest = one->digest,
		                      .tag = tagged && i + 1 == m->f.manifest_count ? reference : STR_NONE};
		if (ecr_put_image_into(c, p, &r, &put) != CALL_OK)
			return CALL_FAIL;
	}
	if (tagged) {
		const struct state_ecr_upstream_record up = {.checked = OPT_TIME(c->now_ms)};
		record_put(call_txn(c), c->arena, checked_key(c->arena, p, reference), ECR_ROW("Upstream"), &up);
	}
	call_after_commit(c, on_committed);
	return CALL_OK;
}

static int imported(struct call *c, struct import *m, const struct ecr_place *p, struct str reference)
{
	const struct fetch *f = &m->f;
	if (!f->error)
		return write_records(c, m, p, reference);
	log_info("ecr: %.*s of %.*s at %.*s: %.*s", STR_ARG(f->reference), STR_ARG(f->name), STR_ARG(registry_host(f->base)),
	         STR_ARG(f->why));
	if (is_there(c, p, reference))
		return CALL_OK;
	if (f->error == -ENOENT)
		return CALL_OK; /* it is nowhere: as one that is not found here */
	return call_fail(c, "UnableToGetUpstreamImageException", 0, "The image cannot be had from the upstream registry: %.*s",
	                 STR_ARG(f->why));
}

int ecr_import(struct call *c, const struct ecr_place *p, struct str reference, call_resume_fn *again)
{
	struct state_ecr_rule_record rule;
	struct state_ecr_repository_record r;
	struct ecr_state *s = ecr_state(c);
	if (c->state)
		return imported(c, c->state, p, reference);
	if (!ecr_name_good(p->name) || !ecr_find_rule(call_txn(c), c->arena, p, &rule) || is_fresh(c, p, reference))
		return CALL_OK;
	struct str base = ecr_upstream(c->cloud, rule.url);
	if (!str_set(base))
		return CALL_OK; /* the configuration has changed */
	bool there = is_there(c, p, reference);
	if (!there && (!ecr_allowed(c, "ecr:BatchImportUpstreamImage", p) ||
	               (!ecr_find_repository(call_txn(c), c->arena, p, &r) && !ecr_allowed(c, "ecr:CreateRepository", p))))
		return CALL_FAIL;
	if (work_pending(ecr_import_threads(s)) >= IMPORTS_MAX)
		return there ? CALL_OK
		             : call_fail(c, "LimitExceededException", 0, "There are %d imports under way, which is the limit.",
		                         IMPORTS_MAX);
	struct import *m = calloc(1, sizeof(*m));
	if (!m)
		die("out of memory (ecr)");
	struct arena *a = &m->f.arena;
	m->s = s;
	m->call = c;
	m->place = (struct ecr_place){arena_dup(a, p->account), arena_dup(a, p->region), arena_dup(a, p->name)};
	m->f.blobs = c->cloud->blobs;
	m->f.stopping = &s->stopping;
	m->f.base = arena_dup(a, base);
	m->f.name = arena_dup(a, ecr_upstream_name(c->arena, &rule, p->name));
	m->f.reference = arena_dup(a, reference);
	c->state = m;
	call_on_free(c, let_go);
	int said = call_wait(c, again, let_go);
	work_add(ecr_import_threads(s), manifests_run, manifests_done, m);
	return said;
}
