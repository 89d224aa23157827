/* What HAProxy is told. A name is a listener with a row of servers that are nowhere yet; the program puts addresses into them and
 * takes them out, which ends no connection. An address keeps its place as long as it is there. */
#include "connect.h"

#include "base/buf.h"

enum { SERVERS = 64, TEXT_MAX_BYTES = 96 * 1024, FIRST_PORT = 61000, NOBODY = 65534 };
#define PROXY "127.255.255.254"

const char connect_program[] =
        "local have, places = '', {}\n"
        "local function put(name, addresses)\n"
        "  local servers, place, wanted = core.backends[name].servers, places[name] or {}, {}\n"
        "  places[name] = place\n"
        "  for _, a in ipairs(addresses) do wanted[a] = true end\n"
        "  for i = 1, #place do\n"
        "    if place[i] and not wanted[place[i]] then servers['s' .. i]:set_maint() place[i] = false end\n"
        "    if place[i] then wanted[place[i]] = nil end\n"
        "  end\n"
        "  for _, a in ipairs(addresses) do\n"
        "    if wanted[a] then\n"
        "      local i = 1\n"
        "      while place[i] do i = i + 1 end\n"
        "      local s = servers['s' .. i]\n"
        "      if not s then break end\n"
        "      local ip, port = a:match('^(.*):(%d+)$')\n"
        "      s:set_addr(ip, port)\n"
        "      s:set_ready()\n"
        "      place[i] = a\n"
        "    end\n"
        "  end\n"
        "end\n"
        "core.register_task(function()\n"
        "  while true do\n"
        "    local r = core.httpclient():get{url = 'http://169.254.170.2/connect?have=' .. have, timeout = 60000}\n"
        "    if r and r.status == 200 then\n"
        "      for line in r.body:gmatch('[^\\n]+') do\n"
        "        local name, rest = line:match('^(%S+) ?(.*)$')\n"
        "        local list = {}\n"
        "        for a in rest:gmatch('%S+') do list[#list + 1] = a end\n"
        "        if name == 'version' then have = rest else put(name, list) end\n"
        "      end\n"
        "    else\n"
        "      core.msleep(500)\n"
        "    end\n"
        "  end\n"
        "end)\n"
        /* What was counted since the last report that arrived: see connect_count.c. */
        "local FRONT, BACK = {'conn_tot', 'req_tot', 'bin', 'bout'}, {'hrsp_2xx', 'hrsp_3xx', 'hrsp_4xx', 'hrsp_5xx'}\n"
        "local function numbers(front, back)\n"
        "  local now, targets = {}, 0\n"
        "  for i, name in ipairs(FRONT) do now[i] = tonumber(front[name]) or 0 end\n"
        "  for i = 5, 8 do now[i] = 0 end\n"
        "  for _, s in pairs(back.servers) do\n"
        "    local known = s:get_stats()\n"
        "    if (tonumber(known.stot) or 0) > 0 then\n"
        "      for i, name in ipairs(BACK) do now[4 + i] = now[4 + i] + (tonumber(known[name]) or 0) end\n"
        "    end\n"
        "    if known.status:match('^UP') or known.status == 'no check' then targets = targets + 1 end\n"
        "  end\n"
        "  return now, targets\n"
        "end\n"
        "core.register_task(function()\n"
        "  local said = {}\n"
        "  while true do\n"
        "    core.msleep(10000)\n"
        "    local lines, news = {}, {}\n"
        "    for name, f in pairs(core.frontends) do\n"
        "      local s, last = f:get_stats(), said[name] or {0, 0, 0, 0, 0, 0, 0, 0}\n"
        "      local active, changed = tonumber(s.scur) or 0, false\n"
        "      for i, key in ipairs(FRONT) do changed = changed or (tonumber(s[key]) or 0) ~= last[i] end\n"
        "      local back = core.backends[(name:gsub('^[fd]', {f = 'b', d = 'e'}))]\n"
        "      if back and (changed or active > 0) then\n"
        "        local now, targets = numbers(s, back)\n"
        "        local line = {name, active, targets, tonumber(back:get_stats().rtime) or 0}\n"
        "        for i, n in ipairs(now) do line[4 + i] = n - last[i] end\n"
        "        lines[#lines + 1], news[name] = table.concat(line, ' '), now\n"
        "      end\n"
        "    end\n"
        "    if #lines > 0 then\n"
        "      local r = core.httpclient():put{url = 'http://169.254.170.2/connect', body = table.concat(lines, '\\n'), timeout = 60000}\n"
        "      if r and r.status == 404 then return end\n"
        "      if r and r.status == 200 then for name, now in pairs(news) do said[name] = now end end\n"
        "    end\n"
        "  end\n"
        "end)\n";

