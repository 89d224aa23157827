/* Every service of the cloud. A folder beside this file has each. */
#include "core/service.h"

extern const struct service acm_service;
extern const struct service application_autoscaling_service;
extern const struct service autoscaling_service;
extern const struct service beanstalk_agent_service;
extern const struct service budgets_service;
extern const struct service ce_service;
extern const struct service cloudwatch_service;
extern const struct service ec2_service;
extern const struct service ecr_service;
extern const struct service ecs_agent_service;
extern const struct service ecs_service;
extern const struct service elasticbeanstalk_service;
extern const struct service elbv2_service;
extern const struct service events_service;
extern const struct service iam_service;
extern const struct service kms_service;
extern const struct service lambda_service;
extern const struct service logs_service;
extern const struct service pricing_service;
extern const struct service route53_service;
extern const struct service route53resolver_service;
extern const struct service s3_service;
extern const struct service savingsplans_service;
extern const struct service scheduler_service;
extern const struct service secretsmanager_service;
extern const struct service servicediscovery_service;
extern const struct service sns_service;
extern const struct service sqs_service;
extern const struct service ssm_service;
extern const struct service sts_service;

const struct service *const cloud_services[] = {
        &acm_service,
        &application_autoscaling_service,
        &autoscaling_service,
        &beanstalk_agent_service,
        &budgets_service,
        &ce_service,
        &cloudwatch_service,
        &ec2_service,
        &ecr_service,
        &ecs_agent_service,
        &ecs_service,
        &elasticbeanstalk_service,
        &elbv2_service,
        &events_service,
        &iam_service,
        &kms_service,
        &lambda_service,
        &logs_service,
        &pricing_service,
        &route53_service,
        &route53resolver_service,
        &s3_service,
        &savingsplans_service,
        &scheduler_service,
        &secretsmanager_service,
        &servicediscovery_service,
        &sns_service,
        &sqs_service,
        &ssm_service,
        &sts_service,
        NULL,
};
