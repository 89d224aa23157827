/* Which driver runs an instance: a virtual machine, or a system container under this machine's kernel. The tag quartet:driver of
 * the request says it, else that of the image, else the configuration; `auto` takes what is quick here: a machine where guests run
 * under KVM, else a container. An image with a boot loader of its own has partitions, and no kernel would mount it as a container's
 * root.
 */
#include "aws/ec2/compute.h"
#include "aws/ec2/desk.h"
#include "engine/vm/machine.h"

static struct str wanted(const struct ec2_tag_list *tags)
{
	for (uint32_t i = 0; i < tags->n; i++)
		if (str_is(tags->v[i].key, EC2_DRIVER_TAG))
			return tags->v[i].value;
	return STR_NONE;
}

int ec2_driver_choose(struct call *c, const struct ec2_tag_list *tags, const struct state_ec2_image_record *image,
                      bool *ret_container)
{
	static const struct machines_facts unknown = {.why_not = "sandboxes do not work on this machine",
	                                              .no_containers = "sandboxes do not work on this machine"};
	const struct desk *d = ec2_state(c)->desk;
	const struct machines_facts *f = d && d->machines ? machines_facts(d->machines) : &unknown;
	struct str asked = wanted(tags);
	if (!str_set(asked))
		asked = wanted(&image->image->tags);
	if (!str_set(asked))
		asked = str_from(c->cloud->instances ? c->cloud->instances : "auto");
	bool fits = !str_empty(image->boot);
	if (str_is(asked, "auto")) {
		*ret_container = fits && f->containers_work && f->kvm != MACHINES_KVM_WORKS;
		return CALL_OK;
	}
	if (str_is(asked, "container")) {
		if (f->known && !f->containers_work)
			return call_fail(c, "Unsupported", 400, "Instances cannot be containers here: %s.", f->no_containers);
		if (!fits)
			return call_fail(c, "Unsupported", 400,
			                 "The image '%.*s' boots by itself and can be a virtual machine only.",
			                 STR_ARG(image->image->image_id));
		*ret_container = true;
		return CALL_OK;
	}
	if (!str_is(asked, "vm"))
		return ec2_invalid(c, "The value '%.*s' of the tag " EC2_DRIVER_TAG " is not one of vm, container, auto",
		                   STR_ARG(asked));
	if (f->known && !f->works)
		return call_fail(c, "Unsupported", 400, "Instances cannot be virtual machines here: %s.", f->why_not);
	*ret_container = false;
	return CALL_OK;
}
