#!lua flags=allow-oom
-- Dissolves a hand whose lease has ended: its messages were there at a crash, and wait to be rescued.
-- KEYS[1]  the shard's fence
-- without more: looks for a hand, and dissolves it if nothing of it was being sent
-- ARGV[1]  the hand's token
-- ARGV[2]  how long hand:<token> was when it was read
-- ARGV[3…] for each message that was being sent four words: customer, id and day, record, ledger entry
-- Returns  {1}, {2} if there is another one, {0} if there is none, or more was begun meanwhile: then nothing has been done; or
--           {-1, token, length of hand:<token>, then for each message that was being sent: its member and what is noted of it}:
--           nothing has been done, and the records are to be given
-- allow-oom: what may have been sent must be known as such even when Redis is full.
-- Run twice it finds no hand the second time.
local prefix = string.sub(KEYS[1], 1, -6)
local call, sub, find = redis.call, string.sub, string.find
local hands, flight = prefix .. 'hands', prefix .. 'flight'
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ended = call('ZRANGEBYSCORE', hands, '-inf', string.format('%.0f', now), 'LIMIT', 0, 2)
local token = ARGV[1] or ended[1]
local ends = tonumber(token and call('ZSCORE', hands, token) or '0')
if ends == 0 then return {ARGV[1] and 1 or 0} end
local hand = call('GET', prefix .. 'hand:' .. token) or ''
if ends > now or ARGV[1] and #hand ~= tonumber(ARGV[2]) then return {0} end

-- Every key is read before the first write; see begin.lua.
call('EXISTS', prefix .. 'left')
local mine, aloft, lane = {}, {}, nil -- what has no result, and its place in mine by customer
local named, notes = string.match(hand, '^(.-\n)\n(.*)') -- what was begun stands behind the members
for line in string.gmatch(named or hand, '[^\n]+') do
  if sub(line, 1, 1) == '|' then
    lane = prefix .. 'late:' .. sub(line, 2)
    call('EXISTS', lane)
  else
    local customer = string.match(line, '[^|]*', 49) -- as in claim.lua
    if call('HGET', flight, customer) == token then
      mine[#mine + 1] = {lane = lane, member = line, customer = customer}
      aloft[customer] = #mine
    end
  end
end

if not ARGV[1] and notes then
  local out, begun = {-1, token, #hand}, '\n' .. notes
  for _, m in ipairs(mine) do
    local _, at = find(begun, '\n' .. m.customer .. '|', 1, true)
    if at then
      out[#out + 1] = m.member
      out[#out + 1] = string.match(begun, '^[^\n]*', at + 1)
    end
  end
  return out
end

local sending = {}
for i = 3, #ARGV, 4 do
  local id, day, ledger = sub(ARGV[i + 1], 1, 26), sub(ARGV[i + 1], 27), prefix .. 'ledger:' .. ARGV[i]
  local m = mine[aloft[ARGV[i]]]
  call('EXISTS', prefix .. 'msg:' .. day)
  if m and call('HEXISTS', ledger, id) == 1 then
    m.member = ARGV[i + 1] .. ARGV[i + 2]
    sending[#sending + 1] = {prefix .. 'msg:' .. day, id, ARGV[i + 2], ledger, ARGV[i + 3]}
  end
end
for _, s in ipairs(sending) do
  call('HSET', s[1], s[2], s[3])
  call('HSET', s[4], s[2], s[5])
end
for _, m in ipairs(mine) do
  call('ZADD', m.lane, string.format('%.0f', ends), m.member)
  call('HDEL', flight, m.customer)
end
call('ZREM', hands, token)
call('HDEL', prefix .. 'left', token, token .. '!')
call('DEL', prefix .. 'hand:' .. token)
call('INCR', prefix .. 'mark')
return {#ended}
