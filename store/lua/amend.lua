#!lua flags=allow-oom
-- Changes messages that nobody has claimed: new plans, receipts, what operators decide.
-- KEYS[1]  the shard's fence
-- ARGV     for each: id day customer lane old record entry to score rank
--   lane         where it waits now
--   old          the record as it was read; if it was changed in between nothing happens
--   record entry the new ones, '' = none: it is forgotten
--   to score     where it goes: due:<lane>, uncertain or failed; '' = nowhere
--   rank         a receipt that waits for the message and says no more than this is not needed any more
-- Returns  for each 1, 0 = it was changed in between, -1 = it is claimed, or its lease has ended
-- allow-oom: what providers and operators say must be recorded even when Redis is full. Run twice it answers the same.
local prefix, call, out = string.sub(KEYS[1], 1, -6), redis.call, {}
local function put(key, field, value) if value == '' then call('HDEL', key, field) else call('HSET', key, field, value) end end
local function amend(id, day, customer, lane, old, record, entry, to, score, rank)
  local msg, ledger, ref = prefix .. 'msg:' .. day, prefix .. 'ledger:' .. customer, id .. '|' .. day .. '|' .. customer
  local now, holder = call('HGET', msg, id) or '', call('HGET', prefix .. 'busy', customer)
  local early = call('HGET', prefix .. 'early', id)
  if now == record and (call('HGET', ledger, id) or '') == entry then return 1 end
  if now ~= old then return 0 end
  if holder and string.match(holder, '^[^|]*') == id or call('ZSCORE', prefix .. 'suspects:' .. lane, ref) then return -1 end
  local due = prefix .. 'due:' .. lane
  call('EXISTS', due, prefix .. to, prefix .. 'uncertain', prefix .. 'failed', prefix .. 'watermark')
  put(msg, id, record)
  put(ledger, id, entry)
  call('ZREM', due, ref)
  call('ZREM', prefix .. 'uncertain', ref)
  call('ZREM', prefix .. 'failed', ref)
  if to ~= '' then call('ZADD', prefix .. to, score, ref) end
  if early and string.match(early, '^%d') <= rank then call('HDEL', prefix .. 'early', id) end
  return 1
end
for i = 1, #ARGV, 10 do out[#out + 1] = amend(unpack(ARGV, i, i + 9)) end
call('INCR', prefix .. 'watermark')
return out
