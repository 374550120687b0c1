#!lua flags=allow-oom
-- Records how claims ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  1 if Redis is a cluster, else 0
-- ARGV[2]  sent:<day>, which counts what was sent
-- ARGV[3]  how long it is kept, seconds
-- ARGV[4]  how many results
-- then for each result: lane id day customer token record entry count
--   record  '' = nothing is recorded: the message was over before
--   count   dealer/program if it counts as sent, else ''
-- then what else some results do: number command key word word. The number is the result's, the key lacks the prefix
-- Returns  {watermark ('' if nothing changed), then for each 1, or the receipt that came before it, or 0 if the claim is not ours any more}
-- allow-oom: what was sent must be recorded even when Redis is full. Run twice it finds its own record and answers the same.
local prefix, call, most = string.sub(KEYS[1], 1, -6), redis.call, tonumber(ARGV[4])
local busy, ledger, sent, customers, out = prefix .. 'busy', prefix .. 'ledger:', prefix .. ARGV[2], {}, {''}
local mine, ours, members, free, ids, counts, records = {}, {}, {}, {}, {}, {}, {}
local keys = {prefix .. 'watermark', prefix .. 'leased', prefix .. 'crashes', prefix .. 'early', sent}
for n = 1, most do customers[n] = ARGV[8 * n] end
for n, holder in ipairs(call('HMGET', busy, unpack(customers))) do
  local i, at = 8 * n - 3, #ours + 1
  local lane, id, day, customer, token, record = unpack(ARGV, i, i + 5)
  if holder == id .. '|' .. token then
    out[n + 1], mine[n], ours[at], free[at], ids[at], members[at] = 1, true, n, customer, id, lane .. '|' .. id .. '|' .. day .. '|' .. customer
    local list = records[day] or {}
    if record ~= '' then records[day], list[#list + 1], list[#list + 2] = list, id, record end
    if ARGV[1] == '1' then keys[#keys + 1] = ledger .. customer end
  else -- unless it is our own word of before
    out[n + 1] = record ~= '' and call('HGET', prefix .. 'msg:' .. day, id) == record and 1 or 0
  end
end
for day in pairs(records) do keys[#keys + 1] = prefix .. 'msg:' .. day end
for i = 8 * most + 5, #ARGV, 5 do keys[#keys + 1] = prefix .. ARGV[i + 2] end
-- Every key is read before the first write: while a cluster moves the slot, one that has gone ahead is an error here, not half way through.
if call('EXISTS', unpack(keys)) and #ours == 0 then return out end
for _, n in ipairs(ours) do
  local id, _, customer, _, record, entry, count = unpack(ARGV, 8 * n - 2, 8 * n + 4)
  if record ~= '' then call('HSET', ledger .. customer, id, entry) end
  if count ~= '' then counts[count] = (counts[count] or 0) + 1 end
end
for i = 8 * most + 5, #ARGV, 5 do
  if mine[tonumber(ARGV[i])] then call(ARGV[i + 1], prefix .. ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]) end
end
for day, list in pairs(records) do call('HSET', prefix .. 'msg:' .. day, unpack(list)) end
for count, n in pairs(counts) do call('HINCRBY', sent, count, n) end
if next(counts) then call('EXPIRE', sent, ARGV[3]) end
call('ZREM', keys[2], unpack(members))
call('HDEL', busy, unpack(free))
call('HDEL', keys[3], unpack(ids))
out[1] = tostring(call('INCR', keys[1]))
if call('EXISTS', keys[4]) == 0 then return out end
for n, early in ipairs(call('HMGET', keys[4], unpack(ids))) do out[ours[n] + 1] = early or 1 end
return out
