#!lua
-- Writes a key, or a field of a hash, if it still holds what was read.
-- KEYS[1]  the key
-- ARGV     field ('' = the key is a string), what was read ('' = there was none), what to write ('' = delete the field)
-- Returns  1, or 0 if it was changed in between. Run twice it finds its own value and answers the same.
local field, old, new = ARGV[1], ARGV[2], ARGV[3]
local now = (field == '' and redis.call('GET', KEYS[1]) or field ~= '' and redis.call('HGET', KEYS[1], field)) or ''
if now == new then return 1 end
if now ~= old then return 0 end
if field == '' then redis.call('SET', KEYS[1], new)
elseif new == '' then redis.call('HDEL', KEYS[1], field)
else redis.call('HSET', KEYS[1], field, new) end
return 1
