#!lua
-- Claims messages that are due, or rescues one whose lease has ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  now on the daemon's clock, ms: what is due by it may be claimed
-- ARGV[2]  length of the lease, microseconds of Redis' clock
-- ARGV[3]  how many at most
-- ARGV[4]  '1': rescue instead: at most one message that was there when its hand was dissolved
-- ARGV[5…] lanes, the most urgent first
-- Returns  {mark, token, '1' if something waits to be rescued + '2' if the lease of a hand has ended, '1' if more is due,
--           what hand:<token> says, crashes of the one that was rescued, else '0'}; without the last two if nothing was claimed.
--           One text costs both sides less than a hundred.
-- Has no allow-oom: a full Redis hands out no work whose outcome could not be recorded.
--
-- A member is a message's id, the day of its record and the record itself: nothing else has to be read.
--
-- What is claimed together is a hand. Its messages leave the queue. hand:<token> says which they are: for each lane a line, | and its name,
-- then a line for each member. In flight stands for each customer the hand that has a message of theirs: one message of a customer at a
-- time, because the next one's caps depend on how this one ends. The hand's token and lease stand in hands, how many of its messages have no
-- result in left.
--
-- In flight stands | too, with a text of more than 64 bytes: without that Redis would keep a small one in a list, and looking a hundred
-- customers up in that costs more than all the rest.
--
-- A member's score is its release (ms, above 0), or below 0 when its hand was dissolved: the end of that lease (microseconds) less
-- 9e15, so that the two clocks never meet on one axis.
local prefix = string.sub(KEYS[1], 1, -6)
local call, match = redis.call, string.match
local flight, hands = prefix .. 'flight', prefix .. 'hands'
local PAGES = 8
local OF = '[^|]*' -- whose message a member is: the second field of its record, behind id, day and three letters
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due, quota, rescue = ARGV[1], tonumber(ARGV[3]), ARGV[4] == '1'
local out = {call('GET', prefix .. 'mark') or '0', '0', 0, '0'}

local token = now + tonumber(ARGV[2])
-- What was given back and is claimed again within the same microsecond gets another token.
if tonumber(call('GET', KEYS[1]) or '0') == token then token = token + 1 end
token = string.format('%.0f', token)

-- Adds to a list the first members of a lane that are due and whose customers are in no hand. Returns what flight is to say of those
-- customers, how many they are, and whether they are the first of all that are due.
local aloft, busy = call('HLEN', flight) - 1, {} -- without the filling; -1: there is none yet
local function waiting(key, list)
  local flights, n, at, page, gap = {}, 0, 0, quota + 8, false
  for _ = 1, PAGES do
    local found = call('ZRANGEBYSCORE', key, '1', due, 'LIMIT', at, page)
    if #found == 0 then break end
    local customers, held = {}, {}
    if aloft > 0 then
      for j, m in ipairs(found) do customers[j] = match(m, OF, 36) end
      held = call('HMGET', flight, unpack(customers))
    end
    for j, m in ipairs(found) do
      if n >= quota then break end
      local customer = customers[j] or match(m, OF, 36)
      if not held[j] and not busy[customer] then
        busy[customer] = true
        n = n + 1
        list[n + 1], flights[2 * n - 1], flights[2 * n] = m, customer, token
      else
        gap = true
      end
    end
    if n >= quota or #found < page then
      if #found == page then out[4] = '1' end
      break
    end
    at, page = at + page, quota + math.min(quota, math.max(aloft, 0)) + 8
  end
  return flights, n, not gap
end

-- The same with a member whose hand was dissolved and whose customer is in no other hand.
local function late(key, list)
  for _, m in ipairs(call('ZRANGEBYSCORE', key, '-inf', '(0', 'LIMIT', 0, 8)) do
    local customer = match(m, OF, 36)
    if call('HEXISTS', flight, customer) == 0 then
      list[2] = m
      return {customer, token}, 1
    end
  end
  return {}, 0
end

local taken = {}
for i = 5, #ARGV do
  local lane = ARGV[i]
  local key = prefix .. 'due:' .. lane
  if not rescue and out[3] == 0 and #call('ZRANGEBYSCORE', key, '-inf', '(0', 'LIMIT', 0, 1) > 0 then out[3] = 1 end
  if quota > 0 then
    local lines, flights, n, first = {'|' .. lane}
    if rescue then flights, n = late(key, lines) else flights, n, first = waiting(key, lines) end
    if n > 0 then
      taken[#taken + 1] = {key = key, lines = lines, flights = flights, n = n, first = first}
      quota = quota - n
    end
  end
end
if quota <= 0 then out[4] = '1' end
if #call('ZRANGEBYSCORE', hands, '-inf', string.format('%.0f', now), 'LIMIT', 0, 1) > 0 then out[3] = out[3] + 2 end
out[3] = tostring(out[3])

if #taken == 0 then return out end

-- Every key is read before the first write, that of the new hand too; see begin.lua.
call('EXISTS', prefix .. 'left', prefix .. 'hand:' .. token)
call('SET', KEYS[1], token)
if aloft < 0 then call('HSET', flight, '|', string.rep('.', 65)) end
local all, text, crashes = 0, {}, '0'
for i, t in ipairs(taken) do
  local n, lines = t.n, t.lines
  all = all + n
  if t.first and n > 1 then
    -- One walk takes them all.
    local late = call('ZCOUNT', t.key, '-inf', '(1')
    call('ZREMRANGEBYRANK', t.key, late, late + n - 1)
  else
    call('ZREM', t.key, unpack(lines, 2))
  end
  call('HSET', flight, unpack(t.flights))
  if rescue then crashes = tostring(call('HINCRBY', prefix .. 'crash', string.sub(lines[2], 1, 26), 1)) end
  lines[n + 2] = ''
  text[i] = table.concat(lines, '\n')
end
out[5] = text[2] and table.concat(text) or text[1]
out[6] = crashes
call('SET', prefix .. 'hand:' .. token, out[5])
call('HSET', prefix .. 'left', token, all)
call('ZADD', hands, token, token)
out[2] = token
return out
