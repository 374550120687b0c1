#!lua flags=allow-oom
-- Changes messages that nobody is sending: receipts, and what operators decide.
-- KEYS[1]  the shard's fence
-- ARGV     for each change ten words:
--   id customer day lane  where the message is
--   old record            what was read; if it was changed in between nothing happens
--   record entry          the new ones
--   then                  'end', 'queue', 'held', 'failed', 'park': keep record as a receipt until the message is settled,
--                         or 'forget': record is a receipt that says nothing new; one that waits and says no more goes
--   lane' score           for 'queue', whose slot is in the record, its lane; for 'held' and 'failed' the score
-- Returns  for each 1 = done, 0 = it was changed in between, -1 = a replica holds it
-- allow-oom: what providers and operators say must be recorded even when Redis is full.
local prefix = string.sub(KEYS[1], 1, -6)
-- with slots.lua
local out = {}

-- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
-- nothing has been done yet, and not half way through.
local touched = {}
local function touch(name)
  if not touched[name] then
    redis.call('EXISTS', prefix .. name)
    touched[name] = true
  end
end
touch('mark')
touch('early')
touch('crash')
touch('held')
touch('failed')
for _, lane in ipairs(LANES) do redis.call('EXISTS', due(lane), late(lane)) end

-- How much a receipt says. Receipts come in any order, and what waits for the message must be the one that says most.
local function rank(receipt)
  for r, state in ipairs({'sent', 'failed', 'undelivered', 'delivered'}) do
    if string.find(receipt, '"State":"' .. state .. '"', 1, true) then return r end
  end
  return 0
end

-- By the letter of a record's state; any other leaves only a delivery waiting.
local ranks = {s = 1, f = 2, u = 3, v = 4}

-- Takes the receipt away that waits for a message if it says no more than what is known now. One that says more came before the
-- result, and whoever wrote the result is about to apply it.
local function settled(id, known)
  local waiting = redis.call('HGET', prefix .. 'early', id)
  if waiting and rank(waiting) <= known then redis.call('HDEL', prefix .. 'early', id) end
end

-- Whether a replica has the message in hand, or had when it crashed.
local function claimed(lane, queued, place, customer)
  if redis.call('ZSCORE', late(lane), queued) then return true end
  local v = redis.call('HGET', prefix .. 'flight', customer)
  local hand = v and redis.call('GET', prefix .. 'hand:' .. v)
  return hand and string.find(hand, '\n' .. place, 1, true) ~= nil
end

local function amend(i)
  local id, customer, day, lane, old, record = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local entry, op, lane2, score = ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], ARGV[i + 9]
  local msg, place = prefix .. 'msg:' .. day, id .. day
  local member = place .. customer -- of held and failed; a queue's has the record
  local now = redis.call('HGET', msg, id)
  if op == 'forget' then
    settled(id, rank(record))
    return 1
  end
  if op == 'park' then
    if now ~= old then return 0 end
    local waiting = redis.call('HGET', prefix .. 'early', id)
    if not waiting or rank(record) >= rank(waiting) then redis.call('HSET', prefix .. 'early', id, record) end
    redis.call('EXPIRE', prefix .. 'early', 604800)
    return 1
  end
  if now == record then return 1 end
  if now ~= old then return 0 end
  if claimed(lane, place .. old, place, customer) then return -1 end
  touch('ledger:' .. customer)
  redis.call('EXISTS', list(lane, slot_of(place .. old)), list(lane2, slot_of(place .. record)))
  redis.call('HSET', msg, id, record)
  redis.call('HSET', prefix .. 'ledger:' .. customer, id, entry)
  pull(lane, place .. old)
  redis.call('ZREM', prefix .. 'held', member)
  redis.call('ZREM', prefix .. 'failed', member)
  redis.call('HDEL', prefix .. 'crash', id)
  settled(id, ranks[string.sub(record, 1, 1)] or 3)
  if op == 'queue' then
    push(lane2, place .. record)
  elseif op ~= 'end' then
    redis.call('ZADD', prefix .. op, score, member)
  end
  return 1
end

for i = 1, #ARGV, 10 do out[#out + 1] = amend(i) end
redis.call('INCR', prefix .. 'mark')
return out
