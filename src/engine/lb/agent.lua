-- What runs inside a node's HAProxy: it hears what is wanted, puts targets into the backends' places, checks them, and says what it
-- has seen. The other end is node.c; it is reached at the address below, one connection for what is wanted and one for each report.
--
-- All that it knows lies in files too, so that a HAProxy that was killed begins where it stood, without asking anybody. New
-- configurations are taken by new processes (a reload); this one is then over: it looks after its last connections alone.

local HOME, PORT = '169.254.170.2', 80
local config, state = '-', '-' -- versions of what is in force
local groups = {}              -- by their tokens
local over = false
local refused                  -- a configuration that HAProxy would not have
local seconds = 1000

local function now()
  local t = core.now()
  return t.sec + t.usec / 1000000
end

---- files ----

local function read(name)
  local f = io.open(name, 'rb')
  local text = f and f:read('*a')
  if f then f:close() end
  return text
end

local function write(name, text)
  local f = io.open(name .. '.new', 'wb')
  if not f then return end
  f:write(text)
  f:close()
  os.rename(name .. '.new', name)
end

---- what requests' headers say of clients' certificates ----

local ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

local function base64(bytes)
  local out = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for k = 3, 0, -1 do
      local missing = (k == 0 and not c) or (k == 1 and not b)
      local at = math.floor(n / 64 ^ k) % 64 + 1
      out[#out + 1] = missing and '=' or ALPHABET:sub(at, at)
    end
  end
  return table.concat(out)
end

-- A row of certificates in DER (in hexadecimal: bytes would end at the first zero) as they stand in a header: each in PEM, its blanks
-- and line ends percent-encoded.
core.register_converters('pem', function(hex)
  local der = hex:gsub('..', function(pair) return string.char(tonumber(pair, 16)) end)
  local out, at = {}, 1
  while at + 4 <= #der and der:byte(at) == 0x30 do
    local length, size = der:byte(at + 1), 2
    if length >= 0x80 then
      size = 2 + length - 0x80
      length = 0
      for i = at + 2, at + size - 1 do length = length * 256 + (der:byte(i) or 0) end
    end
    local lines = base64(der:sub(at, at + size + length - 1)):gsub(('.'):rep(64), '%0%%0A')
    if lines:sub(-3) ~= '%0A' then lines = lines .. '%0A' end
    out[#out + 1] = '-----BEGIN%20CERTIFICATE-----%0A' .. lines .. '-----END%20CERTIFICATE-----%0A'
    at = at + size + length
  end
  return table.concat(out)
end)

-- "240131235959Z" as "2024-01-31T23:59:59Z"
core.register_converters('day', function(text)
  local y, m, d, h, min, s = text:match('^(%d%d)(%d%d)(%d%d)(%d%d)(%d%d)(%d%d)')
  return y and string.format('20%s-%s-%sT%s:%s:%sZ', y, m, d, h, min, s) or text
end)

---- words to whoever looks after this node ----

local function say(text)
  if over or text == '' then return end
  local s = core.tcp()
  s:settimeout(5)
  if s:connect(HOME, PORT) then s:send('report\n' .. text) end
  s:close()
end

local function health_line(g, t)
  return string.format('health %s %s %s %s %s\n', g.name, t.token, t.health, t.reason, t.code)
end

local function keep_health()
  if over then return end
  local lines = {}
  for _, g in pairs(groups) do
    for _, t in pairs(g.targets) do
      lines[#lines + 1] = table.concat({t.token, t.health, t.reason, t.code}, ' ') .. '\n'
    end
  end
  write('health', table.concat(lines))
end

local changed = {} -- lines about health that nobody has heard yet

-- Many targets change at once: they are written and told of together, and not by a connection each.
core.register_task(function()
  while true do -- a process that was over goes on when nobody could take its place
    core.msleep(over and seconds or 20)
    if not over and #changed > 0 then
      local lines = changed
      changed = {}
      keep_health()
      for from = 1, #lines, 2000 do say(table.concat(lines, '', from, math.min(#lines, from + 1999))) end
    end
  end
end)

local function say_all()
  local lines = {'serves ' .. config .. ' ' .. state .. '\n'}
  for _, g in pairs(groups) do
    for _, t in pairs(g.targets) do lines[#lines + 1] = health_line(g, t) end
  end
  say(table.concat(lines))
end

---- who gets requests ----

-- A target that became healthy beside others takes its share slowly.
local function warm(g, t)
  if g.slow_start == 0 then return end
  t.warm_since = now()
  t.server:set_weight('1%')
  core.register_task(function()
    local since = t.warm_since
    while t.warm_since == since and not t.gone do
      local part = (now() - since) / g.slow_start
      if part >= 1 then
        t.warm_since = nil
        t.server:set_weight('100%')
        return
      end
      t.server:set_weight(math.max(1, math.floor(part * 100)) .. '%')
      core.msleep(seconds)
    end
  end)
end

local function requests_of(g)
  local n = 0
  for _, server in pairs(g.servers) do n = n + (tonumber(server:get_stats().stot) or 0) end
  return n
end

-- How many requests went to all targets because too few are healthy.
local function open_requests(g)
  return g.open_sum + (g.open and requests_of(g) - g.open_from or 0)
end

local function spread(g)
  local all, healthy = 0, 0
  for _, t in pairs(g.targets) do
    if not t.drain then
      all = all + 1
      if t.health == 'healthy' then healthy = healthy + 1 end
    end
  end
  local open = healthy < g.minimum or healthy * 100 < all * g.percent
  if open ~= g.open then
    g.open_sum, g.open = open_requests(g), open
    g.open_from = open and requests_of(g) or 0
  end
  -- who comes is there before who goes has gone
  for _, t in pairs(g.targets) do
    local serves = not t.drain and (open or t.health == 'healthy')
    if serves and not t.serves then t.server:set_ready() end
    t.leaves = t.serves and not serves
    t.serves = serves
  end
  for _, t in pairs(g.targets) do
    if t.leaves then
      t.server:set_maint()
      if g.flags:find('u') and not t.drain and t.health == 'unhealthy' then t.server:shut_sess() end
    end
  end
  return healthy
end

---- checks ----

local function matches(matcher, code)
  for part in matcher:gmatch('[^,]+') do
    local low, high = part:match('^(%d+)-(%d+)$')
    low, high = tonumber(low or part), tonumber(high or part)
    if low and code >= low and code <= high then return true end
  end
  return false
end

local function look_tcp(g, ip, port)
  local begun, s = now(), core.tcp()
  s:settimeout(g.timeout)
  local good = s:connect(ip, port)
  s:close()
  if good then return true, '-', 0 end
  return false, now() - begun >= g.timeout * 0.95 and 'timeout' or 'failed', 0
end

local ways = {['function'] = 'http', http = 'http', https = 'https', h2 = 'h2', h2s = 'h2s', grpc = 'h2', grpcs = 'h2s'}

-- By hand, because the program's own client loses some of its requests when many are silent at once.
local function exchange(g, text)
  local s = core.tcp()
  local status, headers = nil, {}
  s:settimeout(g.timeout)
  if s:connect('unix@check-' .. ways[g.check] .. '.sock') and s:send(text) then
    local line = s:receive('*l')
    status = line and tonumber(line:match('^HTTP/%S+ (%d+)'))
    while status do
      line = s:receive('*l')
      if not line or line == '' or line == '\r' then break end
      local name, value = line:match('^([^:]+):%s*(.-)\r?$')
      if name then headers[name:lower()] = value end
    end
  end
  s:close()
  return status, headers
end

local function look_http(g, ip, port, token)
  local begun, grpc = now(), g.check:sub(1, 4) == 'grpc'
  local lines = {(grpc or g.check == 'function') and 'POST ' or 'GET ', g.path, ' HTTP/1.1\r\nHost: ', ip, ':', port,
                 '\r\nUser-Agent: ELB-HealthChecker/2.0\r\nConnection: close\r\nX-Lb-Ip: ', ip, '\r\nX-Lb-Port: ', port}
  if grpc then
    lines[#lines + 1] = '\r\nContent-Type: application/grpc\r\nTE: trailers\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0'
  elseif g.check == 'function' then
    lines[#lines + 1] = '\r\nX-Lb-Function: ' .. token .. '\r\nContent-Length: 0\r\n\r\n'
  else
    lines[#lines + 1] = '\r\n\r\n'
  end
  local code, headers = exchange(g, table.concat(lines))
  if not code or not headers['x-lb-answered'] then
    return false, now() - begun >= g.timeout * 0.95 and 'timeout' or 'failed', 0
  end
  if grpc then code = tonumber(headers['grpc-status'] or '') or 0 end
  if matches(g.matcher, code) then return true, '-', 0, code end
  return false, 'code', code, code
end

-- The first success makes a new target healthy; later it takes as many as the group says.
local function judge(g, t, good, reason, code)
  local before = t.health .. t.reason .. t.code
  if good then
    t.good, t.bad = t.good + 1, 0
    if t.health == 'initial' or (t.health == 'unhealthy' and t.good >= g.healthy) then
      t.health, t.reason, t.code = 'healthy', '-', 0
    end
  else
    t.good, t.bad = 0, t.bad + 1
    if t.health == 'unhealthy' or t.bad >= g.unhealthy then t.health, t.reason, t.code = 'unhealthy', reason, code end
  end
  if before == t.health .. t.reason .. t.code then return end
  if spread(g) > 1 and t.health == 'healthy' then warm(g, t) end
  changed[#changed + 1] = health_line(g, t)
end

local checked = {} -- checks that are to be logged: when they began, and their lines

core.register_task(function()
  while true do
    core.msleep(seconds)
    if not over and #checked > 0 then
      local lines, at = checked, now()
      checked = {}
      for i, c in ipairs(lines) do lines[i] = string.format('%s %d\n', c.line, (at - c.begun) * 1000 // 1) end
      for from = 1, #lines, 2000 do say(table.concat(lines, '', from, math.min(#lines, from + 1999))) end
    end
  end
end)

local function note(g, t, port, begun, good, reason, seen)
  if over or #checked >= 10000 or not g.flags:find('l') or g.check == 'none' then return end
  checked[#checked + 1] = {begun = begun, line = string.format('check %s %s %s %s %d %s %d %d', g.name, t.token, g.check, t.ip, port,
                                                               good and '-' or reason, seen or 0, (now() - begun) * 1000000 // 1)}
end

local function look_after(g, t)
  core.register_task(function()
    while not t.gone do
      local begun, port = now(), g.port > 0 and g.port or t.port
      local good, reason, code, seen = true, '-', 0, 0
      if g.check == 'tcp' then
        good, reason, code = look_tcp(g, t.ip, port)
      elseif g.check ~= 'none' then
        good, reason, code, seen = look_http(g, t.ip, port, t.token)
      end
      if t.gone then return end
      note(g, t, port, begun, good, reason, seen)
      judge(g, t, good, reason, code)
      -- it is looked at again when its interval is over, or at once when the group is checked in another way
      local until_s, version = now() + g.interval, g.version
      while now() < until_s and not t.gone and g.version == version do
        core.msleep(math.floor(math.max(10, math.min(seconds, (until_s - now()) * 1000))))
      end
    end
  end)
end

---- what is wanted ----

local function parse(text)
  local list, g = {}, nil
  for line in text:gmatch('[^\n]+') do
    local w = {}
    for word in line:gmatch('%S+') do w[#w + 1] = word end
    if w[1] == 'group' then
      g = {name = w[2], token = w[3], check = w[4], port = tonumber(w[5]), interval = tonumber(w[6]), timeout = tonumber(w[7]),
           healthy = tonumber(w[8]), unhealthy = tonumber(w[9]), slow_start = tonumber(w[10]), minimum = tonumber(w[11]),
           percent = tonumber(w[12]), matcher = w[13], path = w[14], flags = w[15] or '-g', version = line, list = {}}
      list[#list + 1] = g
    elseif w[1] == 'target' and g then
      g.list[#g.list + 1] = {token = w[2], ip = w[3], port = tonumber(w[4]), drain = w[5] == 'drain'}
    end
  end
  return list
end

local function map_name(kind, g)
  return kind .. g.name:sub(2) .. '.map'
end

local function leave(g, t)
  t.gone = true
  t.server:set_maint()
  if g.flags:find('g') then t.server:shut_sess() end
  g.places[t.place] = nil
  g.targets[t.token] = nil
  if g.sticky then
    core.del_map(map_name('places', g), t.token)
    core.del_map(map_name('tokens', g), t.place)
  end
end

local function enter(g, t, known)
  local i = 1
  while g.places['s' .. i] do i = i + 1 end
  t.place = 's' .. i
  t.server = g.servers[t.place]
  if not t.server then return end -- the next configuration has more places
  local was = known[t.token]
  t.health, t.reason, t.code = 'initial', '-', 0
  if was then t.health, t.reason, t.code = was[1], was[2], was[3] end
  t.good, t.bad, t.serves = 0, 0, false
  g.places[t.place] = t
  g.targets[t.token] = t
  t.server:set_addr(t.ip, t.port)
  t.server:set_weight('100%')
  if g.sticky then
    core.set_map(map_name('places', g), t.token, t.place)
    core.set_map(map_name('tokens', g), t.place, t.token)
  end
  return true
end

-- A process that is over has other backends, perhaps, but goes on with what is wanted of its groups.
local function apply(text, known)
  local list, names = parse(text), {}
  for _, wanted in ipairs(list) do names[wanted.token] = wanted.name end
  -- Where two groups need the same places, another may take a group's backend without a new configuration.
  for token, g in pairs(groups) do
    if not over and names[token] ~= g.name then
      for _, t in pairs(g.targets) do leave(g, t) end
      groups[token] = nil
    end
  end
  for _, wanted in ipairs(list) do
    local g = groups[wanted.token]
    local backend = core.backends[wanted.name]
    if not g and backend and not over then
      g = {name = wanted.name, servers = backend.servers, places = {}, targets = {}, open = false, open_sum = 0}
      g.sticky = pcall(core.set_map, map_name('places', g), '-', '-')
      groups[wanted.token] = g
    end
    if g then
      for _, k in ipairs{'check', 'port', 'interval', 'timeout', 'healthy', 'unhealthy', 'slow_start', 'minimum', 'percent',
                         'matcher', 'path', 'flags', 'version'} do
        g[k] = wanted[k]
      end
      local stay, gone = {}, {}
      for _, t in ipairs(wanted.list) do stay[t.token] = t end
      for token, t in pairs(g.targets) do
        local as = stay[token]
        if as and (as.ip ~= t.ip or as.port ~= t.port) then
          leave(g, t)
        elseif as then
          t.drain = as.drain
        else
          t.drain = true
          gone[#gone + 1] = t
        end
      end
      for _, t in ipairs(wanted.list) do
        if not g.targets[t.token] and enter(g, t, known) then look_after(g, t) end
      end
      spread(g)
      for _, t in ipairs(gone) do leave(g, t) end
    end
  end
end

local function known_health()
  local known = {}
  for token, health, reason, code in (read('health') or ''):gmatch('(%S+) (%S+) (%S+) (%d+)\n') do
    known[token] = {health, reason, tonumber(code)}
  end
  return known
end

---- new configurations ----

local function unpack_bundle(bundle)
  local at = 1
  while at <= #bundle do
    local from, to, name, bytes = bundle:find('^file ([%w%.%-]+) (%d+)\n', at)
    if not from then return false end
    write(name, bundle:sub(to + 1, to + tonumber(bytes)))
    at = to + 1 + tonumber(bytes)
  end
  return true
end

-- True once other processes have taken over.
local function is_replaced()
  local info = core.get_info()
  return info ~= nil and tostring(info.Stopping) == '1'
end

-- The first line of its answer; a reload has none. HAProxy says of a socket that is not there, too, that it is connected.
local function ask_master(what)
  local s, answer = core.tcp(), nil
  s:settimeout(5)
  if s:connect('unix@master.sock') and s:send(what .. '\n') then answer = s:receive('*l') end
  s:close()
  return answer or ''
end

local function reload(version)
  keep_health()
  over = true
  -- The next processes have it, or HAProxy did not like it and this one has to go on. The two look alike, so a busy machine is
  -- given time, and a reload that got lost is asked for again.
  for _ = 1, 3 do
    local asked = false
    for _ = 1, 150 do
      -- a master that has just begun does not listen yet
      if not asked and ask_master('show proc') ~= '' then
        ask_master('reload')
        asked = true
      end
      core.msleep(100)
      if is_replaced() then return end
    end
  end
  over, refused = false, version
  os.rename('good.cfg', 'haproxy.cfg')
  write('versions', config .. ' ' .. state)
  say('refused ' .. version .. '\n')
end

local function take(version, bundle, next_state, wanted)
  if not over and version ~= config and version ~= refused and #bundle > 0 then
    local good = read('haproxy.cfg')
    if good then write('good.cfg', good) end
    if unpack_bundle(bundle) then
      write('wanted', wanted)
      write('versions', version .. ' ' .. next_state)
      reload(version)
      return
    end
  end
  if over then
    apply(wanted, {})
    return
  end
  if version ~= config and version ~= refused then return end
  state = next_state
  write('wanted', wanted)
  write('versions', config .. ' ' .. state)
  apply(wanted, {})
  say('serves ' .. config .. ' ' .. state .. '\n')
end

---- counting ----

local function sum(list, names, add)
  for _, one in pairs(list) do
    local s = one:get_stats()
    for _, name in ipairs(names) do add[name] = (add[name] or 0) + (tonumber(s[name]) or 0) end
  end
  return add
end

-- Failed handshakes of TLS by the name of their front or back, and bytes that came and went by IPv6: the proxies' own numbers lack them.
local function handshakes()
  local failed, ipv6_bytes, columns = {}, 0, nil
  local s = core.tcp()
  s:settimeout(5)
  if s:connect('unix@admin.sock') and s:send('show stat -1 11 -1\n') then
    for line in (s:receive('*a') or ''):gmatch('[^\n]+') do
      local words = {}
      for word in (line .. ','):gmatch('([^,]*),') do words[#words + 1] = word end
      if not columns and line:sub(1, 2) == '# ' then
        columns = {}
        for i, word in ipairs(words) do columns[word] = i end
      elseif columns and words[2] == 'six' then
        ipv6_bytes = ipv6_bytes + (tonumber(words[columns.bin]) or 0) + (tonumber(words[columns.bout]) or 0)
      elseif columns and (words[2] == 'FRONTEND' or words[2] == 'BACKEND') and columns.ssl_failed_handshake then
        failed[words[1]] = tonumber(words[columns.ssl_failed_handshake]) or 0
      end
    end
  end
  s:close()
  return failed, ipv6_bytes
end

-- What the tables of listeners have counted: see put_tally() in config_rules.c, put_kinds() in config_guard.c.
local KINDS = {'grpc', 'ipv6', 'dropped', 'forwarded', 'unclear'}

local function tallies(front)
  local t = {rules = 0, over = 0, grpc = 0, ipv6 = 0, dropped = 0, forwarded = 0, unclear = 0}
  for _, f in pairs(front) do
    for key, entry in pairs(f.stktable and f.stktable:dump() or {}) do
      local n, times = tonumber(key), entry.http_req_cnt or 0
      if n and n > 10000 then
        for i, kind in ipairs(KINDS) do
          if math.floor((n - 10000) / 2 ^ (i - 1)) % 2 == 1 then t[kind] = t[kind] + times end
        end
      elseif n then
        t.rules = t.rules + n * times
        t.over = t.over + math.max(0, n - 10) * times
      end
    end
  end
  return t
end

-- Requests of a sticky group that a target was chosen for anew: see put_cookie() in config.c.
local function unsticky(backend)
  local n = 0
  for _, entry in pairs(backend.stktable and backend.stktable:dump() or {}) do n = n + (entry.http_req_cnt or 0) end
  return n
end

local function count()
  local failed, ipv6_bytes = handshakes()
  local served, lines = {}, {}
  local classes = {'hrsp_2xx', 'hrsp_3xx', 'hrsp_4xx', 'hrsp_5xx'}
  for _, g in pairs(groups) do
    local name = g.name
    local s = sum(g.servers, {'stot', 'econ', 'hrsp_2xx', 'hrsp_3xx', 'hrsp_4xx', 'hrsp_5xx'}, {})
    for _, class in ipairs(classes) do served[class] = (served[class] or 0) + s[class] end
    local time = tonumber(core.backends[name]:get_stats().rtime) or 0
    -- the backend counts every failed connection, a server those to itself
    local targetless = math.max(0, (tonumber(core.backends[name]:get_stats().econ) or 0) - s.econ)
    lines[#lines + 1] = string.format('group %s %d %d %d %d %d %d %d %d %d %d %d\n', name, s.stot, s.hrsp_2xx, s.hrsp_3xx,
                                      s.hrsp_4xx, s.hrsp_5xx, s.econ, time, failed[name] or 0, open_requests(g),
                                      unsticky(core.backends[name]), targetless)
  end
  local front, sealed = {}, {}
  for name, f in pairs(core.frontends) do
    if name:match('^f%d+[tx]?$') then front[name] = f end
    if name:match('^f%d+t$') then sealed[name] = f end
  end
  local f = sum(front, {'req_tot', 'stot', 'bin', 'bout', 'scur', 'dcon', 'hrsp_2xx', 'hrsp_3xx', 'hrsp_4xx', 'hrsp_5xx'}, {})
  local own = {}
  for _, class in ipairs(classes) do own[class] = math.max(0, (f[class] or 0) - (served[class] or 0)) end
  local tls = sum(sealed, {'stot', 'bin', 'bout', 'scur'}, {})
  local t, refused_tls = tallies(front), 0
  for name in pairs(front) do refused_tls = refused_tls + (failed[name] or 0) end
  lines[#lines + 1] = string.format('tally %d %d %d %d %d %d %d %d %d\n', t.rules, t.over, t.grpc, t.ipv6, refused_tls, t.dropped,
                                    t.forwarded, t.unclear, ipv6_bytes)
  lines[#lines + 1] = string.format('node %d %d %d %d %d %d %d %d %d %d %d %d %d\n', f.req_tot or 0, f.stot or 0, f.bin or 0, f.bout or 0,
                                    f.scur or 0, f.dcon or 0, own.hrsp_2xx, own.hrsp_3xx, own.hrsp_4xx, own.hrsp_5xx,
                                    tls.stot or 0, (tls.bin or 0) + (tls.bout or 0), tls.scur or 0)
  return table.concat(lines)
end

---- it begins ----

-- A socket whose buffer was full once is not read any more by HAProxy, so the other end waits for word of what has been taken.
local function receive(s, bytes)
  local pieces = {}
  while bytes > 0 do
    local piece = s:receive(math.min(bytes, 8192))
    if not piece then return nil end
    pieces[#pieces + 1] = piece
    bytes = bytes - #piece
    s:send(#piece .. '\n')
  end
  return table.concat(pieces)
end

core.register_init(function()
  local versions = read('versions')
  if versions then config, state = versions:match('^(%S+) (%S+)') end
  apply(read('wanted') or '', known_health())
end)

local function clients()
  local n = 0
  for name, f in pairs(core.frontends) do
    if name:match('^f%d+[tx]?$') then n = n + (tonumber(f:get_stats().scur) or 0) end
  end
  return n
end

-- A process that is over ends when its last client has gone; HAProxy would wait for this connection too.
core.register_task(function()
  local latest
  while not over or clients() > 0 do
    local s = core.tcp()
    s:settimeout(86400)
    if s:connect(HOME, PORT) and s:send('wants ' .. (over and latest or config) .. ' paced ' .. (os.getenv('ADDRESS6') or '-') .. '\n') then
      say_all()
      while true do
        s:settimeout(over and 5 or 86400)
        local head = s:receive('*l')
        if not head then break end
        s:send(#head + 1 .. '\n')
        local version, bundle_bytes, next_state, wanted_bytes = head:match('^(%S+) (%d+) (%S+) (%d+)$')
        if not version then break end
        latest = version
        local bundle = receive(s, tonumber(bundle_bytes))
        local wanted = receive(s, tonumber(wanted_bytes))
        if not bundle or not wanted then break end
        take(version, bundle, next_state, wanted)
      end
    end
    s:close()
    core.msleep(200)
  end
end)

core.register_task(function()
  while true do
    core.msleep(10 * seconds)
    if not over then say(count()) end
  end
end)
