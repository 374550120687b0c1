#!lua flags=allow-oom
-- Makes suspects of the messages whose lease has ended: their replica died, or one of them killed it.
-- KEYS[1]  the shard's fence
-- ARGV[1]  how many at most
-- Returns  how many
-- allow-oom: what may have been sent must be known as such even when Redis is full. Run twice it finds others.
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])
local ended, keys = call('ZRANGEBYSCORE', prefix .. 'leased', '-inf', now, 'LIMIT', 0, ARGV[1]), {prefix .. 'watermark', prefix .. 'crashes'}
for n, member in ipairs(ended) do keys[n + 2] = prefix .. 'suspects:' .. string.match(member, '^[^|]*') end
call('EXISTS', prefix .. 'busy', unpack(keys)) -- every key is read before the first write: see complete.lua
for n, member in ipairs(ended) do
  local ref, id, customer = string.match(member, '|(([^|]*).*|(.*))')
  call('ZADD', keys[n + 2], call('ZSCORE', prefix .. 'leased', member), ref)
  call('ZREM', prefix .. 'leased', member)
  call('HINCRBY', keys[2], id, 1)
  local holder = call('HGET', prefix .. 'busy', customer)
  if holder and string.match(holder, '^[^|]*') == id then call('HDEL', prefix .. 'busy', customer) end
end
if #ended > 0 then call('INCR', keys[1]) end
return #ended
