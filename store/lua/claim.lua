#!lua
-- Claims messages that are due, or rescues one whose lease has ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  the last slot that is due
-- ARGV[2]  length of the lease, microseconds of Redis' clock
-- ARGV[3]  how many at most
-- ARGV[4]  '1': rescue instead: at most one message that was there when its hand was dissolved
-- ARGV[5…] lanes, the most urgent first
-- Returns  {mark, token, '1' if something waits to be rescued + '2' if the lease of a hand has ended, '1' if more is due,
--           what hand:<token> says, crashes of the one that was rescued, else '0'}; without the last two if nothing was claimed.
--           One text costs both sides less than a hundred.
-- Has no allow-oom: a full Redis hands out no work whose outcome could not be recorded.
--
-- What is claimed together is a hand. Its messages leave the queue. hand:<token> says which they are: for each lane a line, | and its name,
-- then a line for each member. In flight stands for each customer the hand that has a message of theirs: one message of a customer at a
-- time, because the next one's caps depend on how this one ends. The hand's token and lease stand in hands, how many of its messages have no
-- result in left.
--
-- In flight stands | too, with a text of more than 64 bytes: without that Redis would keep a small one in a list, and looking a hundred
-- customers up in that costs more than all the rest.
local prefix = string.sub(KEYS[1], 1, -6)
-- with slots.lua
local match = string.match
local flight, hands = prefix .. 'flight', prefix .. 'hands'
local LOOKS = 8 * (tonumber(ARGV[3]) + 8) -- how many members are looked at, at most
local OF, AT = '[^|]*', 49 -- whose message a member is: the second field of its record, behind id, day, three letters and the slot
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local upto, quota, rescue = ARGV[1], tonumber(ARGV[3]), ARGV[4] == '1'
local out = {call('GET', prefix .. 'mark') or '0', '0', 0, '0'}

local token = now + tonumber(ARGV[2])
-- What was given back and is claimed again within the same microsecond gets another token.
if tonumber(call('GET', KEYS[1]) or '0') == token then token = token + 1 end
token = string.format('%.0f', token)

-- Adds to a list the first members of a lane that are due and whose customers are in no hand. Returns what flight is to say of those
-- customers, how many they are, and for each slot that gives some: its list, how many of its first were looked at, which of them stay, and
-- whether none is left.
local aloft, busy = call('HLEN', flight) - 1, {} -- without the filling; -1: there is none yet
local function waiting(lane, lines)
  local flights, n, gives, looks, at = {}, 0, {}, 0, 0
  while n < quota and looks < LOOKS do
    local slots = call('ZRANGEBYSCORE', due(lane), '-inf', upto, 'LIMIT', at, 16)
    at = at + 16
    for _, slot in ipairs(slots) do
      local key, stay, looked, before = list(lane, slot), {}, 0, n
      repeat
        local page = quota - n + (aloft > 0 and 8 or 0)
        local found = call('LRANGE', key, looked, looked + page - 1)
        local customers, held = {}, {}
        if aloft > 0 and #found > 0 then
          for j, m in ipairs(found) do customers[j] = match(m, OF, AT) end
          held = call('HMGET', flight, unpack(customers))
        end
        local j = 0
        while j < #found and n < quota do
          j = j + 1
          local m = found[j]
          local customer = customers[j] or match(m, OF, AT)
          if not held[j] and not busy[customer] then
            busy[customer] = true
            n = n + 1
            lines[n + 1], flights[2 * n - 1], flights[2 * n] = m, customer, token
          else
            stay[#stay + 1] = m
          end
        end
        looked = looked + j
      until #found < page or n >= quota or looks + looked >= LOOKS
      looks = looks + math.max(looked, 1)
      if looked == 0 then call('ZREM', due(lane), slot) end -- somebody deleted the list
      if n > before then
        local empty = #stay == 0 and call('LLEN', key) == looked
        gives[#gives + 1] = {key = key, slot = slot, looked = looked, stay = stay, empty = empty}
      end
      if n >= quota or looks >= LOOKS then break end
    end
    if #slots < 16 then break end
  end
  return flights, n, gives
end

-- The same with a member whose hand was dissolved and whose customer is in no other hand.
local function rescued(lane, lines)
  for _, m in ipairs(call('ZRANGE', late(lane), 0, 7)) do
    local customer = match(m, OF, AT)
    if call('HEXISTS', flight, customer) == 0 then
      lines[2] = m
      return {customer, token}, 1
    end
  end
  return {}, 0
end

local taken = {}
for i = 5, #ARGV do
  local lane = ARGV[i]
  if not rescue and out[3] == 0 and call('EXISTS', late(lane)) == 1 then out[3] = 1 end
  if quota > 0 then
    local lines, flights, n, gives = {'|' .. lane}
    if rescue then flights, n = rescued(lane, lines) else flights, n, gives = waiting(lane, lines) end
    if n > 0 then
      taken[#taken + 1] = {lane = lane, lines = lines, flights = flights, n = n, gives = gives}
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
  if rescue then
    call('ZREM', late(t.lane), lines[2])
    crashes = tostring(call('HINCRBY', prefix .. 'crash', sub(lines[2], 1, 26), 1))
  else
    for _, g in ipairs(t.gives) do
      call('LTRIM', g.key, g.looked, -1) -- it gives no answer, as LPOP would
      for j = #g.stay, 1, -1 do call('LPUSH', g.key, g.stay[j]) end
      if g.empty then call('ZREM', due(t.lane), g.slot) end
    end
  end
  call('HSET', flight, unpack(t.flights))
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
