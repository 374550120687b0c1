#!lua flags=allow-oom
-- Takes, keeps or gives up the leader's lease.
-- KEYS[1]  the first shard's fence
-- ARGV[1]  who
-- ARGV[2]  length of the lease, ms of Redis' clock; 0 = give it up
-- Returns  the term (a number that grows with each new leader), or 0 if another leads, or it was given up
local prefix = string.sub(KEYS[1], 1, -6)
local leader, term = redis.call('GET', prefix .. 'leader'), redis.call('GET', prefix .. 'term') or '0'
if leader and leader ~= ARGV[1] or not leader and ARGV[2] == '0' then return 0 end
if ARGV[2] == '0' then return redis.call('DEL', prefix .. 'leader') - 1 end
redis.call('SET', prefix .. 'leader', ARGV[1], 'PX', ARGV[2])
return leader and tonumber(term) or redis.call('INCR', prefix .. 'term')
