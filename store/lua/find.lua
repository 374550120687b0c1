#!lua flags=no-writes
-- Finds message records by the id alone.
-- KEYS[1]  the shard's fence
-- ARGV     ids
-- Returns  for each id five words: day, record, what is noted of it if it is being sent or '', '1' if it is claimed, ledger entry or '';
--           day '' = there is none
local prefix = string.sub(KEYS[1], 1, -6)
-- with slots.lua
local days = redis.call('ZREVRANGE', prefix .. 'days', 0, -1)
local out = {}

local function find(id)
  for _, day in ipairs(days) do
    local raw = redis.call('HGET', prefix .. 'msg:' .. day, id)
    if raw then return day, raw end
  end
end

for _, id in ipairs(ARGV) do
  local day, raw = find(id)
  local sending, claimed, entry = '', '0', ''
  if raw then
    local class, channel, customer = string.match(raw, '^.(.)(.)[^|]*|([^|]*)')
    if redis.call('ZSCORE', late(lane_of(class, channel)), id .. day .. raw) then claimed = '1' end
    entry = redis.call('HGET', prefix .. 'ledger:' .. (customer or ''), id) or ''
    local v = redis.call('HGET', prefix .. 'flight', customer or '')
    local hand = v and redis.call('GET', prefix .. 'hand:' .. v) or ''
    if string.find(hand, '\n' .. id .. day, 1, true) then
      claimed = '1'
      local _, at = string.find(hand, '\n' .. customer .. '|', 1, true)
      if at then sending = string.match(hand, '^[^\n]*', at + 1) end
    end
  end
  out[#out + 1] = day or ''
  out[#out + 1] = raw or ''
  out[#out + 1] = sending
  out[#out + 1] = claimed
  out[#out + 1] = entry
end
return out
