#!lua flags=allow-oom
-- Lengthens the leases of hands. The tokens stay as they are.
-- KEYS[1]  the shard's fence
-- ARGV[1]  length of the lease, microseconds of Redis' clock
-- ARGV[2…] tokens
-- Returns  {for each hand 1 if its lease had not ended, else 0}
-- allow-oom: a renewal needs no memory, and without it what is in flight would be sent again.
local hands = string.sub(KEYS[1], 1, -6) .. 'hands'
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local target = now + tonumber(ARGV[1])
local out = {}
for i = 2, #ARGV do
  local ends = tonumber(redis.call('ZSCORE', hands, ARGV[i]) or '0')
  out[i - 1] = ends > now and 1 or 0
  if ends > now and target > ends then redis.call('ZADD', hands, 'XX', string.format('%.0f', target), ARGV[i]) end
end
return out
