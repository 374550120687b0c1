#!lua flags=allow-oom
-- Says that a replica is alive, and counts those that are.
-- KEYS[1]  the first shard's fence
-- ARGV[1]  who
-- ARGV[2]  how long that counts, ms of Redis' clock; 0: it leaves
-- Returns  {how many are alive, 1 if each of them has seen the others since the last one came, else 0}
-- A replica that comes changes the roster. Until all have seen it, the new one leaves to the others what they believe is theirs.
local prefix, call = string.sub(KEYS[1], 1, -6), redis.call
local replicas, seen, roster = prefix .. 'replicas', prefix .. 'replicas:seen', prefix .. 'replicas:roster'
call('EXISTS', replicas, seen, roster)
local time = call('TIME')
local now, all = time[1] * 1000 + math.floor(time[2] / 1000), 1
local function leave(who) return call('ZREM', replicas, who) + call('HDEL', seen, who) end
for _, gone in ipairs(call('ZRANGEBYSCORE', replicas, '-inf', now)) do leave(gone) end
if ARGV[2] == '0' then leave(ARGV[1]) end
if ARGV[2] ~= '0' and call('ZADD', replicas, now + ARGV[2], ARGV[1]) == 1 then call('INCR', roster) end
local current = call('GET', roster) or '0'
if ARGV[2] ~= '0' then call('HSET', seen, ARGV[1], current) end
for _, v in ipairs(call('HVALS', seen)) do if v ~= current then all = 0 end end
return {call('ZCARD', replicas), all}
