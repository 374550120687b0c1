#!lua flags=allow-oom
-- Keeps which message a provider's own id belongs to, for receipts that name nothing else.
-- KEYS[1]  the fence of the shard of the provider's id (not of the message)
-- ARGV[1]  name of the day's table below the prefix: provider:<day>
-- ARGV[2]  seconds it is kept
-- ARGV[3…] pairs: the provider's id, the message's
-- Returns  for each pair the receipt that came before it, or ''
local prefix = string.sub(KEYS[1], 1, -6)
local out = {}
local parked = redis.call('EXISTS', prefix .. 'parked') == 1
for i = 3, #ARGV, 2 do
  redis.call('HSET', prefix .. ARGV[1], ARGV[i], ARGV[i + 1])
  out[#out + 1] = (parked and redis.call('HGET', prefix .. 'parked', ARGV[i])) or ''
end
redis.call('EXPIRE', prefix .. ARGV[1], ARGV[2])
return out
