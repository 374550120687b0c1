#!lua flags=allow-oom
-- Lengthens leases. The tokens stay as they are.
-- KEYS[1]  the shard's fence
-- ARGV[1]  length of the lease, microseconds of Redis' clock
-- ARGV[2…] for each claim three words: token|, customer, lane
-- Returns  {for each claim 1 if it was still held, else 0}
-- allow-oom: a renewal needs no memory, and without it a message in flight would be sent again.
local prefix = string.sub(KEYS[1], 1, -6)
local flight = prefix .. 'flight'
local BASE = 9000000000000000
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local target = now + tonumber(ARGV[1])
local out = {}

for i = 2, #ARGV, 3 do
  local own, customer = ARGV[i], ARGV[i + 1]
  local key = prefix .. 'due:' .. ARGV[i + 2]
  local v = redis.call('HGET', flight, customer)
  local answer = 0
  if v and string.find(v, own, 1, true) == 1 then
    local ends, member, record = string.match(v, '^%d+|(%d+)|([^|]*)|(.*)$')
    -- A member that is not in the queue any more was taken out by hand; its record brings it back.
    if ends and tonumber(ends) > now and redis.call('ZSCORE', key, member) then
      answer = 1
      if target > tonumber(ends) then
        redis.call('ZADD', key, 'XX', string.format('%.0f', target - BASE), member)
        redis.call('HSET', flight, customer, own .. string.format('%.0f', target) .. '|' .. member .. '|' .. record)
      end
    end
  end
  out[#out + 1] = answer
end
return out
