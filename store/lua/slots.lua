-- The queue of a shard: what scripts share. A lane is a calendar: due:<lane> has its slots by the time of each, milliseconds of the daemon's
-- clock in 13 digits; slot:<lane>:<slot> is the list of those who are due then. A member is a message's id, the day of its record and the
-- record, in whose first field, behind three letters, the slot stands: whoever has the record knows where the message waits.
--
-- A slot is kept short, so that one message is found in it, or taken out of it, in no time: what comes to a full one goes to the next.
local SLOT = 128
local LANES = {'email-a', 'email-b', 'sms-a', 'sms-b', 'webhook-a', 'webhook-b'}
local CHANNELS = {e = 'email', s = 'sms', w = 'webhook'} -- as in ledger.go
local call, sub = redis.call, string.sub

-- The lane of what has these letters in ledger and record.
local function lane_of(class, channel)
  local urgent = class == 'S' or class == 'V'
  return (CHANNELS[channel] or 'email') .. (urgent and '-a' or '-b')
end

local function due(lane) return prefix .. 'due:' .. lane end
local function late(lane) return prefix .. 'late:' .. lane end
local function list(lane, slot) return prefix .. 'slot:' .. lane .. ':' .. slot end

-- The slot of a member, and the record with another one.
local function slot_of(member) return sub(member, 35, 47) end
local function reslot(record, slot) return sub(record, 1, 3) .. slot .. sub(record, 17) end

-- The slot for one more message that is due at a time: not before it, and within the second after it.
local function room(lane, slot)
  if call('LLEN', list(lane, slot)) < SLOT then return slot end
  local at = tonumber(slot)
  local last = call('ZREVRANGEBYSCORE', due(lane), string.format('%.0f', at + 999), slot, 'LIMIT', 0, 1)[1] or slot
  if call('LLEN', list(lane, last)) >= SLOT and tonumber(last) < at + 999 then last = string.format('%.0f', tonumber(last) + 1) end
  call('EXISTS', list(lane, last))
  return last
end

-- Whether a message waits under this name.
local function waits(lane, member)
  return call('LPOS', list(lane, slot_of(member)), member) and true or false
end

local function push(lane, member)
  local slot = slot_of(member)
  if call('RPUSH', list(lane, slot), member) == 1 then call('ZADD', due(lane), slot, slot) end
end

local function pull(lane, member)
  local slot = slot_of(member)
  if call('LREM', list(lane, slot), 1, member) == 1 and call('EXISTS', list(lane, slot)) == 0 then call('ZREM', due(lane), slot) end
end
