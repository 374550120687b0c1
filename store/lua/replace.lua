#!lua
-- Writes a key if it still holds what was read.
-- KEYS[1]  the key
-- ARGV[1]  what was read, '' = there was none
-- ARGV[2]  what to write
-- Returns  1, or 0 if it was changed in between. Run twice it finds its own value and answers the same.
local now = redis.call('GET', KEYS[1])
if now == ARGV[2] then return 1 end
if (now or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
