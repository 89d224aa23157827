/* What a launch template says and what RunInstances makes of it. The data of a version are kept as EC2 shows them. Private to
 * aws/ec2. */
#pragma once
#include "aws/ec2/compute.h"

/* Checks what a request gives and makes it what is shown. CALL_FAIL: no data, or data that no launch could use. */
int ec2_launch_data_take(struct call *c, const struct ec2_request_launch_template_data *in,
                         struct ec2_response_launch_template_data **ret);
/* What `under` has and `over` has not goes into `over`, one parameter after the other. */
void ec2_launch_data_inherit(struct ec2_response_launch_template_data *over, const struct ec2_response_launch_template_data *under);

/* launch_template.c: the id of a template by name; absent: there is none. */
struct str ec2_launch_template_id(struct call *c, struct str name);
/* Names that are none have an error of their own. */
bool ec2_launch_template_check_first(struct call *c, const void *in);
/* The record that is named by one of both. CALL_FAIL: neither or both are given, or it is not there. */
int ec2_launch_template_given(struct call *c, struct str id, struct str name, struct state_ec2_launch_template_record *ret);

/* launch_version.c: the version that a number, $Latest, $Default or nothing (the default one) means. CALL_FAIL: it is none, or not
 * there. */
int ec2_launch_version_given(struct call *c, const struct ec2_launch_template *t, struct str version,
                             struct ec2_launch_template_version *ret);
bool ec2_launch_version_find(const struct ec2_scope *s, struct str template, int64_t number,
                             struct ec2_launch_template_version *ret);
void ec2_launch_version_put(const struct ec2_scope *s, const struct ec2_launch_template_version *v);
void ec2_launch_versions_drop_all(const struct ec2_scope *s, struct str template);

/* launch_run.c: what RunInstances was asked for, with all that the named template adds. Where none is named *ret is *in. Asked is
 * also whether the caller may use what the template names. *ret_tags: those that an instance made of a template has. */
int ec2_launch_template_apply(struct call *c, const struct ec2_run_instances_request *in, struct ec2_run_instances_request *ret,
                              struct ec2_tag_list *ret_tags);

/* launch_data.c: members of one structure that another has as well, whatever both are called, by the members' names. Structures of
 * EC2's model; `to` keeps what `from` has not. */
/* How many bytes a member has in its structure. */
size_t ec2_slot_size(const struct shape *shape);
void ec2_carry(struct arena *a, const char *from_shape, const void *from, const char *to_shape, void *to);

ec2_create_launch_template_handler ec2_create_launch_template;
ec2_create_launch_template_version_handler ec2_create_launch_template_version;
ec2_delete_launch_template_handler ec2_delete_launch_template;
ec2_delete_launch_template_versions_handler ec2_delete_launch_template_versions;
ec2_describe_launch_templates_handler ec2_describe_launch_templates;
ec2_describe_launch_template_versions_handler ec2_describe_launch_template_versions;
ec2_get_launch_template_data_handler ec2_get_launch_template_data;
ec2_modify_launch_template_handler ec2_modify_launch_template;
