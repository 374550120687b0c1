#!lua
-- Adds messages to the queue. The ledger makes a message planned only once: what is in it is not added again.
-- KEYS[1]  the shard's fence
-- ARGV     for each: id day customer lane score entry record expires
--   expires  when msg:<day> may go, Unix seconds
-- Returns  for each 1, or 0: the ledger has it, or the customer is erased
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
-- Whoever plans may have read the customer before the erasure. What cannot be read may be a tombstone.
local function erased(overlay)
  local ok, o = pcall(cjson.decode, overlay or '{}')
  return not ok or type(o) ~= 'table' or o.erased == true
end
local out, keys = {}, {prefix .. 'days'}
for i = 1, #ARGV, 8 do
  local id, day, customer, lane = unpack(ARGV, i, i + 3)
  local known = call('HMGET', prefix .. 'ledger:' .. customer, id, '+')
  out[#out + 1] = (known[1] or erased(known[2])) and 0 or 1
  keys[#keys + 1], keys[#keys + 2] = prefix .. 'msg:' .. day, prefix .. 'due:' .. lane
end
call('EXISTS', unpack(keys)) -- every key is read before the first write: see complete.lua
for n, new in ipairs(out) do
  local id, day, customer, _, score, entry, record, expires = unpack(ARGV, 8 * n - 7, 8 * n)
  out[n] = new == 1 and call('HSETNX', prefix .. 'ledger:' .. customer, id, entry) or 0
  if out[n] == 1 then
    call('HSET', keys[2 * n], id, record)
    for _, when in ipairs({'NX', 'GT'}) do call('EXPIREAT', keys[2 * n], expires, when) end
    call('ZADD', keys[1], day, day)
    call('ZADD', keys[2 * n + 1], score, id .. '|' .. day .. '|' .. customer)
  end
end
return out
