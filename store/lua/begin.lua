#!lua
-- Records that claimed messages are about to be sent.
-- KEYS[1]  the shard's fence
-- ARGV     for each message: lane id day customer token record entry
-- Returns  {watermark ('' if nothing changed), then for each 1, or 0 if the claim is not ours any more or its lease has ended}
-- No allow-oom: what cannot be recorded is not sent.
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
local time = call('TIME')
local now, customers, members = time[1] * 1000000 + time[2], {}, {}
for i = 1, #ARGV, 7 do customers[#customers + 1], members[#members + 1] = ARGV[i + 3], table.concat(ARGV, '|', i, i + 3) end
local holders, ends = call('HMGET', prefix .. 'busy', unpack(customers)), call('ZMSCORE', prefix .. 'leased', unpack(members))
local out, keys, ids, records = {''}, {prefix .. 'watermark', prefix .. 'crashes'}, {}, {}
for n, customer in ipairs(customers) do
  local id, day, token, record = ARGV[7 * n - 5], ARGV[7 * n - 4], ARGV[7 * n - 2], ARGV[7 * n - 1]
  out[n + 1] = ends[n] and tonumber(ends[n]) > now and holders[n] == id .. '|' .. token and 1 or 0
  if out[n + 1] == 1 then
    local msg = prefix .. 'msg:' .. day
    if not records[msg] then records[msg], keys[#keys + 1] = {}, msg end
    ids[#ids + 1], records[msg][#records[msg] + 1], records[msg][#records[msg] + 2] = id, id, record
    keys[#keys + 1] = prefix .. 'ledger:' .. customer
  end
end
if call('EXISTS', unpack(keys)) and #ids == 0 then return out end -- every key is read before the first write: see complete.lua
for msg, list in pairs(records) do call('HSET', msg, unpack(list)) end
for n, ours in ipairs({unpack(out, 2)}) do
  if ours == 1 then call('HSET', prefix .. 'ledger:' .. customers[n], ARGV[7 * n - 5], ARGV[7 * n]) end
end
call('HDEL', keys[2], unpack(ids))
out[1] = tostring(call('INCR', keys[1]))
return out
