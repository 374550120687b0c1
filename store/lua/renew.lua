#!lua flags=allow-oom
-- Lengthens leases. The tokens stay as they are.
-- KEYS[1]  the shard's fence
-- ARGV[1]  length of the lease from now on, µs of Redis' clock
-- then for each claim: lane id day customer token
-- Returns  for each 1, or 0 if the claim is not ours any more or its lease has ended
-- allow-oom: a renewal needs no memory, and without it what is in flight would be sent again.
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
local time = call('TIME')
local now, out = time[1] * 1000000 + time[2], {}
for i = 2, #ARGV, 5 do
  local lane, id, day, customer, token = unpack(ARGV, i, i + 4)
  local member = lane .. '|' .. id .. '|' .. day .. '|' .. customer
  local ends = call('ZSCORE', prefix .. 'leased', member)
  local ours = ends and tonumber(ends) > now and call('HGET', prefix .. 'busy', customer) == id .. '|' .. token
  if ours then call('ZADD', prefix .. 'leased', 'XX', 'GT', string.format('%.0f', now + ARGV[1]), member) end
  out[#out + 1] = ours and 1 or 0
end
return out
