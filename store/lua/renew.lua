#!lua flags=allow-oom
-- Lengthens leases. The tokens stay as they are.
-- KEYS[1]  the shard's fence
-- ARGV[1]  length of the lease, microseconds of Redis' clock
-- ARGV[2…] for each claim five words: id, customer, lane, token, day
-- Returns  {for each claim 1 if it was still held, else 0}
-- allow-oom: a renewal needs no memory but the little of its mark, and without it a message in flight would be sent again.
local prefix = string.sub(KEYS[1], 1, -6)
local BASE = 9000000000000000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local target = string.format('%.0f', now + tonumber(ARGV[1]) - BASE)
local out = {}

for i = 2, #ARGV, 5 do
  local id, customer, lane, token, day = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local old = redis.call('HGET', prefix .. 'ledger:' .. customer, id)
  if old then day = string.sub(old, 4, 8) end
  local key, member = prefix .. 'due:' .. lane, id .. day .. customer
  local score = tonumber(redis.call('ZSCORE', key, member) or '0')
  local held = score < 0 and score > now - BASE
  if held and score ~= tonumber(token) - BASE then
    held = redis.call('HGET', prefix .. 'renewed', id) == token .. ' ' .. string.format('%.0f', score)
  end
  if held and tonumber(target) > score then
    redis.call('ZADD', key, target, member)
    redis.call('ZADD', prefix .. 'busy', target, customer)
    redis.call('HSET', prefix .. 'renewed', id, token .. ' ' .. target)
  end
  out[#out + 1] = held and 1 or 0
end
return out
