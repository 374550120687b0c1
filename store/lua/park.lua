#!lua flags=allow-oom
-- Keeps receipts of messages that are claimed until their result is recorded, or takes away those that say nothing new.
-- KEYS[1]  the shard's fence
-- ARGV     for each: id day old receipt keep
--   receipt  its rank, a digit, | and what it says; of two the one that says more stays
--   keep     '1', or '0' = it says nothing new, and one that waits and says no more goes
-- Returns  for each 1, or 0 = the record is not the old one any more, and nothing is kept
local prefix, call, out = string.sub(KEYS[1], 1, -6), redis.call, {}
for i = 1, #ARGV, 5 do
  local id, day, old, receipt, keep = unpack(ARGV, i, i + 4)
  local waiting, rank = call('HGET', prefix .. 'early', id), string.match(receipt, '^%d')
  local more = not waiting or rank >= (string.match(waiting, '^%d') or '0')
  out[#out + 1] = (keep == '0' or call('HGET', prefix .. 'msg:' .. day, id) == old) and 1 or 0
  if keep == '0' and more then call('HDEL', prefix .. 'early', id) end
  if keep == '1' and more and out[#out] == 1 then call('HSET', prefix .. 'early', id, receipt) end
end
return out
