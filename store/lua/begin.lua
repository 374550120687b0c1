#!lua
-- Records that claimed messages are about to be sent.
-- KEYS[1]  the shard's fence
-- ARGV[1]  1 if Redis is a cluster, else 0
-- then for each message: lane id day customer token record entry
-- Returns  {watermark ('' if nothing changed), then for each 1, or 0 if the claim is not ours any more or its lease has ended}
-- No allow-oom: what cannot be recorded is not sent.
local prefix, call, time = string.sub(KEYS[1], 1, -6), redis.call, redis.call('TIME')
local busy, leased, ledger, now = prefix .. 'busy', prefix .. 'leased', prefix .. 'ledger:', time[1] * 1000000 + time[2]
local customers, out, ours, ids, records, keys = {}, {''}, {}, {}, {}, {prefix .. 'watermark', prefix .. 'crashes'}
for i = 2, #ARGV, 7 do customers[(i + 5) / 7] = ARGV[i + 3] end
-- Who is busy has a lease that lasts. If one does not, or is missing because somebody deleted keys, each is looked up.
local sound = call('ZCOUNT', leased, '-inf', now) == 0 and call('ZCARD', leased) == call('HLEN', busy)
for n, holder in ipairs(call('HMGET', busy, unpack(customers))) do
  local i = 7 * n - 5
  local _, id, day, customer, token, record = unpack(ARGV, i, i + 5)
  local alive = holder == id .. '|' .. token and (sound or tonumber(call('ZSCORE', leased, table.concat(ARGV, '|', i, i + 3)) or 0) > now)
  out[n + 1] = alive and 1 or 0
  if alive then
    local list = records[day] or {}
    records[day], list[#list + 1], list[#list + 2], ours[#ours + 1], ids[#ids + 1] = list, id, record, i, id
    if ARGV[1] == '1' then keys[#keys + 1] = ledger .. customer end
  end
end
for day in pairs(records) do keys[#keys + 1] = prefix .. 'msg:' .. day end
if call('EXISTS', unpack(keys)) and #ours == 0 then return out end -- every key is read before the first write: see complete.lua
for day, list in pairs(records) do call('HSET', prefix .. 'msg:' .. day, unpack(list)) end
for _, i in ipairs(ours) do call('HSET', ledger .. ARGV[i + 3], ARGV[i + 1], ARGV[i + 6]) end
call('HDEL', keys[2], unpack(ids))
out[1] = tostring(call('INCR', keys[1]))
return out
