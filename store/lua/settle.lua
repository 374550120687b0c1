#!lua flags=allow-oom
-- Records how claims ended.
-- KEYS[1]  the shard's fence
-- ARGV[1]  key of the day's counters below the prefix: sent:<day>
-- ARGV[2]  seconds the counters are kept
-- then for each result thirteen words:
--   id customer lane token entry record
--   then    'end', 'queue' (again at score in the new lane), 'held' or 'failed' (put on that list)
--   lane'   the new lane, for 'queue'
--   score   of the queue (ms of the daemon's clock) or of the list
--   counter dealer/program of a message that was sent, '' = does not count
--   crashes '0' = none
--   also    ids merged into this message, comma-separated
--   merged  ledger entry for each of them
-- Returns  {mark, then for each result 0 if the claim was not ours any more, 1, or 2 if a receipt came before it}
-- allow-oom: what was sent must be recorded even when Redis is full. Run twice it finds its own record and answers the same.
local prefix = string.sub(KEYS[1], 1, -6)
local BASE = 9000000000000000
local out, any = {'0'}, false

-- Looks at every key before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when
-- nothing has been done yet, and not half way through.
local touched = {}
local function touch(name)
  if not touched[name] then
    redis.call('EXISTS', prefix .. name)
    touched[name] = true
  end
end
touch('mark')
touch('renewed')
touch('busy')
touch('held')
touch('failed')
touch(ARGV[1])
for _, ch in ipairs({'email', 'sms', 'webhook'}) do
  touch('due:' .. ch .. '-a')
  touch('due:' .. ch .. '-b')
end
local crashed = redis.call('EXISTS', prefix .. 'crash') == 1
local early = redis.call('EXISTS', prefix .. 'early') == 1
local counted = false

local function settle(i)
  local id, customer, lane, token, entry, record = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
  local op, lane2, score2, counter, crashes = ARGV[i + 6], ARGV[i + 7], ARGV[i + 8], ARGV[i + 9], ARGV[i + 10]
  local ledger = prefix .. 'ledger:' .. customer
  local old = redis.call('HGET', ledger, id)
  local day = string.sub(old or entry, 4, 8)
  local key, member, msg = prefix .. 'due:' .. lane, id .. day .. customer, prefix .. 'msg:' .. day
  local score = tonumber(redis.call('ZSCORE', key, member) or '0')
  local held, renewed = score == tonumber(token) - BASE, false
  if score < 0 and not held then
    renewed = redis.call('HGET', prefix .. 'renewed', id) == token .. ' ' .. string.format('%.0f', score)
    held = renewed
  end
  if not held then
    if redis.call('HGET', msg, id) == record then return 1 end
    return 0
  end
  touch('msg:' .. day)
  redis.call('HSET', msg, id, record)
  redis.call('HSET', ledger, id, string.sub(entry, 1, 3) .. day .. string.sub(entry, 9))
  if op == 'queue' then
    if lane2 ~= lane then redis.call('ZREM', key, member) end
    redis.call('ZADD', prefix .. 'due:' .. lane2, score2, member)
  else
    redis.call('ZREM', key, member)
    if op ~= 'end' then redis.call('ZADD', prefix .. op, score2, member) end
  end
  local busy = redis.call('ZSCORE', prefix .. 'busy', customer)
  if busy and tonumber(busy) == score then redis.call('ZREM', prefix .. 'busy', customer) end
  if renewed then redis.call('HDEL', prefix .. 'renewed', id) end
  if crashed or crashes ~= '0' then
    if crashes == '0' or op ~= 'queue' then
      redis.call('HDEL', prefix .. 'crash', id)
    else
      redis.call('HSET', prefix .. 'crash', id, crashes)
    end
  end
  if counter ~= '' then
    redis.call('HINCRBY', prefix .. ARGV[1], counter, 1)
    counted = true
  end
  for other in string.gmatch(ARGV[i + 11], '[^,]+') do redis.call('HSETNX', ledger, other, ARGV[i + 12]) end
  any = true
  if early and redis.call('HEXISTS', prefix .. 'early', id) == 1 then return 2 end
  return 1
end

for i = 3, #ARGV, 13 do out[#out + 1] = settle(i) end
if counted then redis.call('EXPIRE', prefix .. ARGV[1], ARGV[2]) end
if any then
  out[1] = tostring(redis.call('INCR', prefix .. 'mark'))
else
  out[1] = redis.call('GET', prefix .. 'mark') or '0'
end
return out
