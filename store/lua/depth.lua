#!lua flags=no-writes
-- Counts a shard's queue.
-- KEYS[1]  the shard's fence
-- ARGV[1]  the last slot that is due
-- ARGV[2…] lanes
-- Returns  for each lane three numbers: due, not yet due, there at a crash
local prefix = string.sub(KEYS[1], 1, -6)
-- with slots.lua
local out = {}
for i = 2, #ARGV do
  local lane, counts = ARGV[i], {0, 0}
  for _, slot in ipairs(call('ZRANGE', due(lane), 0, -1)) do
    local at = slot <= ARGV[1] and 1 or 2
    counts[at] = counts[at] + call('LLEN', list(lane, slot))
  end
  out[#out + 1] = counts[1]
  out[#out + 1] = counts[2]
  out[#out + 1] = call('ZCARD', late(lane))
end
return out
