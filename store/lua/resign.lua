#!lua flags=allow-oom
-- Gives the leader's lease up.
-- KEYS[1]  the first shard's fence
-- ARGV[1]  who
-- Returns  1 if they led
local prefix = string.sub(KEYS[1], 1, -6)
if redis.call('GET', prefix .. 'leader') ~= ARGV[1] then return 0 end
return redis.call('DEL', prefix .. 'leader')
