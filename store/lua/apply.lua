#!lua
-- Brings new plans into the queue.
-- KEYS[1]  the shard's fence
-- ARGV[1]  now, seconds in base 36, as in ledger entries
-- then operations, each of nine words:
--   add   'A' id customer day  lane  slot   entry   record (its slot is put in here)  when msg:<day> may go (Unix seconds)
--   move  'M' id customer ''   lane  slot   entry   fields 3 to 8 of the record  ''
--   drop  'D' id customer ''   ''    ''     letter of the new state, '' = forget it   field 3 of the record  reason
-- Returns  {added, moved, dropped, refused}
-- What waits is called by its id, its day and its record, as the record stands in msg:<day>: whoever changes the one changes the other.
-- An erased customer is given no message. The ledger is what makes a message planned only once: what is in it is not added again. What a replica has claimed is neither
-- moved nor dropped.
local prefix = string.sub(KEYS[1], 1, -6)
-- with slots.lua
local at = ARGV[1]
local added, moved, dropped, refused = 0, 0, 0, 0
-- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
-- nothing has been done yet, and not half way through.
local touched = {}
local function touch(name)
  if not touched[name] then
    redis.call('EXISTS', prefix .. name)
    touched[name] = true
  end
end
touch('days')
touch('crash')
for _, lane in ipairs(LANES) do redis.call('EXISTS', due(lane), late(lane)) end
-- The fields of a record that change in the queue; see record.go.
local HEAD, UPDATED, ALSO, REASON = 1, 3, 8, 9
local function fields(raw)
  local list = {}
  for f in string.gmatch(raw .. '|', '([^|]*)|') do list[#list + 1] = f end
  for i = #list + 1, REASON do list[i] = '' end
  return list
end

-- Writes a record with some of its fields changed, and returns it.
local function rewrite(day, id, raw, change)
  local record = fields(raw)
  change(record)
  local text = table.concat(record, '|')
  redis.call('HSET', prefix .. 'msg:' .. day, id, text)
  return text
end

-- The entry with fields 1 (at) and 7 (reason) set anew; see ledger.go.
local function ended(entry, state, reason)
  local list = fields(string.sub(entry, 9))
  list[1], list[7] = at, reason
  return state .. string.sub(entry, 2, 8) .. table.concat(list, '|', 1, 7)
end

-- Whoever plans may have read the customer before the erasure. An overlay is written by Go's JSON encoder, which puts a backslash
-- before the quotes of a text: the words below stand in a tombstone only.
local function erased(overlay)
  return overlay and string.find(overlay, '"erased":true', 1, true) ~= nil
end

local function add(id, customer, day, lane, slot, entry, record, expire)
  local ledger = prefix .. 'ledger:' .. customer
  local known = redis.call('HMGET', ledger, id, '+')
  if known[1] or erased(known[2]) then
    refused = refused + 1
    return
  end
  touch('msg:' .. day)
  record = reslot(record, room(lane, slot))
  redis.call('HSET', ledger, id, entry)
  local msg = prefix .. 'msg:' .. day
  redis.call('HSET', msg, id, record)
  redis.call('EXPIREAT', msg, expire, 'NX')
  redis.call('EXPIREAT', msg, expire, 'GT')
  redis.call('ZADD', prefix .. 'days', day, day)
  push(lane, id .. day .. record)
  added = added + 1
end

-- Whether a replica holds a message, or did at a crash, its record, and what it is called in the queue. What a replica holds has left the
-- queue.
local function look(lane, day, id, customer)
  local raw = redis.call('HGET', prefix .. 'msg:' .. day, id)
  if not raw then return redis.call('HEXISTS', prefix .. 'flight', customer) == 1 end
  local member = id .. day .. raw
  if waits(lane, member) then return false, raw, member end
  return redis.call('ZSCORE', late(lane), member) or redis.call('HEXISTS', prefix .. 'flight', customer) == 1, raw, member
end

local function move(id, customer, lane, slot, entry, text)
  local ledger = prefix .. 'ledger:' .. customer
  local old = redis.call('HGET', ledger, id)
  if not old or string.sub(old, 1, 1) ~= 'd' then
    refused = refused + 1
    return
  end
  local day = string.sub(old, 4, 8)
  local was = lane_of(sub(old, 2, 2), sub(old, 3, 3))
  local held, raw, member = look(was, day, id, customer)
  if held or not raw then
    refused = refused + 1
    return
  end
  touch('msg:' .. day)
  slot = room(lane, slot)
  pull(was, member)
  local record = rewrite(day, id, raw, function(record)
    local new = fields(text)
    record[HEAD] = string.sub(record[HEAD], 1, 1) .. string.sub(entry, 2, 3) .. slot
    for i = UPDATED, ALSO do record[i] = new[i - UPDATED + 1] end
  end)
  redis.call('HSET', ledger, id, string.sub(entry, 1, 3) .. day .. string.sub(entry, 9))
  push(lane, id .. day .. record)
  moved = moved + 1
end

local function drop(id, customer, state, text, reason)
  local ledger = prefix .. 'ledger:' .. customer
  local old = redis.call('HGET', ledger, id)
  local letter = old and string.sub(old, 1, 1)
  if letter ~= 'd' and letter ~= 'r' then
    refused = refused + 1
    return
  end
  local day = string.sub(old, 4, 8)
  local lane = lane_of(sub(old, 2, 2), sub(old, 3, 3))
  local held, raw, member = look(lane, day, id, customer)
  if held then
    refused = refused + 1
    return
  end
  touch('msg:' .. day)
  if raw then pull(lane, member) end
  if state == '' then
    redis.call('HDEL', ledger, id)
    redis.call('HDEL', prefix .. 'msg:' .. day, id)
  else
    redis.call('HSET', ledger, id, ended(old, state, reason))
    if raw then
      rewrite(day, id, raw, function(record)
        record[HEAD] = state .. string.sub(record[HEAD], 2, 3)
        record[UPDATED], record[REASON] = text, reason
      end)
    end
  end
  redis.call('HDEL', prefix .. 'crash', id)
  dropped = dropped + 1
end

for i = 2, #ARGV, 9 do
  local op = ARGV[i]
  if op == 'A' then
    add(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8])
  elseif op == 'M' then
    move(ARGV[i + 1], ARGV[i + 2], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7])
  else
    drop(ARGV[i + 1], ARGV[i + 2], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8])
  end
end
return {added, moved, dropped, refused}
