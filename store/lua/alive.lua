#!lua flags=allow-oom
-- Says that a replica is alive, and counts those that are.
-- KEYS[1]  the first shard's fence
-- ARGV[1]  who
-- ARGV[2]  how long that counts, ms of Redis' clock; 0: it leaves
-- Returns  {how many are alive, 1 if each of them has been told so since the last one came, else 0}
-- A replica that comes changes the version; each takes note of the version with its next word. Until all have, the one that came
-- must leave to the others what they believe is theirs.
local prefix = string.sub(KEYS[1], 1, -6)
local members, told, version = prefix .. 'replicas', prefix .. 'told', prefix .. 'version'
redis.call('EXISTS', members, told, version)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', members, '-inf', now)) do
  redis.call('ZREM', members, gone)
  redis.call('HDEL', told, gone)
end
if ARGV[2] == '0' then
  redis.call('ZREM', members, ARGV[1])
  redis.call('HDEL', told, ARGV[1])
  return {redis.call('ZCARD', members), 0}
end
if redis.call('ZADD', members, now + tonumber(ARGV[2]), ARGV[1]) == 1 then redis.call('INCR', version) end
local current = redis.call('GET', version) or '0'
redis.call('HSET', told, ARGV[1], current)
local all = 1
for _, v in ipairs(redis.call('HVALS', told)) do
  if v ~= current then all = 0 end
end
return {redis.call('ZCARD', members), all}
