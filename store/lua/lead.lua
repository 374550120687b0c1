#!lua flags=allow-oom
-- Takes or keeps the leader's lease.
-- KEYS[1]  the first shard's fence
-- ARGV[1]  who
-- ARGV[2]  length of the lease, ms of Redis' clock
-- Returns  the term (a number that grows with each new leader), or 0 if another leads
local prefix = string.sub(KEYS[1], 1, -6)
local leader = redis.call('GET', prefix .. 'leader')
if leader == ARGV[1] then
  redis.call('PEXPIRE', prefix .. 'leader', ARGV[2])
  return tonumber(redis.call('GET', prefix .. 'term') or '0')
elseif leader then
  return 0
end
redis.call('SET', prefix .. 'leader', ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', prefix .. 'term')
