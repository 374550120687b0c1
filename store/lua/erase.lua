#!lua flags=allow-oom
-- Takes everything of a customer out of the shard, and leaves a tombstone.
-- KEYS[1]  the shard's fence
-- ARGV[1]  the customer
-- ARGV[2]  the overlay that was read, '' = there was none, or the ledger is no table
-- ARGV[3]  the tombstone
-- Returns  1, or 0 if the overlay was changed in between: then nothing has been done
-- allow-oom: it frees memory, and the law does not wait until Redis has some. Run twice it finds nothing the second time.
--
-- What a replica has claimed goes too. Settle looks into flight, and does nothing without its claim; so does Begin once it is told
-- (token! in left) that somebody of the hand was erased.
local prefix, customer, tombstone = string.sub(KEYS[1], 1, -6), ARGV[1], ARGV[3]
-- with slots.lua
local ledger, log = prefix .. 'ledger:' .. customer, prefix .. 'log:' .. customer

local kind = redis.call('TYPE', ledger)
local there = (kind.ok or kind) == 'hash'
local now = there and redis.call('HGET', ledger, '+') or ''
if now ~= ARGV[2] and now ~= tombstone then return 0 end

-- Where the messages are: by the day in their ledger entry, by each day that has records where an entry names none.
local flat = there and redis.call('HGETALL', ledger) or {}
local days, ids, members, seen, pending, every = {}, {}, {}, {}, {}, nil
local function at(day, id, entry)
  if not seen[day] then
    seen[day] = {}
    days[#days + 1] = day
  end
  table.insert(seen[day], id)
  members[#members + 1] = id .. day .. customer -- of held and failed
  if not string.find(entry, '^[svufxkh]') then pending[id .. day] = true end
end
for i = 1, #flat, 2 do
  local id, entry = flat[i], flat[i + 1]
  if id ~= '+' then
    local day = string.match(entry, '^...(%d%d%d%d%d)')
    ids[#ids + 1] = id
    if day and day ~= '00000' then
      at(day, id, entry)
    else
      every = every or redis.call('ZRANGE', prefix .. 'days', 0, -1)
      for _, d in ipairs(every) do at(d, id, entry) end
    end
  end
end

-- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
-- nothing has been done yet, and not half way through.
local lists = {'held', 'failed'}
local tables = {'crash', 'early'}
for _, names in ipairs({lists, tables, {'flight', 'mark', 'left', 'hands'}}) do
  for _, name in ipairs(names) do redis.call('EXISTS', prefix .. name) end
end
for _, lane in ipairs(LANES) do redis.call('EXISTS', due(lane), late(lane)) end
for _, day in ipairs(days) do redis.call('EXISTS', prefix .. 'msg:' .. day) end

-- In a queue a message is called by its record. Where somebody deleted that, the queues are looked through.
local queued, waiting = {}, {}
for day, list in pairs(seen) do
  for _, id in ipairs(list) do
    local raw = pending[id .. day] and redis.call('HGET', prefix .. 'msg:' .. day, id)
    if raw then
      local member = id .. day .. raw
      queued[#queued + 1] = member
      pending[id .. day] = nil
      for _, lane in ipairs(LANES) do
        if waits(lane, member) then waiting[#waiting + 1] = {lane, member} end
      end
    end
  end
end
if next(pending) then
  for _, lane in ipairs(LANES) do
    for _, member in ipairs(redis.call('ZRANGE', late(lane), 0, -1)) do
      if pending[sub(member, 1, 31)] then queued[#queued + 1] = member end
    end
    for _, slot in ipairs(redis.call('ZRANGE', due(lane), 0, -1)) do
      for _, member in ipairs(redis.call('LRANGE', list(lane, slot), 0, -1)) do
        if pending[sub(member, 1, 31)] then waiting[#waiting + 1] = {lane, member} end
      end
    end
  end
end

-- In pieces: Lua passes at most some thousands of words at once.
local function each(command, key, words)
  for i = 1, #words, 1000 do redis.call(command, key, unpack(words, i, math.min(i + 999, #words))) end
end
for _, name in ipairs(lists) do each('ZREM', prefix .. name, members) end
for _, lane in ipairs(LANES) do each('ZREM', late(lane), queued) end
for _, w in ipairs(waiting) do pull(w[1], w[2]) end
for _, name in ipairs(tables) do each('HDEL', prefix .. name, ids) end
for _, day in ipairs(days) do each('HDEL', prefix .. 'msg:' .. day, seen[day]) end
local token = redis.call('HGET', prefix .. 'flight', customer)
if token then
  local left, hand = prefix .. 'left', prefix .. 'hand:' .. token
  redis.call('EXISTS', hand)
  redis.call('HDEL', prefix .. 'flight', customer)
  if redis.call('HINCRBY', left, token, -1) <= 0 then
    redis.call('ZREM', prefix .. 'hands', token)
    redis.call('HDEL', left, token, token .. '!')
    redis.call('DEL', hand)
  else
    redis.call('HSET', left, token .. '!', 1)
  end
end
local gone = redis.call('DEL', log) + #ids
if not there or #ids > 0 or now ~= tombstone then
  redis.call('DEL', ledger)
  redis.call('HSET', ledger, '+', tombstone)
end
-- A snapshot from before it would bring the customer back: it must show that it is older.
if gone > 0 or now ~= tombstone then redis.call('INCR', prefix .. 'mark') end
return 1