static void put_idle(struct buf *b, int64_t idle_s)
{
	if (idle_s)
		buf_printf(b, "  timeout client %llds\n", (long long)idle_s);
}

static void put_answer(struct buf *b, bool http, int64_t idle_s, int64_t request_s)
{
	int64_t limit_s = http ? request_s : idle_s;
	if (limit_s)
		buf_printf(b, "  timeout server %llds\n", (long long)limit_s);
}

static bool is_h2(struct str protocol)
{
	return str_is(protocol, "http2") || str_is(protocol, "grpc");
}

struct str connect_rules(struct arena *a, const struct state_ecs_connect_record *r)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX_BYTES);
	buf_printf(&b, "table ip connect {\n  chain output {\n    type nat hook output priority -100;\n");
	for (uint32_t i = 0; i < r->names.n; i++)
		buf_printf(&b, "    ip daddr %.*s tcp dport %lld dnat to " PROXY ":%u\n", STR_ARG(r->names.v[i].address),
		           (long long)r->names.v[i].port.v, FIRST_PORT + i);
	buf_printf(&b, "  }\n}\n");
	return arena_dup(a, buf_str(&b));
}

struct str connect_text(struct arena *a, const struct state_ecs_connect_record *r)
{
	struct buf CLEAN_BUF b = {0};
	buf_init(&b, TEXT_MAX_BYTES);
	buf_printf(&b,
	           "global\n  lua-load /tmp/feed.lua\n  nbthread 1\n  maxconn 2000\n  uid %d\n  gid %d\n"
	           "  log stdout format raw local0\n"
	           "defaults\n  log global\n  option dontlog-normal\n  timeout connect 2s\n  timeout client 1h\n"
	           "  timeout server 1h\n  retries 2\n  option redispatch 1\n",
	           NOBODY, NOBODY);
	for (uint32_t i = 0; i < r->names.n; i++) {
		const struct state_ecs_connect_name *n = &r->names.v[i];
		bool http = !str_is(n->protocol, "tcp");
		const char *h2 = is_h2(n->protocol) ? " proto h2" : "", *mode = http ? "http" : "tcp";
		buf_printf(&b, "frontend f%u\n  mode %s\n  option %slog\n  bind " PROXY ":%u%s\n", i, mode, mode, FIRST_PORT + i,
		           h2);
		put_idle(&b, n->idle_seconds.v);
		buf_printf(&b, "  default_backend b%u\nbackend b%u\n  mode %s\n  balance roundrobin\n", i, i, mode);
		put_answer(&b, http, n->idle_seconds.v, n->request_seconds.v);
		/* What may have been begun is not sent a second time. */
		if (http)
			buf_printf(&b, "  retry-on conn-failure empty-response\n"
			               "  http-request disable-l7-retry unless METH_GET or { method HEAD OPTIONS }\n");
		buf_printf(
		        &b,
		        "  server-template s 1-%d 127.0.0.1:1 disabled%s check inter 5s fall 3 rise 1 observe layer4 error-limit 5 "
		        "on-error mark-down\n",
		        SERVERS, h2);
	}
	for (uint32_t i = 0; i < r->doors.n; i++) {
		const struct state_ecs_connect_door *d = &r->doors.v[i];
		bool http = !str_is(d->protocol, "tcp");
		const char *h2 = is_h2(d->protocol) ? " proto h2" : "";
		const char *mode = http ? "http" : "tcp";
		buf_printf(&b, "frontend d%u\n  mode %s\n  bind :%lld%s\n", i, mode, (long long)d->port.v, h2);
		put_idle(&b, d->idle_seconds.v);
		buf_printf(&b, "  default_backend e%u\nbackend e%u\n  mode %s\n", i, i, mode);
		put_answer(&b, http, d->idle_seconds.v, d->request_seconds.v);
		buf_printf(&b, "  server app 127.0.0.1:%lld%s\n", (long long)d->to.v, h2);
	}
	return arena_dup(a, buf_str(&b));
}
