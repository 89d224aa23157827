/* Dashboards. Private to aws/cloudwatch. */
#pragma once
#include "core/service.h"
#include "gen/cloudwatch.h"

cloudwatch_delete_dashboards_handler cloudwatch_delete_dashboards;
cloudwatch_get_dashboard_handler cloudwatch_get_dashboard;
cloudwatch_list_dashboards_handler cloudwatch_list_dashboards;
cloudwatch_put_dashboard_handler cloudwatch_put_dashboard;
