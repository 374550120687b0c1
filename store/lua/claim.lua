#!lua
-- Claims messages that are due, or rescues one whose lease has ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  now on the daemon's clock, ms: what is due by it may be claimed
-- ARGV[2]  length of the lease, microseconds of Redis' clock
-- ARGV[3]  how many at most
-- ARGV[4]  '1': rescue instead: at most one message that was there when its hand was dissolved
-- ARGV[5…] lanes, the most urgent first
-- Returns  {mark, token, '1' if something waits to be rescued + '2' if the lease of a hand has ended, '1' if more is due, orphans,
--           then for each lane that gave something: lane, its members and their records, each a line, crashes of the one that was
--           rescued, else '0'}. One text costs both sides less than a hundred.
-- Has no allow-oom: a full Redis hands out no work whose outcome could not be recorded.
--
-- What is claimed together is a hand. Its messages leave the queue. hand:<token> says which they are: for each lane a line, | and its name,
-- then a line for each member. In flight stands for each customer the hand that has a message of theirs: one message of a customer at a
-- time, because the next one's caps depend on how this one ends. The hand's token and lease stand in hands, how many of its messages have no
-- result in left.
--
-- A value of flight, the token and a | and dots, is longer than 64 bytes: shorter ones Redis would keep in a list, and looking a hundred
-- customers up in that costs more than all the rest. All messages of a hand share one.
--
-- A member's score is its release (ms, above 0), or below 0 when its hand was dissolved: the end of that lease (microseconds) less
-- 9e15, so that the two clocks never meet on one axis.
local prefix = string.sub(KEYS[1], 1, -6)
local call, sub = redis.call, string.sub
local flight, hands = prefix .. 'flight', prefix .. 'hands'
local PAGES = 8
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due, quota, rescue = ARGV[1], tonumber(ARGV[3]), ARGV[4] == '1'
local out = {call('GET', prefix .. 'mark') or '0', '0', 0, '0', 0}
local orphans = {}

-- The records of members, and of those only that have one. The days follow each other, as the releases do.
local function read(lane, members, flights)
  local all, from = {}, 1
  while from <= #members do
    local day, ids, to = sub(members[from], 27, 31), {}, from
    while to <= #members and sub(members[to], 27, 31) == day do
      ids[#ids + 1] = sub(members[to], 1, 26)
      to = to + 1
    end
    local got = call('HMGET', prefix .. 'msg:' .. day, unpack(ids))
    if #ids == #members then
      all = got
    else
      for i = 1, #ids do all[from + i - 1] = got[i] end
    end
    from = to
  end
  for i = #members, 1, -1 do
    if not all[i] then
      orphans[#orphans + 1] = {lane, members[i]}
      table.remove(members, i)
      table.remove(flights, 2 * i)
      table.remove(flights, 2 * i - 1)
      table.remove(all, i)
    end
  end
  return all
end

local token = now + tonumber(ARGV[2])
-- What was given back and is claimed again within the same microsecond gets another token.
if tonumber(call('GET', KEYS[1]) or '0') == token then token = token + 1 end
token = string.format('%.0f', token)
local own = token .. '|' .. string.rep('.', 50)

-- The first members of a lane that are due and whose customers are in no hand, what flight is to say of those customers, and whether they are
-- the first of all that are due.
local aloft, busy = call('HLEN', flight), {}
local function waiting(key)
  local mine, flights, n, at, page, gap = {}, {}, 0, 0, quota + 8, false
  for _ = 1, PAGES do
    local found = call('ZRANGEBYSCORE', key, '1', due, 'LIMIT', at, page)
    if #found == 0 then break end
    local customers, held = {}, {}
    for j, m in ipairs(found) do customers[j] = sub(m, 32) end
    if aloft > 0 then held = call('HMGET', flight, unpack(customers)) end
    for j, m in ipairs(found) do
      if n >= quota then break end
      local customer = customers[j]
      if not held[j] and not busy[customer] then
        busy[customer] = true
        n = n + 1
        mine[n], flights[2 * n - 1], flights[2 * n] = m, customer, own
      else
        gap = true
      end
    end
    if n >= quota or #found < page then
      if #found == page then out[4] = '1' end
      break
    end
    at, page = at + page, quota + math.min(quota, aloft) + 8
  end
  return mine, flights, not gap
end

-- A member whose hand was dissolved and whose customer is in no other hand.
local function late(key)
  for _, m in ipairs(call('ZRANGEBYSCORE', key, '-inf', '(0', 'LIMIT', 0, 8)) do
    local customer = sub(m, 32)
    if call('HEXISTS', flight, customer) == 0 then return {m}, {customer, own} end
  end
  return {}, {}
end

local taken = {}
for i = 5, #ARGV do
  local lane = ARGV[i]
  local key = prefix .. 'due:' .. lane
  if not rescue and out[3] == 0 and #call('ZRANGEBYSCORE', key, '-inf', '(0', 'LIMIT', 0, 1) > 0 then out[3] = 1 end
  if quota > 0 then
    local members, flights, first
    if rescue then members, flights = late(key) else members, flights, first = waiting(key) end
    local n = #members
    local records = read(lane, members, flights)
    if #members > 0 then
      taken[#taken + 1] = {lane = lane, members = members, flights = flights, records = records, first = first and n}
      quota = quota - #members
    end
  end
end
if quota <= 0 then out[4] = '1' end
if #call('ZRANGEBYSCORE', hands, '-inf', string.format('%.0f', now), 'LIMIT', 0, 1) > 0 then out[3] = out[3] + 2 end
out[3] = tostring(out[3])

-- The record is gone: whoever deleted it took the message with it. It can be planned again.
local function bury()
  for _, gone in ipairs(orphans) do
    local lane, member = gone[1], gone[2]
    local ledger, id = prefix .. 'ledger:' .. sub(member, 32), sub(member, 1, 26)
    local entry = call('HGET', ledger, id)
    call('ZREM', prefix .. 'due:' .. lane, member)
    if entry then
      -- One that was being sent may have arrived.
      if sub(entry, 1, 1) == 'g' then
        call('HSET', ledger, id, 'f' .. sub(entry, 2))
      else
        call('HDEL', ledger, id)
      end
    end
  end
end

out[5] = tostring(#orphans)
if #taken == 0 then
  bury()
  return out
end

-- Every key is read before the first write, that of the new hand too; see begin.lua.
call('EXISTS', prefix .. 'left', prefix .. 'hand:' .. token)
call('SET', KEYS[1], token)
local n, text = 0, {}
for _, t in ipairs(taken) do
  local lane, members, lines = t.lane, t.members, table.concat(t.members, '\n')
  n = n + #members
  text[#text + 1] = '|' .. lane .. '\n' .. lines .. '\n'
  local key = prefix .. 'due:' .. lane
  if t.first and t.first > 1 then
    -- One walk takes them all, those without a record too.
    local late = call('ZCOUNT', key, '-inf', '(1')
    call('ZREMRANGEBYRANK', key, late, late + t.first - 1)
  else
    call('ZREM', key, unpack(members))
  end
  call('HSET', flight, unpack(t.flights))
  local crashes = '0'
  if rescue then crashes = tostring(call('HINCRBY', prefix .. 'crash', sub(members[1], 1, 26), 1)) end
  out[#out + 1] = lane
  out[#out + 1] = lines
  out[#out + 1] = table.concat(t.records, '\n')
  out[#out + 1] = crashes
end
call('SET', prefix .. 'hand:' .. token, table.concat(text))
call('HSET', prefix .. 'left', token, n)
call('ZADD', hands, token, token)
out[2] = token
bury()
return out
