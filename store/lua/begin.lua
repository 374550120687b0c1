#!lua
-- Records that claimed messages are about to be sent.
-- KEYS[1]  the shard's fence
-- ARGV     for each message: lane id day customer token record entry
-- Returns  {watermark, then for each 1, or 0 if the claim is not ours any more or its lease has ended}
-- No allow-oom: what cannot be recorded is not sent.
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
local time = call('TIME')
local now, out, ours, keys = time[1] * 1000000 + time[2], {'0'}, {}, {prefix .. 'watermark', prefix .. 'crashes'}
for i = 1, #ARGV, 7 do
  local lane, id, day, customer, token = unpack(ARGV, i, i + 4)
  local ends = call('ZSCORE', prefix .. 'leased', lane .. '|' .. id .. '|' .. day .. '|' .. customer)
  out[#out + 1] = 0
  if ends and tonumber(ends) > now and call('HGET', prefix .. 'busy', customer) == id .. '|' .. token then
    out[#out], ours[#ours + 1] = 1, i
    keys[#keys + 1], keys[#keys + 2] = prefix .. 'msg:' .. day, prefix .. 'ledger:' .. customer
  end
end
call('EXISTS', unpack(keys)) -- every key is read before the first write: see complete.lua
for n, i in ipairs(ours) do
  call('HSET', keys[2 * n + 1], ARGV[i + 1], ARGV[i + 5])
  call('HSET', keys[2 * n + 2], ARGV[i + 1], ARGV[i + 6])
  call('HDEL', keys[2], ARGV[i + 1])
end
out[1] = #ours > 0 and tostring(call('INCR', keys[1])) or call('GET', keys[1]) or '0'
return out
