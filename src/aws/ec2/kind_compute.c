/* The kinds of things that compute: how their ids look and what is said when one is not there. */
#include "aws/ec2/capacity/fleet.h"
#include "aws/ec2/capacity/placement.h"
#include "aws/ec2/capacity/reservation.h"
#include "aws/ec2/capacity/spot.h"
#include "aws/ec2/compute.h"
#include "aws/ec2/instance/event_window.h"
#include "aws/ec2/storage/import.h"

#define ROW_OF(api, shape, type) .row = {&api##_api, shape}, .size = sizeof(struct type)

const struct ec2_kind ec2_kind_key_pair = {
        .prefix = "key",
        .type = "key-pair",
        .noun = "key pair",
        .ids = "keyPairIds",
        .not_found = "InvalidKeyPair.NotFound",
        .malformed = "InvalidKeyPairID.Malformed",
        .tags_at = offsetof(struct ec2_key_pair_info, tags),
        ROW_OF(ec2, "KeyPairInfo", ec2_key_pair_info),
};
const struct ec2_kind ec2_kind_instance = {
        .prefix = "i",
        .type = "instance",
        .noun = "instance ID",
        .ids = "instancesSet",
        .not_found = "InvalidInstanceID.NotFound",
        .malformed = "InvalidInstanceID.Malformed",
        .tags_at = offsetof(struct ec2_instance, tags),
        .nested = true,
        .holder = ec2_instance_holder,
        ROW_OF(state_ec2, "InstanceRecord", state_ec2_instance_record),
};
const struct ec2_kind ec2_kind_volume = {
        .prefix = "vol",
        .type = "volume",
        .absent = NULL,
        .noun = "volume",
        .ids = "volumeIds",
        .not_found = "InvalidVolume.NotFound",
        .malformed = "InvalidVolumeID.Malformed",
        .tags_at = offsetof(struct ec2_volume, tags),
        .nested = true,
        .holder = ec2_volume_holder,
        ROW_OF(state_ec2, "VolumeRecord", state_ec2_volume_record),
};
const struct ec2_kind ec2_kind_snapshot = {
        .prefix = "snap",
        .type = "snapshot",
        .noun = "snapshot",
        .ids = "snapshotIds",
        .not_found = "InvalidSnapshot.NotFound",
        .malformed = "InvalidSnapshotID.Malformed",
        .tags_at = offsetof(struct ec2_snapshot, tags),
        .nested = true,
        ROW_OF(state_ec2, "SnapshotRecord", state_ec2_snapshot_record),
};
const struct ec2_kind ec2_kind_image = {
        .prefix = "ami",
        .type = "image",
        .noun = "image id",
        .ids = "imageIds",
        .not_found = "InvalidAMIID.NotFound",
        .malformed = "InvalidAMIID.Malformed",
        .tags_at = offsetof(struct ec2_image, tags),
        .nested = true,
        ROW_OF(state_ec2, "ImageRecord", state_ec2_image_record),
};
const struct ec2_kind ec2_kind_launch_template = {
        .prefix = "lt",
        .type = "launch-template",
        .noun = "launch template ID",
        .ids = "launchTemplateIds",
        .not_found = "InvalidLaunchTemplateId.NotFound",
        .malformed = "InvalidLaunchTemplateId.Malformed",
        .tags_at = offsetof(struct ec2_launch_template, tags),
        .nested = true,
        ROW_OF(state_ec2, "LaunchTemplateRecord", state_ec2_launch_template_record),
};
const struct ec2_kind ec2_kind_import_snapshot = {
        .prefix = "import-snap",
        .type = "import-snapshot-task",
        .noun = "import task ID",
        .ids = "importTaskIds",
        .not_found = "InvalidConversionTaskId",
        .malformed = "InvalidConversionTaskId.Malformed",
        .tags_at = offsetof(struct ec2_import_snapshot_task, tags),
        .nested = true,
        ROW_OF(state_ec2, "ImportSnapshotRecord", state_ec2_import_snapshot_record),
};
const struct ec2_kind ec2_kind_import_image = {
        .prefix = "import-ami",
        .type = "import-image-task",
        .noun = "import task ID",
        .ids = "importTaskIds",
        .not_found = "InvalidConversionTaskId",
        .malformed = "InvalidConversionTaskId.Malformed",
        .tags_at = offsetof(struct ec2_import_image_task, tags),
        .nested = true,
        ROW_OF(state_ec2, "ImportImageRecord", state_ec2_import_image_record),
};
const struct ec2_kind ec2_kind_fleet = {
        .prefix = "fleet",
        .type = "fleet",
        .noun = "fleet ID",
        .ids = "fleetIds",
        .not_found = "InvalidFleetId.NotFound",
        .malformed = "InvalidFleetId.Malformed",
        .tags_at = offsetof(struct ec2_fleet_data, tags),
        .nested = true,
        ROW_OF(state_ec2, "FleetRecord", state_ec2_fleet_record),
};
const struct ec2_kind ec2_kind_placement_group = {
        .prefix = "pg",
        .type = "placement-group",
        .noun = "placement group ID",
        .ids = "groupIds",
        .not_found = "InvalidPlacementGroupId.NotFound",
        .malformed = "InvalidPlacementGroupId.Malformed",
        .tags_at = offsetof(struct ec2_placement_group, tags),
        ROW_OF(ec2, "PlacementGroup", ec2_placement_group),
};
const struct ec2_kind ec2_kind_event_window = {
        .prefix = "iew",
        .type = "instance-event-window",
        .noun = "instance event window ID",
        .ids = "instanceEventWindowIds",
        .not_found = "InvalidInstanceEventWindowID.NotFound",
        .malformed = "InvalidInstanceEventWindowID.Malformed",
        .tags_at = offsetof(struct ec2_instance_event_window, tags),
        ROW_OF(ec2, "InstanceEventWindow", ec2_instance_event_window),
};
const struct ec2_kind ec2_kind_reservation = {
        .prefix = "cr",
        .type = "capacity-reservation",
        .noun = "capacity reservation ID",
        .ids = "capacityReservationIds",
        .not_found = "InvalidCapacityReservationId.NotFound",
        .malformed = "InvalidCapacityReservationId.Malformed",
        .tags_at = offsetof(struct ec2_capacity_reservation, tags),
        ROW_OF(ec2, "CapacityReservation", ec2_capacity_reservation),
};
const struct ec2_kind ec2_kind_spot_request = {
        .prefix = "sir",
        .type = "spot-instances-request",
        .noun = "spot instance request ID",
        .ids = "spotInstanceRequestIds",
        .not_found = "InvalidSpotInstanceRequestID.NotFound",
        .malformed = "InvalidSpotInstanceRequestID.Malformed",
        .tags_at = offsetof(struct ec2_spot_instance_request, tags),
        ROW_OF(ec2, "SpotInstanceRequest", ec2_spot_instance_request),
};
