#include "role/cli.h"
#include "role/role.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

const struct cli_command cli_commands[] = {
        {"up", "[OPTIONS]", "Start the cloud",
         "  --data DIR          where state lives (default: $QUARTET_DATA, else /var/lib/quartet as root)\n"
         "  --listen ADDR:PORT  the endpoint (default: 127.0.0.1:4566)\n"
         "  --tls-port PORT     the same over TLS, with a certificate of the cloud's own CA (default: PORT + 1; 0: none)\n"
         "  --config FILE       settings and further credentials; docs/GUIDE.md lists the keys\n"
         "  --runtimes DIR      the runtime clients that functions find at /var/runtime\n"
         "  --cell-network NET  addresses of the sandboxes' links (default: 100.88.0.0/16)\n"
         "  --instances DRIVER   how EC2 instances run: vm, container, or auto (vm where KVM works; the default)\n"
         "  --kvm auto|no        whether guests may run under KVM, once one was seen to boot under it (auto)\n"
         "  --resolver ADDRESS  the name server for functions and instances (default: the machine's)\n"
         "  --ephemeral         keep everything in a temporary directory that disappears at the end\n"
         "  --background        return once the cloud answers; its log goes to DIR/quartet.log\n",
         cli_up},
        {"down", "[--data DIR]", "Stop the cloud; its state stays", NULL, cli_down},
        {"status", "[--data DIR]", "Say whether the cloud runs and what it holds", NULL, cli_status},
        {"env", "[--data DIR] [--tls]", "Print shell lines that point AWS tools at the cloud: eval \"$(quartet env)\"", NULL,
         cli_env},
        {"doctor", "[--data DIR]", "Say what this machine can run, and how to get what is missing", NULL, cli_doctor},
        {"reset", "[--data DIR]", "Throw everything in the cloud away",
         "Users, buckets, functions, logs: all of every account. The root key and the certificates stay. There is no way back.\n",
         cli_reset},
        {"logs", "[--data DIR] [--follow] [--since MINUTES] [GROUP]", "Show a log group, or the cloud's own log",
         "  --since MINUTES     how far back a log group is shown (default: 60)\n"
         "  --follow            go on showing what comes\n"
         "GROUP may be the name of a function. Without it: the log that `quartet up --background` writes.\n",
         cli_logs},
        {"exec", "[--data DIR] FUNCTION|INSTANCE|TASK [--container NAME] [COMMAND...]",
         "Open a shell in an instance, in a container of a task or in a sandbox of a function",
         "INSTANCE is an id (i-...): the shell or command is root's, without keys, with a terminal where standard input and output are\n"
         "one; else bytes pass as they are. The exit status is the command's; 1 when there is no way in, 255 when the way broke.\n"
         "TASK is an id or ARN of a task of ECS that was run with --enable-execute-command; the command is root's, with the container's\n"
         "environment, and its standard error comes with its standard output. The permission is ecs:ExecuteCommand.\n"
         "FUNCTION must have been invoked and may have a version or an alias: NAME:QUALIFIER. Without COMMAND: /bin/sh. The sandbox is\n"
         "not frozen any more afterwards.\n",
         cli_exec},
        {"image",
         "import [--data DIR] --name NAME [--description TEXT] FILE | import [--data DIR] --repository NAME[:TAG] FILE | list [--data DIR]",
         "Make an image for instances, put a container image into a repository of ECR, or list the images of instances",
         "FILE is a disk image (raw or qcow2) with its own boot loader, a raw ext4 file system, a tarball of a root file system, or a\n"
         "container image (a folder or archive in the OCI layout, or what `docker save` writes). File systems start with the kernel of\n"
         "the machine image and need a /sbin/init of their own. The image's id is printed. With --repository, a container image goes\n"
         "to ECR as it is; the repository is made if it is not there. What tasks and functions call it is printed.\n",
         cli_image},
        {"why", "[--data DIR] REQUEST-ID", "Say which policy statement allowed or denied a request",
         "The id is in the header x-amzn-RequestId (S3: x-amz-request-id) of every reply. Kept are the last 4096 decisions, without\n"
         "those that allowed a root user, until the cloud stops.\n",
         cli_why},
        {"why-not", "[--data DIR] [--region REGION] FROM TO PORT[/udp]",
         "Say which rule, route or ACL entry stops a connection, or that nothing does",
         "FROM and TO: an instance, an interface, an address, `internet` or `host` (this machine; what comes from either comes by the\n"
         "internet gateway). Asked of the records that are enforced; the way back is looked at too. Whether something listens is known\n"
         "only where this machine can try it: from `internet` or `host` to a public address. The exit status is 1 when it is stopped.\n",
         cli_why_not},
        {"retire", "[--data DIR] [--region REGION] [--in DURATION] [--code CODE] INSTANCE | --cancel INSTANCE | TASK",
         "Schedule an event of an instance's host, or interrupt a spot task, as AWS does",
         "  --in DURATION       when: a number of s, m, h or d from now (default: 5m)\n"
         "  --code CODE         instance-retirement (the default) or instance-stop: it is stopped and can be started again;\n"
         "                      instance-reboot or system-reboot: it is rebooted\n"
         "  --cancel            call off what is scheduled\n"
         "The event's id is printed. DescribeInstanceStatus and the instance's metadata show it, and reboots may be put off\n"
         "(ModifyInstanceEventStartTime). The permission is quartet:RetireInstance on the instance.\n"
         "TASK, by id or ARN, has to be one of FARGATE_SPOT: it gets SIGTERM now, and its service starts another one\n"
         "(quartet:InterruptTask on the task).\n",
         cli_retire},
        {"chaos", "[--data DIR] [--region REGION] FAULT TARGET [--for SECONDS] | list | stop [NUMBER]",
         "Cause a real fault for a time, to see what comes of it",
         "  zone-down ZONE            the links of all interfaces in an availability zone are down\n"
         "  slow ZONE                 packets to them wait; it needs a kernel with netem\n"
         "    --delay MS              so many milliseconds (default: 100)\n"
         "  lossy ZONE                packets from and to them get lost\n"
         "    --percent N             so many of a hundred (default: 10)\n"
         "  api-throttle SERVICE|all  calls of clients are answered with the service's own error for too many calls\n"
         "    --percent N             so many of a hundred (default: 100)\n"
         "  spot-interrupt INSTANCE   a spot instance gets its notice, and is ended --for SECONDS later (default: 120)\n"
         "  spot-rebalance INSTANCE   a spot instance is recommended to be replaced, as before an interruption\n"
         "  kill-instance INSTANCE    its processes are killed, as when its host fails; it is not started again by this\n"
         "  --for SECONDS             how long, at most a day (default: 60)\n"
         "A fault ends by itself, and with the cloud's process. Its number is printed; `list` shows those in force, `stop` ends one or\n"
         "all before their time. The permission is quartet:InjectFault, on the instance where there is one.\n",
         cli_chaos},
        {"clock", "[--data DIR] [forward DURATION]", "Say what time it is in the cloud, or move its clock forward",
         "  forward DURATION    a number of s, m, h or d: schedules, cooldowns, expiries and all that waits by the clock comes that much\n"
         "                      sooner\n"
         "The clock stays ahead of the machine's until `quartet reset`, and never goes back. What takes real time goes on taking it: starts,\n"
         "time limits of functions, health checks. Clients' signatures are held against the machine's clock. The permission is\n"
         "quartet:MoveClock.\n",
         cli_clock},
        {"bill",
         "[--data DIR] [--month YYYY-MM | --from DATE --to DATE] [--by WHAT] [--region REGION] [--json | --csv] [--project-month]",
         "Say what it would have cost on AWS",
         "  --month YYYY-MM     another month than the present one; the last 14 are kept\n"
         "  --from DATE         (YYYY-MM-DD) from this day on, in place of the month's first\n"
         "  --to DATE           up to this day, which is not in it, in place of the month's end\n"
         "  --by service        one line a service\n"
         "  --by tag:KEY        one a value of a cost allocation tag and service, as the tags were at the time of use\n"
         "  --by resource       one a resource and usage type, of the last 14 days\n"
         "  --by day            one a day\n"
         "  --region REGION     one region alone\n"
         "  --json              for programs\n"
         "  --csv               the columns of a cost and usage report, one line a day and usage type; with --by also the resource or tag\n"
         "  --project-month     also what the month will have cost if everything that goes on now goes on\n"
         "The present account's, by service and usage type, as Cost Explorer (aws ce get-cost-and-usage) says it.\n",
         cli_bill},
        {"top", "[--data DIR] [--region REGION] [--once]", "Show what runs in the cloud, and how busy it is",
         "  --region REGION     another region than that of `quartet env`\n"
         "  --once              print it once, as it is done where the output is no terminal\n"
         "Instances, tasks, functions, groups and alarms of the root user's account, asked anew every second; loads are CloudWatch's newest\n"
         "numbers, tasks' those of their service. Keys: q ends it, up and down scroll, left and right show one kind.\n",
         cli_top},
        {"compare", "[--data DIR] [OPTIONS] APPDIR", "Run one application in each model, measure, and say which to choose",
         "  --on LIST           some of the models: lambda,ecs,ec2,beanstalk (default: all)\n"
         "  --load LOAD         steady:10rps (the default), spiky:5rps-100rps/20s, cron:30s, or a file with lines SECOND RATE\n"
         "  --for TIME          how long each is loaded (default: 30s)\n"
         "  --path PATH         what is asked for (default: /); --body TEXT makes it a POST\n"
         "  --memory MB         of the function and the task (default: 512); --type TYPE of the instance (default: t3.micro)\n"
         "  --runtime, --handler  of the function, where the folder does not say it by its files' names\n"
         "  --duration MS, --inbound, --state, --gpu, --host  what it needs, as in `quartet choose`: who cannot run it is told why\n"
         "  --json              for programs; --html FILE also writes a page with plots\n"
         "APPDIR holds a Procfile with a line `web: COMMAND` (it listens at $PORT), a handler (lambda_function.py, index.mjs, index.js,\n"
         "bootstrap), or both; requirements.txt and package.json are installed for it. What is made is called compare-... and is gone at\n"
         "the end, also after Ctrl-C.\n",
         cli_compare},
        {"choose", "[OPTIONS]", "Say which model a described workload costs least in, without running anything",
         "  --load LOAD         steady:1rps (the default), spiky:5rps-100rps/20s (the second rate for a fifth of each period), or cron:30s:\n"
         "                      a job each time\n"
         "  --duration MS       of a request (default: 100)\n"
         "  --memory MB         that it needs (default: 512); --vcpus N: a server's\n"
         "  --concurrency N     requests that a task or instance works on at once (default: 10)\n"
         "  --cold PERCENT, --init MS  how many calls of a function start cold, and what that takes\n"
         "  --servers N         tasks or instances at least (default: 1; 2 for zones of their own, with a load balancer)\n"
         "  --type TYPE         of the instance (default: the smallest that has the memory); --disk GB (default: 8)\n"
         "  --private           without public addresses\n"
         "  --inbound, --state, --gpu, --host  it needs connections from outside, its disk kept, a GPU, the kernel or root of its host\n"
         "  --json              for programs\n"
         "The arithmetic is printed: what each part costs, and from how many requests on a server is cheaper than a function.\n",
         cli_choose},
        {"coverage", "[SERVICE]", "List operations as real, partial or absent",
         "Without SERVICE: how many of each, a line a service.\n", cli_coverage},
        {"invoke", "[--data DIR] [--log] [--watch DIR] FUNCTION [PAYLOAD]", "Invoke a function and print its answer",
         "  --log               print the last 4 KiB of the invocation's log on standard error\n"
         "  --watch DIR         give it the code in DIR and invoke it, again whenever a file there has changed, until interrupted\n"
         "PAYLOAD is JSON; without one it is {}. The exit status is 1 when the function fails.\n",
         cli_invoke},
        {NULL, NULL, NULL, NULL, NULL},
};

