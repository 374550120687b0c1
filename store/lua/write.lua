#!lua flags=allow-oom
-- Runs plain commands on keys of one slot although Redis may be full: what was sent must be told, and found again.
-- KEYS[1]  a key of the slot
-- ARGV     for each command how many words it has, and the words
-- Returns  their answers
local i, out = 1, {}
while i <= #ARGV do
  local n = tonumber(ARGV[i])
  out[#out + 1] = redis.call(unpack(ARGV, i + 1, i + n))
  i = i + n + 1
end
return out
