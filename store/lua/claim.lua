#!lua
-- Claims messages that are due, or rescues one whose lease has ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  now on the daemon's clock, ms: what is due by it may be claimed
-- ARGV[2]  length of the lease, microseconds of Redis' clock
-- ARGV[3]  how many at most
-- ARGV[4]  '1': rescue instead: at most one message whose lease has ended
-- ARGV[5…] lanes, the most urgent first
-- Returns  {mark, token, '1' if leases have ended, '1' if more is due, orphans, then for each message: lane, member, record, crashes}
-- Has no allow-oom: a full Redis hands out no work whose outcome could not be recorded.
--
-- A member's score is its release (ms, above 0) until it is claimed, then the end of its lease (microseconds) less 9e15, so the
-- two clocks never meet on one axis: below 0 Redis' time counts, above it the daemon's.
local prefix = string.sub(KEYS[1], 1, -6)
local BASE = 9000000000000000
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

-- The record is gone: whoever deleted it took the message with it. Unless it may be on its way it can be planned again.
local function orphan(lane, member)
  local id, customer = string.sub(member, 1, 26), string.sub(member, 32)
  redis.call('ZREM', prefix .. 'due:' .. lane, member)
  redis.call('ZREM', prefix .. 'busy', customer)
  local ledger = prefix .. 'ledger:' .. customer
  local entry = redis.call('HGET', ledger, id)
  if entry then
    if string.sub(entry, 1, 1) == 'g' then
      redis.call('HSET', ledger, id, 'f' .. string.sub(entry, 2))
    else
      redis.call('HDEL', ledger, id)
    end
  end
  out[5] = out[5] + 1
end

local function take(lane, members, crashed)
  fence()
  local score = string.format('%.0f', token - BASE)
  local scores, busy, days, order = {}, {}, {}, {}
  for _, m in ipairs(members) do
    scores[#scores + 1] = score
    scores[#scores + 1] = m
    busy[#busy + 1] = score
    busy[#busy + 1] = string.sub(m, 32)
    local day = string.sub(m, 27, 31)
    if not days[day] then
      days[day] = {}
      order[#order + 1] = day
    end
    table.insert(days[day], m)
  end
  redis.call('ZADD', prefix .. 'due:' .. lane, unpack(scores))
  redis.call('ZADD', prefix .. 'busy', unpack(busy))
  local raws = {}
  for _, day in ipairs(order) do
    local ids = {}
    for i, m in ipairs(days[day]) do ids[i] = string.sub(m, 1, 26) end
    local got = redis.call('HMGET', prefix .. 'msg:' .. day, unpack(ids))
    for i, m in ipairs(days[day]) do raws[m] = got[i] end
  end
  local taken = 0
  for _, m in ipairs(members) do
    if raws[m] then
      local crashes = '0'
      if crashed then crashes = tostring(redis.call('HINCRBY', prefix .. 'crash', string.sub(m, 1, 26), 1)) end
      taken = taken + 1
      out[#out + 1] = lane
      out[#out + 1] = m
      out[#out + 1] = raws[m]
      out[#out + 1] = crashes
    else
      orphan(lane, m)
    end
  end
  return taken
end

for i = 5, #ARGV do
  local lane = ARGV[i]
  local key = prefix .. 'due:' .. lane
  local late = redis.call('ZRANGEBYSCORE', key, '-inf', ended, 'LIMIT', 0, 1)
  if rescue then
    if #late > 0 and quota > 0 then quota = quota - take(lane, late, true) end
    if quota <= 0 then break end
  else
    if #late > 0 then out[3] = '1' end
    if quota > 0 then
      local limit = quota * 2 + 8
      local found = redis.call('ZRANGEBYSCORE', key, '1', due, 'LIMIT', 0, limit)
      if #found > 0 then
        -- One message of a customer at a time: the next one's caps depend on how this one ends.
        local customers, mine, seen = {}, {}, {}
        for j, m in ipairs(found) do customers[j] = string.sub(m, 32) end
        local busy = redis.call('ZMSCORE', prefix .. 'busy', unpack(customers))
        for j, m in ipairs(found) do
          local free = not busy[j] or tonumber(busy[j]) < now - 60000000 - BASE
          if free and not seen[customers[j]] and #mine < quota then
            seen[customers[j]] = true
            mine[#mine + 1] = m
          end
        end
        if #mine > 0 then quota = quota - take(lane, mine, false) end
        if quota <= 0 or #found == limit then out[4] = '1' end
      end
    end
  end
end
if token then out[2] = string.format('%.0f', token) end
out[5] = tostring(out[5])
return out
