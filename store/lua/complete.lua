#!lua flags=allow-oom
-- Records how claims ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  sent:<day>, which counts what was sent
-- ARGV[2]  how long it is kept, seconds
-- then for each result: lane id day customer token record entry to score count also merged
--   record           '' = nothing is recorded: the message was over before
--   to score         where the message goes: due:<lane>, uncertain or failed; '' = nowhere
--   count            dealer/program if it counts as sent, else ''
--   also merged      ids of the occurrences that went with it, and their ledger entry
-- Returns  {watermark ('' if nothing changed), then for each 1, or the receipt that came before it, or 0 if the claim is not ours any more}
-- allow-oom: what was sent must be recorded even when Redis is full. Run twice it finds its own record and answers the same.
local prefix, call, words = string.sub(KEYS[1], 1, -6), redis.call, 12
local busy, customers, sent = prefix .. 'busy', {}, prefix .. ARGV[1]
for i = 3, #ARGV, words do customers[#customers + 1] = ARGV[i + 3] end
local holders, out, members, free, ids, ours, counts, records = call('HMGET', busy, unpack(customers)), {''}, {}, {}, {}, {}, {}, {}
local keys = {prefix .. 'watermark', prefix .. 'leased', prefix .. 'crashes', prefix .. 'early', sent}
for n, customer in ipairs(customers) do
  local i = 3 + words * (n - 1)
  local _, id, day, _, token, record, _, to = unpack(ARGV, i, i + 7)
  local msg = prefix .. 'msg:' .. day
  if holders[n] == id .. '|' .. token then
    out[n + 1], ours[#ours + 1], free[#free + 1], ids[#ids + 1] = 1, i, customer, id
    members[#members + 1] = table.concat(ARGV, '|', i, i + 3)
    if not records[msg] then records[msg], keys[#keys + 1] = {}, msg end
    keys[#keys + 1], keys[#keys + 2] = prefix .. 'ledger:' .. customer, to ~= '' and prefix .. to or nil
    if record ~= '' then records[msg][#records[msg] + 1], records[msg][#records[msg] + 2] = id, record end
  else -- unless it is our own word of before
    out[n + 1] = record ~= '' and call('HGET', msg, id) == record and 1 or 0
  end
end
-- Every key is read before the first write: while a cluster moves the slot, one that has gone ahead is an error here, not half way through.
call('EXISTS', unpack(keys))
for _, i in ipairs(ours) do
  local _, id, day, customer, _, record, entry, to, score, count, also, merged = unpack(ARGV, i, i + words - 1)
  local ledger = prefix .. 'ledger:' .. customer
  if record ~= '' then call('HSET', ledger, id, entry) end
  if to ~= '' then call('ZADD', prefix .. to, score, id .. '|' .. day .. '|' .. customer) end
  if count ~= '' then counts[count] = (counts[count] or 0) + 1 end
  for other in string.gmatch(also, '%S+') do call('HSETNX', ledger, other, merged) end
end
for msg, list in pairs(records) do if #list > 0 then call('HSET', msg, unpack(list)) end end
for count, n in pairs(counts) do call('HINCRBY', sent, count, n) end
if next(counts) then call('EXPIRE', sent, ARGV[2]) end
if #ours == 0 then return out end
call('ZREM', keys[2], unpack(members))
call('HDEL', busy, unpack(free))
call('HDEL', keys[3], unpack(ids))
out[1] = tostring(call('INCR', keys[1]))
if call('EXISTS', keys[4]) == 0 then return out end
for n, early in ipairs(call('HMGET', keys[4], unpack(ids))) do out[(ours[n] - 3) / words + 2] = early or 1 end
return out
