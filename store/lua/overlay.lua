#!lua
-- Writes a customer's overlay if it still is what was read.
-- KEYS[1]  the customer's ledger, whose field + it is
-- ARGV[1]  what was read, '' = there was none
-- ARGV[2]  what to write
-- Returns  1, or 0 if it was changed in between. Run twice it finds its own value and answers the same.
local now = redis.call('HGET', KEYS[1], '+')
if now == ARGV[2] then return 1 end
if (now or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], '+', ARGV[2])
return 1
