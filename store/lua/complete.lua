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
-- Returns  {watermark, then for each 1, or the receipt that came before it, or 0 if the claim is not ours any more}
-- allow-oom: what was sent must be recorded even when Redis is full. Run twice it finds its own record and answers the same.
local prefix, call, format = string.sub(KEYS[1], 1, -6), redis.call, 12
local busy, leased, crashes, early = prefix .. 'busy', prefix .. 'leased', prefix .. 'crashes', prefix .. 'early'
local out, ours, keys = {'0'}, {}, {prefix .. 'watermark', leased, crashes, early, prefix .. ARGV[1]}
for i = 3, #ARGV, format do
  local id, day, customer, token, record, _, to = unpack(ARGV, i + 1, i + 7)
  if call('HGET', busy, customer) == id .. '|' .. token then
    out[#out + 1], ours[#ours + 1] = 1, i
    keys[#keys + 1], keys[#keys + 2], keys[#keys + 3] = prefix .. 'msg:' .. day, prefix .. 'ledger:' .. customer, prefix .. to
  else -- unless it is our own word of before
    out[#out + 1] = record ~= '' and call('HGET', prefix .. 'msg:' .. day, id) == record and 1 or 0
  end
end
-- Every key is read before the first write: while a cluster moves the slot, one that has gone ahead is an error here, not half way through.
call('EXISTS', unpack(keys))
for _, i in ipairs(ours) do
  local lane, id, day, customer, _, record, entry, to, score, count, also, merged = unpack(ARGV, i, i + format - 1)
  local ref, ledger = id .. '|' .. day .. '|' .. customer, prefix .. 'ledger:' .. customer
  call('ZREM', leased, lane .. '|' .. ref)
  call('HDEL', busy, customer)
  call('HDEL', crashes, id)
  if record ~= '' then
    call('HSET', prefix .. 'msg:' .. day, id, record)
    call('HSET', ledger, id, entry)
  end
  if to ~= '' then call('ZADD', prefix .. to, score, ref) end
  if count ~= '' and call('HINCRBY', keys[5], count, 1) then call('EXPIRE', keys[5], ARGV[2]) end
  for other in string.gmatch(also, '%S+') do call('HSETNX', ledger, other, merged) end
end
out[1] = #ours > 0 and tostring(call('INCR', keys[1])) or call('GET', keys[1]) or '0'
if call('EXISTS', early) == 0 then return out end
for n = 2, #out do
  if out[n] == 1 then out[n] = call('HGET', early, ARGV[3 + (n - 2) * format + 1]) or 1 end
end
return out
