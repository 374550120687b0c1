#!lua flags=allow-oom
-- Dissolves a hand whose lease has ended: its messages go back to their queues, as such that were there at a crash.
-- KEYS[1]  the shard's fence
-- ARGV[1]  the hand's token
-- ARGV[2]  how long begun:<token> was when it was read
-- ARGV[3…] for each message that was being sent four words: customer, id and day, record, ledger entry
-- Returns  1, 2 if there is another one, or 0 if the lease has not ended, or more was begun meanwhile: then nothing has been done
-- allow-oom: what may have been sent must be known as such even when Redis is full.
-- Run twice it finds no hand the second time.
local prefix, token = string.sub(KEYS[1], 1, -6), ARGV[1]
local call, sub = redis.call, string.sub
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ends = tonumber(call('ZSCORE', prefix .. 'hands', token) or '0')
if ends == 0 then return 1 end
if ends > now or call('STRLEN', prefix .. 'begun:' .. token) ~= tonumber(ARGV[2]) then return 0 end
local score, own = string.format('%.0f', ends - 9000000000000000), token .. '|'

-- Every key is read before the first write; see begin.lua.
call('EXISTS', prefix .. 'left', prefix .. 'begun:' .. token)
local lanes = {}
for _, v in ipairs(call('HVALS', prefix .. 'flight')) do
  if string.find(v, own, 1, true) == 1 then
    local lane, member = string.match(v, '^%d+|([^|]*)|([^|]*)')
    call('EXISTS', prefix .. 'due:' .. lane)
    lanes[#lanes + 1] = {lane, member}
  end
end
local sending = {}
for i = 3, #ARGV, 4 do
  local customer = ARGV[i]
  local v = call('HGET', prefix .. 'flight', customer)
  local id, day, ledger = sub(ARGV[i + 1], 1, 26), sub(ARGV[i + 1], 27), prefix .. 'ledger:' .. customer
  if v and string.find(v, own, 1, true) == 1 and call('HEXISTS', prefix .. 'msg:' .. day, id) == 1 and call('HEXISTS', ledger, id) == 1 then
    sending[#sending + 1] = {prefix .. 'msg:' .. day, id, ARGV[i + 2], ledger, ARGV[i + 3]}
  end
end

for _, s in ipairs(sending) do
  call('HSET', s[1], s[2], s[3])
  call('HSET', s[4], s[2], s[5])
end
for _, l in ipairs(lanes) do
  call('ZADD', prefix .. 'due:' .. l[1], score, l[2])
  call('HDEL', prefix .. 'flight', sub(l[2], 32))
end
call('ZREM', prefix .. 'hands', token)
call('HDEL', prefix .. 'left', token, token .. '!')
call('DEL', prefix .. 'begun:' .. token)
call('INCR', prefix .. 'mark')
return 1 + #call('ZRANGEBYSCORE', prefix .. 'hands', '-inf', string.format('%.0f', now), 'LIMIT', 0, 1)
