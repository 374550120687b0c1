#!lua flags=no-writes
-- Finds message records by the id alone.
-- KEYS[1]  the shard's fence
-- ARGV     ids
-- Returns  for each day and record; day '' = there is none
local prefix, out = string.sub(KEYS[1], 1, -6), {}
local days = redis.call('ZREVRANGE', prefix .. 'days', 0, -1)
for n, id in ipairs(ARGV) do
  out[2 * n - 1], out[2 * n] = '', ''
  for _, day in ipairs(days) do
    local record = redis.call('HGET', prefix .. 'msg:' .. day, id)
    if record then out[2 * n - 1], out[2 * n] = day, record break end
  end
end
return out
