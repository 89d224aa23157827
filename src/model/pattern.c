/* A pattern becomes a program of small steps (Thompson's construction); matching keeps the list of steps that can be reached at the
 * current place of the text and moves all of them one character on at a time. A step is on the list at most once, so the work is
 * the text's length times the program's.
 *
 * Two things would spoil that bound, and are kept from it:
 * - Large repeats of one character, [a-z]{1,2048}, would be thousands of steps. They are one step, COUNT, that remembers where its
 *   repetitions began. All of them take every character together, so what it remembers are just places in the text, held as
 *   intervals: the oldest is the longest repetition, and the step can be left when that one is long enough.
 * - A look-ahead is run as a match of its own from its place. It must be bounded, or stand so near the start of the pattern that
 *   it is run at a handful of places only.
 */
#include "model/pattern.h"

#include "model/pattern_tree.h"

#define MAX_STEPS 8192
/* A look-ahead may be unbounded where at most this many characters come before it, and be this long anywhere. */
#define NEAR 64

enum op { OP_SET, OP_COUNT, OP_JUMP, OP_SPLIT, OP_BEGIN, OP_END, OP_WORD, OP_NOT_WORD, OP_AHEAD, OP_BEHIND, OP_MATCH };
struct step {
	enum op op;
	bool negative;                 /* OP_AHEAD, OP_BEHIND */
	uint32_t a, b;                 /* JUMP: to a; SPLIT: to both; AHEAD: its own program is a..b, what follows is at b */
	uint32_t min, max;             /* OP_COUNT */
	const struct pattern_set *set; /* SET, COUNT, BEHIND */
};

struct pattern {
	struct step *steps;
	uint32_t count;
};

struct compiler {
	struct arena *a;
	struct step *steps;
	uint32_t count, room;
	const char *why;
};

static uint32_t emit_step(struct compiler *c, struct step step)
{
	if (c->count == c->room) {
		if (c->count >= MAX_STEPS) {
			c->why = "too large";
			return 0;
		}
		struct step *grown = arena_array(c->a, (size_t)c->room * 2, sizeof(*grown));
		memcpy(grown, c->steps, c->count * sizeof(*grown));
		c->steps = grown;
		c->room *= 2;
	}
	c->steps[c->count] = step;
	return c->count++;
}

static void emit(struct compiler *c, const struct node *node, uint32_t before);

static void emit_alternatives(struct compiler *c, const struct node *node, uint32_t before)
{
	/* split A, next; A; jump end; next: split B ...; the jumps are chained through their targets until the end is known. */
	uint32_t last_jump = UINT32_MAX;
	for (const struct node *part = node->first; part && !c->why; part = part->next) {
		if (!part->next) {
			emit(c, part, before);
			break;
		}
		uint32_t split = emit_step(c, (struct step){.op = OP_SPLIT});
		c->steps[split].a = c->count;
		emit(c, part, before);
		last_jump = emit_step(c, (struct step){.op = OP_JUMP, .a = last_jump});
		c->steps[split].b = c->count;
	}
	while (last_jump != UINT32_MAX && !c->why) {
		uint32_t before_it = c->steps[last_jump].a;
		c->steps[last_jump].a = c->count;
		last_jump = before_it;
	}
}

