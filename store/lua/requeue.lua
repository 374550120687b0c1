#!lua
-- Puts pending messages back that stand in no set: somebody deleted keys.
-- KEYS[1]  the shard's fence
-- ARGV[1]  now, ms of the daemon's clock
-- then for each: lane id day customer record sending
--   record   as it was read; sending: '1' if it may have been sent: then it is a suspect
-- Returns  how many were put back
local prefix, call, back = string.sub(KEYS[1], 1, -6), redis.call, 0
for i = 2, #ARGV, 6 do
  local lane, id, day, customer, record, sending = unpack(ARGV, i, i + 5)
  local ref, holder = id .. '|' .. day .. '|' .. customer, call('HGET', prefix .. 'busy', customer)
  local due, suspects, held = prefix .. 'due:' .. lane, prefix .. 'suspects:' .. lane, holder and string.match(holder, '^[^|]*') == id
  local entry = redis.pcall('HGET', prefix .. 'ledger:' .. customer, id) -- a ledger that is no hash says nothing
  local over = type(entry) == 'string' and string.find(entry, '^[svufxkh]')
  local waits = call('ZSCORE', due, ref) or call('ZSCORE', suspects, ref) or held and call('ZSCORE', prefix .. 'leased', lane .. '|' .. ref)
  if not over and not waits and call('HGET', prefix .. 'msg:' .. day, id) == record then
    call('EXISTS', prefix .. 'crashes')
    call('ZREM', prefix .. 'leased', lane .. '|' .. ref)
    if held then call('HDEL', prefix .. 'busy', customer) end
    if sending == '1' then call('HINCRBY', prefix .. 'crashes', id, 1) end
    call('ZADD', sending == '1' and suspects or due, sending == '1' and 0 or ARGV[1], ref)
    back = back + 1
  end
end
return back
