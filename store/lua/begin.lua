#!lua
-- Records that claimed messages are about to be handed over: state sending.
-- KEYS[1]  the shard's fence
-- ARGV     for each intent three words: token|, customer, record
-- Returns  {mark, then for each intent 1 if the claim was still held (and its lease had not ended), else 0}
-- Has no allow-oom: what cannot be recorded is not begun.
local prefix = string.sub(KEYS[1], 1, -6)
local flight = prefix .. 'flight'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
-- Both keys are read before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when nothing
-- has been done yet, and not half way through.
local out = {redis.call('GET', prefix .. 'mark') or '0'}

local customers, find, match = {}, string.find, string.match
for i = 2, #ARGV, 3 do customers[#customers + 1] = ARGV[i] end
local held = redis.call('HMGET', flight, unpack(customers))
local begun, at = {}, 1
for j, v in ipairs(held) do
  local answer = 0
  if v and find(v, ARGV[3 * j - 2], 1, true) == 1 then
    local head, ends = match(v, '^(%d+|(%d+)|[^|]*|)')
    if ends and tonumber(ends) > now then
      answer = 1
      begun[at], begun[at + 1] = customers[j], head .. ARGV[3 * j]
      at = at + 2
    end
  end
  out[j + 1] = answer
end
if at > 1 then
  redis.call('HSET', flight, unpack(begun))
  out[1] = tostring(redis.call('INCR', prefix .. 'mark'))
end
return out