static void emit_repeat(struct compiler *c, const struct node *node, uint32_t before)
{
	const struct node *part = node->first;
	/* Something may come before each turn but the first: the earlier turns. */
	uint32_t before_turn = node->max <= 1 ? before : pattern_plus(before, node->longest);
	if (part->kind == NODE_SET && node->max > 0 && (node->min > 1 || (node->max > 1 && node->max != PATTERN_NO_LIMIT))) {
		emit_step(c, (struct step){.op = OP_COUNT, .set = part->set, .min = node->min, .max = node->max});
		return;
	}
	for (uint32_t i = 0; i < node->min && !c->why; i++)
		emit(c, part, before_turn);
	if (node->max == PATTERN_NO_LIMIT) {
		uint32_t split = emit_step(c, (struct step){.op = OP_SPLIT});
		c->steps[split].a = c->count;
		emit(c, part, before_turn);
		emit_step(c, (struct step){.op = OP_JUMP, .a = split});
		c->steps[split].b = c->count;
		return;
	}
	for (uint32_t i = node->min; i < node->max && !c->why; i++) {
		/* Leaving here and leaving at a later turn lead to the same place: each turn's split skips that turn alone. */
		uint32_t split = emit_step(c, (struct step){.op = OP_SPLIT});
		c->steps[split].a = c->count;
		emit(c, part, before_turn);
		c->steps[split].b = c->count;
	}
}

static void emit_ahead(struct compiler *c, const struct node *node, uint32_t before)
{
	if (node->first->longest > NEAR && before > NEAR) {
		c->why = "unbounded look-ahead behind an unbounded part";
		return;
	}
	uint32_t ahead = emit_step(c, (struct step){.op = OP_AHEAD, .negative = node->negative});
	c->steps[ahead].a = c->count;
	emit(c, node->first, before);
	emit_step(c, (struct step){.op = OP_MATCH});
	c->steps[ahead].b = c->count;
}

/* `before`: how many characters at most the pattern takes before this node. */
static void emit(struct compiler *c, const struct node *node, uint32_t before)
{
	static const enum op assertions[] = {
	        [NODE_BEGIN] = OP_BEGIN, [NODE_END] = OP_END, [NODE_WORD] = OP_WORD, [NODE_NOT_WORD] = OP_NOT_WORD};
	switch (node->kind) {
	case NODE_EMPTY:
		return;
	case NODE_SET:
		emit_step(c, (struct step){.op = OP_SET, .set = node->set});
		return;
	case NODE_CAT:
		for (const struct node *part = node->first; part && !c->why; part = part->next) {
			emit(c, part, before);
			before = pattern_plus(before, part->longest);
		}
		return;
	case NODE_ALT:
		emit_alternatives(c, node, before);
		return;
	case NODE_REPEAT:
		emit_repeat(c, node, before);
		return;
	case NODE_BEHIND:
		emit_step(c, (struct step){.op = OP_BEHIND, .set = node->set, .negative = node->negative});
		return;
	case NODE_AHEAD:
		emit_ahead(c, node, before);
		return;
	default:
		emit_step(c, (struct step){.op = assertions[node->kind]});
	}
}

const struct pattern *pattern_compile(struct arena *a, struct str text, const char **ret_why)
{
	const struct node *tree = pattern_parse(a, text, ret_why);
	if (!tree)
		return NULL;
	struct compiler c = {.a = a, .room = 16};
	c.steps = arena_array(a, c.room, sizeof(*c.steps));
	emit(&c, tree, 0);
	emit_step(&c, (struct step){.op = OP_MATCH});
	if (c.why) {
		if (ret_why)
			*ret_why = c.why;
		return NULL;
	}
	struct pattern *pattern = arena_new(a, struct pattern);
	pattern->steps = c.steps;
	pattern->count = c.count;
	return pattern;
}

/* Places, counted in characters, where repetitions of a COUNT began, oldest first: v[from..to). */
struct interval {
	size_t low, high;
};
struct starts {
	struct interval *v;
	uint32_t from, to, room;
};

struct run {
	struct arena *a;
	const struct step *steps;
	struct str text;
	size_t place;                 /* in characters since the run began; `at` is always the offset of its byte */
	size_t *mark;                 /* per step: 1 + the offset for which it is on the list */
	struct starts *starts;        /* per step; used by COUNT alone */
	uint32_t *now, *soon, *stack; /* lists of SET, COUNT and MATCH steps; steps yet to be followed */
	uint32_t soon_count;
	struct run *deeper; /* for look-aheads, made at the first; shares steps */
	uint32_t count;
};

