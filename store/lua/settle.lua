#!lua flags=allow-oom
-- Records how claims ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  key of the day's counters below the prefix: sent:<day>
-- ARGV[2]  seconds the counters are kept
-- then for each result twelve words:
--   token|id and day, customer, lane, entry, record
--   then    'end', 'queue' (again at score in the new lane), 'held' or 'failed' (put on that list)
--   lane'   the new lane, for 'queue'
--   score   of the queue (ms of the daemon's clock) or of the list
--   counter dealer/program of a message that was sent, '' = does not count
--   crashes '0' = none
--   also    ids merged into this message, comma-separated
--   merged  ledger entry for each of them
-- Returns  {mark, then for each result 0 if the claim was not ours any more, 1, or 2 if a receipt came before it}
-- allow-oom: what was sent must be recorded even when Redis is full. Run twice it finds its own record and answers the same.
local prefix = string.sub(KEYS[1], 1, -6)
local flight, WORDS = prefix .. 'flight', 12
local out, customers = {redis.call('GET', prefix .. 'mark') or '0'}, {}
for i = 4, #ARGV, WORDS do customers[#customers + 1] = ARGV[i] end
local flights = redis.call('HMGET', flight, unpack(customers))

-- Who holds what, and which keys will be written. A customer has one message in flight; the same result may still come twice in a batch.
local ours, keys, known, took = {}, {}, {}, {}
local function touch(key)
  if not known[key] then
    known[key] = true
    keys[#keys + 1] = key
  end
end
touch(prefix .. 'crash')
touch(prefix .. 'early')
for j, v in ipairs(flights) do
  local i = 3 + (j - 1) * WORDS
  local own, customer = ARGV[i], ARGV[i + 1]
  if v and not took[customer] and string.sub(v, 1, #own + 1) == own .. '|' then
    took[customer], ours[j] = true, true
    touch(prefix .. 'ledger:' .. customer)
    touch(prefix .. 'msg:' .. string.sub(own, -5))
    touch(prefix .. 'due:' .. ARGV[i + 2])
    local op = ARGV[i + 5]
    if op == 'queue' then touch(prefix .. 'due:' .. ARGV[i + 6]) elseif op ~= 'end' then touch(prefix .. op) end
    if ARGV[i + 8] ~= '' then touch(prefix .. ARGV[1]) end
  end
end
-- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
-- nothing has been done yet, and not half way through.
if #keys > 2 then redis.call('EXISTS', unpack(keys)) end
local crashed = redis.call('EXISTS', prefix .. 'crash') == 1
local early = redis.call('EXISTS', prefix .. 'early') == 1

-- What goes to one key is gathered and written with one command.
local writes, order = {}, {}
local function write(command, key)
  local name = command .. key
  local words = writes[name]
  if not words then
    words = {command, key}
    writes[name] = words
    order[#order + 1] = words
  end
  return words
end
local counts = {}

local function settle(i)
  local own, customer, lane, entry, record = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local op, lane2, score2, counter, crashes, also = ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], ARGV[i + 9], ARGV[i + 10]
  local id31 = string.sub(own, -31)
  local id, member = string.sub(id31, 1, 26), id31 .. customer
  local ledger = prefix .. 'ledger:' .. customer
  local w = write('HSET', prefix .. 'msg:' .. string.sub(own, -5))
  w[#w + 1] = id
  w[#w + 1] = record
  redis.call('HSET', ledger, id, entry)
  if op ~= 'queue' or lane2 ~= lane then
    w = write('ZREM', prefix .. 'due:' .. lane)
    w[#w + 1] = member
  end
  if op ~= 'end' then
    w = write('ZADD', prefix .. (op == 'queue' and 'due:' .. lane2 or op))
    w[#w + 1] = score2
    w[#w + 1] = member
  end
  w = write('HDEL', flight)
  w[#w + 1] = customer
  if crashed or crashes ~= '0' then
    if crashes == '0' or op ~= 'queue' then
      redis.call('HDEL', prefix .. 'crash', id)
    else
      redis.call('HSET', prefix .. 'crash', id, crashes)
    end
  end
  if counter ~= '' then counts[counter] = (counts[counter] or 0) + 1 end
  if also ~= '' then
    for other in string.gmatch(also, '[^,]+') do redis.call('HSETNX', ledger, other, ARGV[i + 11]) end
  end
  if early and redis.call('HEXISTS', prefix .. 'early', id) == 1 then return 2 end
  return 1
end

local any = false
for j = 1, #customers do
  if ours[j] then
    out[j + 1] = settle(3 + (j - 1) * WORDS)
    any = true
  end
end
for _, words in ipairs(order) do redis.call(unpack(words)) end
local counted = false
for counter, n in pairs(counts) do
  redis.call('HINCRBY', prefix .. ARGV[1], counter, n)
  counted = true
end
if counted then redis.call('EXPIRE', prefix .. ARGV[1], ARGV[2]) end
if any then out[1] = tostring(redis.call('INCR', prefix .. 'mark')) end
for j = 1, #customers do
  if not ours[j] then
    -- Not ours any more, unless it is our own word of before.
    local i = 3 + (j - 1) * WORDS
    local have = redis.call('HGET', prefix .. 'msg:' .. string.sub(ARGV[i], -5), string.sub(ARGV[i], -31, -6))
    out[j + 1] = have == ARGV[i + 4] and 1 or 0
  end
end
return out
