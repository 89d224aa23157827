/* The instances of an environment as its record has them, and what they come to together. */
#include "environment.h"

struct state_elasticbeanstalk_member *member_find(const struct environment_record *r, struct str instance)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (str_eq(r->members.v[i].instance, instance))
			return &r->members.v[i];
	return NULL;
}

const struct state_elasticbeanstalk_member *member_unborn(const struct environment_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct state_elasticbeanstalk_member *m = &r->members.v[i];
		if (m->phase.v == PHASE_NEW && m->wants.v == r->deployment.v && (m->done.v < m->wants.v || str_set(m->failure)))
			return m;
	}
	return NULL;
}

void members_sum(struct environment_record *r)
{
	const struct state_elasticbeanstalk_member *first = r->members.n ? &r->members.v[0] : NULL;
	bool done = first != NULL, answers = first != NULL;
	r->instance = first ? first->instance : STR_NONE;
	r->notes = first ? first->notes : (struct str_list){0};
	r->failure = STR_NONE;
	for (uint32_t i = 0; i < r->members.n; i++) {
		const struct state_elasticbeanstalk_member *m = &r->members.v[i];
		done &= m->done.v >= m->wants.v;
		answers &= m->answers.v;
		if (!str_set(r->failure) && m->done.v >= m->wants.v)
			r->failure = m->failure;
	}
	r->done = OPT_INT(done ? r->deployment.v : 0);
	r->answers = OPT_BOOL(answers);
}

static bool among(const struct str_list *l, struct str text)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i], text))
			return true;
	return false;
}

const struct state_elasticbeanstalk_member *member_old(const struct environment_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].wants.v < r->deployment.v)
			return &r->members.v[i];
	return NULL;
}

void members_leave_other(struct environment_record *r)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < r->members.n; i++)
		if (r->members.v[i].place.v != PLACE_OTHER)
			r->members.v[left++] = r->members.v[i];
	r->members.n = left;
	members_sum(r);
}

bool members_take_both(struct arena *a, struct environment_record *r, const struct str_list *there, const struct str_list *other)
{
	struct str_list all = {0};
	for (uint32_t i = 0; i < there->n; i++)
		*LIST_ADD(a, &all) = there->v[i];
	for (uint32_t i = 0; i < other->n; i++)
		*LIST_ADD(a, &all) = other->v[i];
	bool arrived = false;
	for (uint32_t i = 0; i < r->members.n; i++) {
		struct state_elasticbeanstalk_member *m = &r->members.v[i];
		if (m->place.v == PLACE_COMING && among(there, m->instance)) {
			m->place = OPT_INT(PLACE_OWN);
			arrived = true;
		} else if ((m->place.v == PLACE_NONE || m->place.v == PLACE_COMING) && !among(&all, m->instance)) {
			*LIST_ADD(a, &all) = m->instance;
		}
	}
	bool changed = members_take(a, r, &all) || arrived;
	for (uint32_t i = 0; changed && i < r->members.n; i++)
		if (r->members.v[i].place.v == PLACE_OWN && among(other, r->members.v[i].instance))
			r->members.v[i].place = OPT_INT(PLACE_OTHER);
	return changed;
}

bool members_take(struct arena *a, struct environment_record *r, const struct str_list *there)
{
	uint32_t left = 0, before = r->members.n;
	for (uint32_t i = 0; i < before; i++)
		if (among(there, r->members.v[i].instance))
			r->members.v[left++] = r->members.v[i];
	r->members.n = left;
	for (uint32_t i = 0; i < there->n; i++)
		if (!member_find(r, there->v[i]))
			*LIST_ADD(a, &r->members) =
			        (struct state_elasticbeanstalk_member){.instance = there->v[i], .wants = r->deployment};
	r->members.set = true;
	bool changed = left != before || r->members.n != left;
	if (changed)
		members_sum(r);
	return changed;
}

void members_want(struct environment_record *r)
{
	for (uint32_t i = 0; i < r->members.n; i++)
		r->members.v[i].wants = r->deployment;
	members_sum(r);
}