static struct run *new_run(struct arena *a, const struct step *steps, uint32_t count, struct str text)
{
	struct run *run = arena_new(a, struct run);
	run->a = a;
	run->steps = steps;
	run->count = count;
	run->text = text;
	run->mark = arena_array(a, count, sizeof(*run->mark));
	run->starts = arena_array(a, count, sizeof(*run->starts));
	run->now = arena_array(a, count, sizeof(*run->now));
	run->soon = arena_array(a, count, sizeof(*run->soon));
	/* Each step is followed once and pushes two at most. */
	run->stack = arena_array(a, (size_t)count * 2 + 2, sizeof(*run->stack));
	return run;
}

/* Remembers that a repetition begins here. Only the oldest matters to an unlimited repeat. */
static void add_start(struct run *run, const struct step *step, struct starts *starts)
{
	size_t place = run->place;
	if (starts->from < starts->to) {
		struct interval *newest = &starts->v[starts->to - 1];
		if (newest->high >= place || step->max == PATTERN_NO_LIMIT)
			return;
		if (newest->high + 1 == place) {
			newest->high = place;
			return;
		}
	} else {
		starts->from = starts->to = 0;
	}
	if (starts->to == starts->room) {
		uint32_t used = starts->to - starts->from;
		uint32_t room = used * 2 > starts->room ? used * 2 : starts->room;
		if (room < 4)
			room = 4;
		struct interval *moved = room == starts->room ? starts->v : arena_array(run->a, room, sizeof(*moved));
		if (used)
			memmove(moved, starts->v + starts->from, used * sizeof(*moved));
		*starts = (struct starts){.v = moved, .to = used, .room = room};
	}
	starts->v[starts->to++] = (struct interval){place, place};
}

static bool is_word(uint32_t c)
{
	return c < 128 && (ascii_is_alnum((char)c) || c == '_');
}

static uint32_t char_before(struct str text, size_t at)
{
	size_t begin = at - 1;
	while (begin > 0 && ((unsigned char)text.p[begin] & 0xc0) == 0x80 && at - begin < 4)
		begin--;
	uint32_t c = pattern_decode(text, &begin);
	return begin == at ? c : 0xfffd;
}

static bool at_word_edge(struct str text, size_t at)
{
	size_t after = at;
	bool left = at > 0 && is_word(char_before(text, at));
	bool right = at < text.n && is_word(pattern_decode(text, &after));
	return left != right;
}

static bool run_from(struct run *run, uint32_t first, size_t at, bool whole);

static bool look_ahead(struct run *run, const struct step *step, size_t at)
{
	if (!run->deeper)
		run->deeper = new_run(run->a, run->steps, run->count, run->text);
	struct run *deeper = run->deeper;
	for (uint32_t i = step->a; i < step->b; i++) {
		deeper->mark[i] = 0;
		deeper->starts[i].from = deeper->starts[i].to = 0;
	}
	return run_from(deeper, step->a, at, false) != step->negative;
}

/* Does the assertion hold at the offset? */
static bool holds(struct run *run, const struct step *step, size_t at)
{
	switch (step->op) {
	case OP_BEGIN:
		return at == 0;
	case OP_END:
		return at == run->text.n;
	case OP_WORD:
		return at_word_edge(run->text, at);
	case OP_NOT_WORD:
		return !at_word_edge(run->text, at);
	case OP_BEHIND:
		return (at > 0 && pattern_set_has(step->set, char_before(run->text, at))) != step->negative;
	default:
		return look_ahead(run, step, at);
	}
}

/* Puts on the list `soon` all steps that wait for a character (or MATCH) and can be reached from `first` without taking one.
 * `carried`: a COUNT that goes on with the repetitions it has. Returns true when MATCH was among them. */
