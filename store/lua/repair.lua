#!lua
-- Looks through a day's records for pending messages that no queue holds, and puts them back.
-- KEYS[1]  the shard's fence
-- ARGV[1]  day
-- ARGV[2]  cursor of HSCAN
-- ARGV[3]  the slot of those who are due now
-- Returns  {next cursor, how many were put back}
-- One that was being sent is put back as one that was there at a crash: whoever claims it learns that its outcome is unknown.
local prefix = string.sub(KEYS[1], 1, -6)
-- with slots.lua

local function names(text, what) return text and string.find(text, what, 1, true) ~= nil end

-- What hand:<token> says, read once: it is long, and many messages ask.
local hands = {}
local function hand_of(token)
  if hands[token] == nil then hands[token] = redis.call('GET', prefix .. 'hand:' .. token) end
  return hands[token]
end

-- Whether a hand with a lease holds the message; if not, whether one says that it was being sent. A customer in a hand that is not there
-- any more need not wait for it.
local function held(place, customer)
  local token = redis.call('HGET', prefix .. 'flight', customer)
  local tokens = redis.call('ZRANGE', prefix .. 'hands', 0, -1)
  if token then
    local hand, leased = hand_of(token), redis.call('ZSCORE', prefix .. 'hands', token)
    local mine = names(hand, '\n' .. place) -- if not, another message of theirs is in it
    if leased or hand and not mine then return leased and mine, false end
    redis.call('HDEL', prefix .. 'flight', customer)
    if not hand then return false, true end -- nothing says that it was not
    tokens = {token}
  end
  for _, token in ipairs(tokens) do
    if names(hand_of(token), '\n' .. customer .. '|') then return false, true end
  end
  return false, false
end

-- Whether the ledger knows a message as over, whatever its record says. A ledger that is none says nothing.
local function over(customer, id)
  local entry = redis.pcall('HGET', prefix .. 'ledger:' .. customer, id)
  return type(entry) == 'string' and string.find(entry, '^[svufxkh]') ~= nil
end

local day = ARGV[1]
local page = redis.call('HSCAN', prefix .. 'msg:' .. day, ARGV[2], 'COUNT', 500)
local back = 0
for i = 1, #page[2], 2 do
  local id, raw = page[2][i], page[2][i + 1]
  local state, class, channel, customer = string.match(raw, '^(.)(.)(.)[^|]*|([^|]*)')
  if (state == 'd' or state == 'r' or state == 'g') and customer and CHANNELS[channel] then
    local lane, place = lane_of(class, channel), id .. day
    local there = waits(lane, place .. raw)
    if there then redis.call('ZADD', due(lane), slot_of(place .. raw), slot_of(place .. raw)) end -- the list may be all that is left
    if not there and not redis.call('ZSCORE', late(lane), place .. raw) and not over(customer, id) then
      local here, sending = held(place, customer)
      if not here then
        if sending and state ~= 'g' then
          local ledger = prefix .. 'ledger:' .. customer
          local entry = redis.call('HGET', ledger, id)
          raw = 'g' .. string.sub(raw, 2)
          redis.call('HSET', prefix .. 'msg:' .. day, id, raw)
          if entry then redis.call('HSET', ledger, id, 'g' .. string.sub(entry, 2)) end
        end
        if sending or state == 'g' then
          redis.call('ZADD', late(lane), 0, place .. raw)
        else
          raw = reslot(raw, room(lane, ARGV[3]))
          redis.call('HSET', prefix .. 'msg:' .. day, id, raw)
          push(lane, place .. raw)
        end
        back = back + 1
      end
    end
  end
end
return {page[1], back}