int cli_fail(struct cli *cli, int status, const char *fmt, ...)
{
	va_list ap;
	fprintf(stderr, "quartet %s: ", cli->command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

static void take_arguments(struct cli *cli, int at, int n)
{
	for (int i = at; i + n < cli->argc; i++)
		cli->argv[i] = cli->argv[i + n];
	cli->argc -= n;
}

bool cli_flag(struct cli *cli, const char *name)
{
	for (int i = 0; i < cli->argc; i++)
		if (strcmp(cli->argv[i], name) == 0) {
			take_arguments(cli, i, 1);
			return true;
		}
	return false;
}

const char *cli_option(struct cli *cli, const char *name, const char *fallback)
{
	size_t n = strlen(name);
	for (int i = 0; i < cli->argc; i++) {
		char *arg = cli->argv[i];
		if (strncmp(arg, name, n) != 0)
			continue;
		if (arg[n] == '=') {
			take_arguments(cli, i, 1);
			return arg + n + 1;
		}
		if (arg[n] == '\0' && i + 1 < cli->argc) {
			const char *value = cli->argv[i + 1];
			take_arguments(cli, i, 2);
			return value;
		}
	}
	return fallback;
}

int cli_rest(struct cli *cli, int max)
{
	for (int i = 0; i < cli->argc; i++)
		if (cli->argv[i][0] == '-' && cli->argv[i][1])
			return cli_fail(cli, CLI_USAGE, "unknown option %s (or its value is missing); see: quartet %s --help",
			                cli->argv[i], cli->command);
	if (cli->argc > max)
		return cli_fail(cli, CLI_USAGE, "unexpected argument \"%s\"; see: quartet %s --help", cli->argv[max], cli->command);
	return CLI_OK;
}

static void print_commands(FILE *to)
{
	fputs("usage: quartet COMMAND [ARGUMENTS]\n\nA compute cloud in one small program.\n\n", to);
	for (const struct cli_command *c = cli_commands; c->name; c++)
		fprintf(to, "  %-10s %s\n", c->name, c->summary);
	fputs("\n`quartet COMMAND --help` says more about one.\n", to);
}

static int command_run(const struct cli_command *c, struct cli *cli)
{
	/* What follows the words of `exec` belongs to the command inside. */
	if (cli->argc && (strcmp(cli->argv[0], "--help") == 0 || strcmp(cli->argv[0], "-h") == 0)) {
		printf("usage: quartet %s %s\n\n%s.\n%s%s", c->name, c->arguments, c->summary, c->help ? "\n" : "",
		       c->help ? c->help : "");
		return CLI_OK;
	}
	return c->run(cli);
}

int main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "role") == 0)
		return role_enter(argc, argv);
	if (argc < 2) {
		print_commands(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_commands(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("quartet " QUARTET_VERSION);
		return CLI_OK;
	}
	struct cli cli = {.program = argv[0], .command = argv[1], .argc = argc - 2, .argv = argv + 2};
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (strcmp(c->name, argv[1]) == 0) {
			int status = command_run(c, &cli);
			arena_done(&cli.arena);
			return status;
		}
	fprintf(stderr, "quartet: there is no command \"%s\"; see: quartet --help\n", argv[1]);
	return CLI_USAGE;
}
