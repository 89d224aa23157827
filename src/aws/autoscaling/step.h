/* The next thing to do for a group: one idempotent look at what is wanted and at what there is. It writes what it decides into the
 * group's record and says what EC2 is to be asked for; keeper.c does that once the record is durable. Asking twice for the same
 * changes nothing: launches have tokens, and all else is asked for as long as it is not so. Private to aws/autoscaling. */
#pragma once
#include "launch.h"

#include "aws/ec2/ec2.h"

enum act_kind { ACT_LAUNCH, ACT_TERMINATE, ACT_START, ACT_STOP, ACT_TAG, ACT_UNTAG };
struct act {
	enum act_kind kind;
	struct str slot, id, request;
};
struct acts {
	struct act *v;
	uint32_t n;
	bool set;
};

struct step {
	const struct scope *s;
	struct state_autoscaling_group_record *r;
	struct acts acts;
	int64_t wake_ms; /* 0: nothing is waited for but changes */
	bool over;       /* the group is gone */
};
void step_run(struct step *t);
void step_wake(struct step *t, int64_t at_ms);

/* EC2 is to be asked. */
void step_act(struct step *t, enum act_kind kind, const struct state_autoscaling_member *m);
/* A new member, in that state; extra: it does not count until it serves. False: it cannot be made, which is told. */
bool step_launch_as(struct step *t, const struct places *all, int at, struct str cause, bool extra, const char *state);
static inline bool step_launch(struct step *t, const struct places *all, int at, struct str cause, bool extra)
{
	return step_launch_as(t, all, at, cause, extra, "Pending");
}

/* What came of a launch; the slot may be gone. */
void step_launched(const struct scope *s, struct state_autoscaling_group_record *r, struct str slot, struct str id);
void step_launch_failed(const struct scope *s, struct state_autoscaling_group_record *r, struct str slot, struct str code,
                        struct str message);

/* Begins a member's end; cause: without the time in front of it. */
void step_terminate(const struct scope *s, struct state_autoscaling_group_record *r, struct state_autoscaling_member *m,
                    struct str cause);

/* The member's launch was abandoned: it ends, and nothing else is asked. */
void step_abandoned(struct step *t, struct state_autoscaling_member *m);

/* balance.c: where the next member goes; -1: nowhere. Which member goes next; NULL: all are protected. */
int balance_place(const struct step *t, const struct places *all);
struct state_autoscaling_member *balance_victim(const struct step *t);
/* Are the zones so unequal that one more is launched before one goes? -1, or where. *ret_zones: those that lack. */
int balance_wanted(const struct step *t, const struct places *all, struct str *ret_zones);