static bool follow(struct run *run, uint32_t first, size_t at, bool carried)
{
	uint32_t depth = 0;
	bool matched = false;
	run->stack[depth++] = first;
	while (depth) {
		uint32_t i = run->stack[--depth];
		const struct step *step = &run->steps[i];
		if (step->op == OP_COUNT && !carried)
			add_start(run, step, &run->starts[i]);
		carried = false;
		if (run->mark[i] == at + 1 && step->op != OP_COUNT)
			continue;
		bool listed = run->mark[i] == at + 1;
		run->mark[i] = at + 1;
		switch (step->op) {
		case OP_MATCH:
			matched = true;
			break;
		case OP_SET:
			run->soon[run->soon_count++] = i;
			break;
		case OP_COUNT:
			if (!listed)
				run->soon[run->soon_count++] = i;
			if (step->min == 0 && run->mark[i + 1] != at + 1)
				run->stack[depth++] = i + 1;
			break;
		case OP_JUMP:
			run->stack[depth++] = step->a;
			break;
		case OP_SPLIT:
			run->stack[depth++] = step->b;
			run->stack[depth++] = step->a;
			break;
		default:
			if (holds(run, step, at))
				run->stack[depth++] = step->op == OP_AHEAD ? step->b : i + 1;
		}
	}
	return matched;
}

/* Moves the repetitions of a COUNT over one character, up to the place run->place: all take it or all end, and those that are too
 * long now end too. */
static void count_on(struct run *run, uint32_t i, bool taken)
{
	uint32_t max = run->steps[i].max;
	struct starts *starts = &run->starts[i];
	if (!taken)
		starts->from = starts->to = 0;
	if (max == PATTERN_NO_LIMIT)
		return;
	while (starts->from < starts->to && run->place - starts->v[starts->from].low > max) {
		struct interval *oldest = &starts->v[starts->from];
		if (run->place - oldest->high > max)
			starts->from++;
		else
			oldest->low = run->place - max;
	}
}

/* Lists what a COUNT leads to once count_on() has moved every COUNT: itself, and what follows it when it is long enough. */
static bool follow_count(struct run *run, uint32_t i, size_t at)
{
	const struct starts *starts = &run->starts[i];
	/* Repetitions that another step has begun here meanwhile have listed it themselves. */
	if (starts->from == starts->to || starts->v[starts->from].low == run->place)
		return false;
	size_t longest = run->place - starts->v[starts->from].low;
	bool matched = follow(run, i, at, true);
	if (longest >= run->steps[i].min)
		matched |= follow(run, i + 1, at, false);
	return matched;
}

/* Runs the program that begins at step `first` on the text from `at` on. */
static bool run_from(struct run *run, uint32_t first, size_t at, bool whole)
{
	run->place = 0;
	run->soon_count = 0;
	bool matched = follow(run, first, at, false);
	while (run->soon_count && at < run->text.n && (whole || !matched)) {
		uint32_t *list = run->soon, count = run->soon_count;
		run->soon = run->now;
		run->now = list;
		run->soon_count = 0;
		uint32_t c = pattern_decode(run->text, &at);
		run->place++;
		matched = false;
		for (uint32_t k = 0; k < count; k++)
			if (run->steps[list[k]].op == OP_COUNT)
				count_on(run, list[k], pattern_set_has(run->steps[list[k]].set, c));
		for (uint32_t k = 0; k < count; k++) {
			const struct step *step = &run->steps[list[k]];
			if (step->op == OP_COUNT)
				matched |= follow_count(run, list[k], at);
			else if (pattern_set_has(step->set, c))
				matched |= follow(run, list[k] + 1, at, false);
		}
	}
	return matched && (!whole || at == run->text.n);
}

bool pattern_match(struct arena *a, const struct pattern *pattern, struct str text)
{
	struct run *run = new_run(a, pattern->steps, pattern->count, text.p ? text : S(""));
	return run_from(run, 0, 0, true);
}
