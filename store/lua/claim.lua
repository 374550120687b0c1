#!lua
-- Claims messages that are due, or rescues one whose lease has ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  now on the daemon's clock, ms: what is due by it may be claimed
-- ARGV[2]  length of the lease, microseconds of Redis' clock
-- ARGV[3]  how many at most
-- ARGV[4]  '1': rescue instead: at most one message whose lease has ended
-- ARGV[5…] lanes, the most urgent first
-- Returns  {mark, token, '1' if leases have ended, '1' if more is due, orphans,
--           then for each lane that gave something: lane, {member, …}, {record, …}, crashes of the one that was rescued, else '0'}
-- Has no allow-oom: a full Redis hands out no work whose outcome could not be recorded.
--
-- A member's score is its release (ms, above 0) until it is claimed, then the end of its lease (microseconds) less 9e15, so the
-- two clocks never meet on one axis: below 0 Redis' time counts, above it the daemon's.
--
-- flight holds what each customer has in hand: token | end of the lease | member | the record once it is being sent. One message of a
-- customer at a time: the next one's caps depend on how this one ends.
local prefix = string.sub(KEYS[1], 1, -6)
local flight = prefix .. 'flight'
local BASE = 9000000000000000
local FORGOTTEN = 60000000 -- microseconds after its lease that a message no longer keeps its customer's others waiting
local PAGES = 8
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due, lease, quota, rescue = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local ended = string.format('%.0f', now - BASE)

local token = nil
local function fence()
  if token then return end
  token = now + lease
  -- A message that was given back and is claimed again within the same microsecond gets another token.
  if tonumber(redis.call('GET', KEYS[1]) or '0') == token then token = token + 1 end
  redis.call('SET', KEYS[1], string.format('%.0f', token))
end

local out = {redis.call('GET', prefix .. 'mark') or '0', '0', '0', '0', 0}

local function parse(v)
  local ends, member, record = string.match(v, '^%d+|(%d+)|([^|]*)|(.*)$')
  return member, tonumber(ends or '0'), record or ''
end

-- The record is gone: whoever deleted it took the message with it. It can be planned again.
local function orphan(lane, member)
  local customer = string.sub(member, 32)
  redis.call('ZREM', prefix .. 'due:' .. lane, member)
  local ledger, id = prefix .. 'ledger:' .. customer, string.sub(member, 1, 26)
  local entry = redis.call('HGET', ledger, id)
  if entry then
    -- One that was being sent may have arrived.
    if string.sub(entry, 1, 1) == 'g' then
      redis.call('HSET', ledger, id, 'f' .. string.sub(entry, 2))
    else
      redis.call('HDEL', ledger, id)
    end
  end
  out[5] = out[5] + 1
end

-- What a forgotten message was about to do is put on its record: flight has room for one of each customer.
local function spill(member, record)
  local id, day, ledger = string.sub(member, 1, 26), string.sub(member, 27, 31), prefix .. 'ledger:' .. string.sub(member, 32)
  redis.call('HSET', prefix .. 'msg:' .. day, id, record)
  local entry = redis.call('HGET', ledger, id)
  if entry then redis.call('HSET', ledger, id, 'g' .. string.sub(entry, 2)) end
end

-- The records of members. The days follow each other, as the releases do.
local function records(members)
  local all, from = {}, 1
  while from <= #members do
    local day, ids, to = string.sub(members[from], 27, 31), {}, from
    while to <= #members and string.sub(members[to], 27, 31) == day do
      ids[#ids + 1] = string.sub(members[to], 1, 26)
      to = to + 1
    end
    local got = redis.call('HMGET', prefix .. 'msg:' .. day, unpack(ids))
    if #ids == #members then return got end
    for i = 1, #ids do all[from + i - 1] = got[i] end
    from = to
  end
  return all
end

-- Takes members of a lane. begun is the record of the only one if it was being sent when its lease ended, '' if it was not.
local function take(lane, members, begun)
  local raws = begun and begun ~= '' and {begun} or records(members)
  for i = #members, 1, -1 do
    if not raws[i] then
      orphan(lane, members[i])
      table.remove(members, i)
      table.remove(raws, i)
    end
  end
  if #members == 0 then return 0 end
  fence()
  local score, head = string.format('%.0f', token - BASE), string.format('%.0f|%.0f|', token, token)
  -- It stays known as one that was being sent until somebody has written what became of it.
  local tail = '|' .. (begun or '')
  local scores, flights, at = {}, {}, 1
  for _, m in ipairs(members) do
    scores[at], scores[at + 1] = score, m
    flights[at], flights[at + 1] = string.sub(m, 32), head .. m .. tail
    at = at + 2
  end
  redis.call('ZADD', prefix .. 'due:' .. lane, unpack(scores))
  redis.call('HSET', flight, unpack(flights))
  local crashes = '0'
  if begun then crashes = tostring(redis.call('HINCRBY', prefix .. 'crash', string.sub(members[1], 1, 26), 1)) end
  out[#out + 1] = lane
  out[#out + 1] = members
  out[#out + 1] = raws
  out[#out + 1] = crashes
  return #members
end

-- The first member whose lease has ended and whose customer nobody else serves now, with what take asks for.
local function late(lane, key)
  local found = redis.call('ZRANGEBYSCORE', key, '-inf', ended, 'LIMIT', 0, rescue and 8 or 1)
  if not rescue then return found end
  for _, m in ipairs(found) do
    local v = redis.call('HGET', flight, string.sub(m, 32))
    if not v then return {m}, '' end
    local member, ends, record = parse(v)
    if member == m then return {m}, record end
    if ends < now then
      if record ~= '' then spill(member, record) end
      return {m}, ''
    end
  end
  return {}
end

local function claim(lane, key)
  local page = quota + math.min(quota, redis.call('HLEN', flight)) + 8
  local mine, seen = {}, {}
  for at = 0, PAGES - 1 do
    local found = redis.call('ZRANGEBYSCORE', key, '1', due, 'LIMIT', at * page, page)
    if #found == 0 then break end
    local customers = {}
    for j, m in ipairs(found) do customers[j] = string.sub(m, 32) end
    local held = redis.call('HMGET', flight, unpack(customers))
    for j, m in ipairs(found) do
      local customer = customers[j]
      if not seen[customer] and #mine < quota then
        local free = not held[j]
        if not free then
          local member, ends, record = parse(held[j])
          free = ends < now - FORGOTTEN
          if free and record ~= '' then spill(member, record) end
        end
        if free then
          seen[customer] = true
          mine[#mine + 1] = m
        end
      end
    end
    if #mine >= quota or #found < page then
      if #found == page then out[4] = '1' end
      break
    end
  end
  if #mine > 0 then quota = quota - take(lane, mine, nil) end
  if quota <= 0 then out[4] = '1' end
end

for i = 5, #ARGV do
  local lane = ARGV[i]
  local key = prefix .. 'due:' .. lane
  local ones, begun = late(lane, key)
  if rescue then
    if #ones > 0 and quota > 0 then quota = quota - take(lane, ones, begun) end
    if quota <= 0 then break end
  else
    if #ones > 0 then out[3] = '1' end
    if quota > 0 then claim(lane, key) end
  end
end
if token then out[2] = string.format('%.0f', token) end
out[5] = tostring(out[5])
return out
