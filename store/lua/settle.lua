#!lua flags=allow-oom
-- Records how claims ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  '1' if the server is one of a cluster
-- ARGV[2]  how many results
-- then for each result six words: token|, customer, id, day, ledger entry, record
-- then the commands that take them off the queue and put them where they belong, all below the shard's prefix: for each how many words it
-- has, its name, its key, the rest
-- Returns  {mark, then for each result 1, or 2 if a receipt came before it, 0 if the claim was not ours any more, or -1: nothing was done
--           because of another one that was not ours; ask again without that}
-- allow-oom: what was sent must be recorded even when Redis is full. Run twice it finds its own record and answers the same.
local prefix = string.sub(KEYS[1], 1, -6)
local call, find = redis.call, string.find
local flight, WORDS, n = prefix .. 'flight', 6, tonumber(ARGV[2])
local last = 2 + n * WORDS
local out, customers = {call('GET', prefix .. 'mark') or '0'}, {}
for j = 1, n do customers[j] = ARGV[4 + (j - 1) * WORDS] end
local flights, ours = call('HMGET', flight, unpack(customers)), true
for j, v in ipairs(flights) do
  if not v or find(v, ARGV[3 + (j - 1) * WORDS], 1, true) ~= 1 then
    ours = false
    -- Not ours any more, unless it is our own word of before.
    local i = 3 + (j - 1) * WORDS
    local have = call('HGET', prefix .. 'msg:' .. ARGV[i + 3], ARGV[i + 2])
    out[j + 1] = have == ARGV[i + 5] and 1 or 0
  else
    out[j + 1] = -1
  end
end
if not ours then return out end

if ARGV[1] == '1' then
  -- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
  -- nothing has been done yet, and not half way through.
  local keys = {prefix .. 'early'}
  for j = 1, n do
    local i = 3 + (j - 1) * WORDS
    keys[#keys + 1] = prefix .. 'ledger:' .. customers[j]
    keys[#keys + 1] = prefix .. 'msg:' .. ARGV[i + 3]
  end
  local i = last + 1
  while i <= #ARGV do
    keys[#keys + 1] = prefix .. ARGV[i + 2]
    i = i + 1 + tonumber(ARGV[i])
  end
  call('EXISTS', unpack(keys))
end

local ids, records, at, day = {}, {}, 1, ARGV[6]
for j = 1, n do
  local i = 3 + (j - 1) * WORDS
  local id = ARGV[i + 2]
  ids[j] = id
  call('HSET', prefix .. 'ledger:' .. customers[j], id, ARGV[i + 4])
  if ARGV[i + 3] ~= day then
    call('HSET', prefix .. 'msg:' .. day, unpack(records))
    records, at, day = {}, 1, ARGV[i + 3]
  end
  records[at], records[at + 1] = id, ARGV[i + 5]
  at = at + 2
  out[j + 1] = 1
end
call('HSET', prefix .. 'msg:' .. day, unpack(records))
call('HDEL', flight, unpack(customers))
local i = last + 1
while i <= #ARGV do
  local words = tonumber(ARGV[i])
  call(ARGV[i + 1], prefix .. ARGV[i + 2], unpack(ARGV, i + 3, i + words))
  i = i + 1 + words
end
if call('EXISTS', prefix .. 'early') == 1 then
  for j, receipt in ipairs(call('HMGET', prefix .. 'early', unpack(ids))) do
    if receipt then out[j + 1] = 2 end
  end
end
out[1] = tostring(call('INCR', prefix .. 'mark'))
return out
